import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.data.batches import Segment
from seqgen.evaluation import Score, bits_per_unit, evaluate, losses
from seqgen.networks.tasks import LanguageModel
from tests.corpora import MemoryCorpus, sentences


@pytest.fixture
def corpus():
    return MemoryCorpus(sentences(60))


def make_model(corpus, **options):
    torch.manual_seed(3)
    config = ModelConfig(embedding_size=5, hidden_size=9, dropout=0.5, **options)
    return LanguageModel(config, len(corpus.tokenizer.tokens))


@pytest.fixture
def model(corpus):
    return make_model(corpus)


def one_document_at_a_time(model, corpus):
    """Total loss in nats, each document read alone and token by token."""
    total = 0.0
    tokens, edges = corpus.tokens("train"), corpus.documents("train")
    model.eval()
    for start, stop in pairwise(edges):
        state, previous = model.initial_state(1), 0
        for token in tokens[start:stop]:
            resets = torch.tensor([[previous == 0]])
            with torch.no_grad():
                features, state = model(torch.tensor([[previous]]), state, resets)
                total += model.losses(features, torch.tensor([[int(token)]])).item()
            previous = int(token)
    return total


def test_carried_equals_reading_each_document_alone(model, corpus):
    score = evaluate(model, corpus.tokens("train"), corpus.documents("train"), protocol="carried")
    assert score.tokens == len(corpus.tokens("train"))
    assert score.loss_nats * score.tokens == pytest.approx(one_document_at_a_time(model, corpus), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tied": True},
        {"softmax": "adaptive", "cutoffs": (4, 11)},
        {"mogrifier": 3, "layer_norm": True},
        {"mogrifier": 2, "softmax": "adaptive", "cutoffs": (4, 11)},
    ],
    ids=str,
)
@pytest.mark.parametrize("edges", [[0, 900], [0, 41], [0, 41, 55, 900]])
def test_what_is_read_at_once_changes_no_loss(corpus, edges, options, monkeypatch):
    model = make_model(corpus, **options)
    tokens = corpus.tokens("train")
    edges = np.array([*edges, len(tokens)])
    whole = evaluate(model, tokens, edges, protocol="carried")
    monkeypatch.setattr(losses, "TOKENS_AT_ONCE", 37)
    pieces = evaluate(model, tokens, edges, protocol="carried")
    assert whole.tokens == pieces.tokens == len(tokens)
    assert whole.loss_nats == pytest.approx(pieces.loss_nats, rel=1e-6)


def test_short_segments_do_not_wait_beside_a_long_one(model, monkeypatch):
    tokens = np.arange(1, 201, dtype=np.uint8) % 7 + 1
    parts = [Segment(0, 0, 100), *(Segment(k, k, k + 10) for k in range(100, 200, 10))]
    monkeypatch.setattr(losses, "TOKENS_AT_ONCE", 200)
    sizes = [len(reading.positions) for reading in losses.read_segments(model, tokens, parts)]
    assert sizes == [200]  # two rows of 100 steps, not eleven


def test_windows_forget_what_carried_remembers(model, corpus):
    tokens, edges = corpus.tokens("train"), corpus.documents("train")
    carried = evaluate(model, tokens, edges, protocol="carried")
    windows = evaluate(model, tokens, edges, protocol="windows:3")
    whole = evaluate(model, tokens, edges, protocol="windows:1000")
    assert windows.tokens == carried.tokens
    assert windows.loss_nats != pytest.approx(carried.loss_nats, rel=1e-6)
    assert whole.loss_nats == pytest.approx(carried.loss_nats, rel=1e-5)


def test_evaluation_leaves_the_model_in_training_as_it_was(model, corpus):
    model.train()
    evaluate(model, corpus.tokens("train"), corpus.documents("train"))
    assert model.training


def test_units_turn_nats_into_bits():
    score = Score(protocol="carried", tokens=10, loss_nats=math.log(2), units={"chars": 5, "notes": 0})
    assert score.bits == {"chars": pytest.approx(2.0)}
    assert score.perplexity == pytest.approx(2.0)
    assert score.record()["bits_per"] == {"char": 2.0}


def test_bits_per_nothing_are_refused():
    with pytest.raises(ValueError, match="nothing"):
        bits_per_unit(1.0, 0)


def test_an_empty_part_scores_nothing(model):
    score = evaluate(model, np.zeros(0, np.uint8), np.zeros(1, np.int64))
    assert score.tokens == 0

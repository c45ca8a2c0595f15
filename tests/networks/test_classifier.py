from dataclasses import replace

import numpy as np
import pytest
import torch

from seqgen.config import ClassifyConfig, ModelConfig
from seqgen.data.buckets import padded
from seqgen.errors import ConfigError
from seqgen.networks.classifier import Classifier
from seqgen.networks.reading import SequenceReader, reversed_places

V, E, H, C = 11, 5, 4, 3
PLAIN = ModelConfig(cell="gru", layers=2, hidden_size=H, embedding_size=E, dropout=0.0)
CELLS = ["rnn", "lstm", "gru", "bow"]
TEXTS = [np.array(ids, dtype=np.uint32) for ids in ([3, 1, 4, 1, 5], [9, 2], [6, 5, 3, 8, 9, 7, 9], [8])]


def make(cell="gru", pool="max", *, bidirectional=False, **settings):
    torch.manual_seed(4)
    config = replace(PLAIN, cell=cell, bidirectional=bidirectional, **settings)
    task = ClassifyConfig(labels=("a", "b", "c"), pool=pool, pooled_dropout=0.0)
    return Classifier(config, task, V)


def logits_of(model, texts):
    tokens, lengths = padded(texts)
    return model(torch.from_numpy(tokens), torch.from_numpy(lengths))


def cases():
    for cell in CELLS:
        for pool in ("last", "mean", "max", "attention", "concat"):
            if cell == "bow" and pool in ("last", "concat"):
                continue
            for both in (False, True) if cell != "bow" else (False,):
                yield pytest.param(cell, pool, both, id=f"{cell}-{pool}{'-both' * both}")


@pytest.mark.parametrize(("cell", "pool", "both"), list(cases()))
def test_padding_changes_nothing(cell, pool, both):
    model = make(cell, pool, bidirectional=both).eval()
    with torch.no_grad():
        together = logits_of(model, TEXTS).clone()
        alone = torch.cat([logits_of(model, [text]).clone() for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 1e-4


@pytest.mark.parametrize(("cell", "pool", "both"), list(cases()))
def test_gradients_are_those_of_finite_differences(cell, pool, both):
    model = make(cell, pool, bidirectional=both, layers=1).train()
    labels = torch.tensor([2, 0, 1, 1])

    def loss():
        return model.losses(logits_of(model, TEXTS), labels, smoothing=0.1)

    here = loss()
    here.backward()
    random = np.random.default_rng(5)
    for name, parameter in model.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for place in random.integers(len(flat), size=3):
            value, slopes = float(flat[place]), []
            for change in (2e-3, -2e-3):
                flat[place] = value + change
                slopes.append((loss().item() - here.item()) / change)
            flat[place] = value
            # A maximum may pass to another token on one side, so the nearer slope counts.
            assert min(abs(slope - float(gradient[place])) for slope in slopes) < 1e-3, name


def test_reading_from_the_end_is_reading_the_reversed_text():
    torch.manual_seed(3)
    reader = SequenceReader(replace(PLAIN, bidirectional=True))
    embedding = torch.randn(V, E)
    tokens, lengths = map(torch.from_numpy, padded(TEXTS))
    reading = reader(tokens, lengths, embedding=embedding)
    for row, text in enumerate(TEXTS):
        turned = torch.from_numpy(text[::-1].astype(np.int64)).unsqueeze(1)
        resets = torch.zeros_like(turned, dtype=torch.bool)
        state = reader.reverse.initial_state(1)
        expected, _ = reader.reverse(turned, state, resets, embedding=embedding)
        read = reading.features[: len(text), row, H:]
        assert torch.allclose(read, expected[:, 0].flip(0), atol=1e-6)
        assert torch.allclose(reading.last[row, H:], expected[-1, 0], atol=1e-6)
        assert torch.allclose(reading.last[row, :H], reading.features[len(text) - 1, row, :H])


def test_places_turn_round_within_each_length():
    places = reversed_places(4, torch.tensor([4, 2, 1]))
    assert places.t().tolist() == [[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_a_bag_is_blind_to_order_and_layers_are_not(pool):
    bag, layers = make("bow", pool).eval(), make("gru", pool).eval()
    text, turned = TEXTS[2], TEXTS[2][::-1]
    with torch.no_grad():
        assert torch.allclose(logits_of(bag, [text]), logits_of(bag, [turned]), atol=1e-6)
        first = logits_of(layers, [text]).clone()
        assert (first - logits_of(layers, [turned])).abs().max() > 1e-4


def test_pooling_matches_a_loop_over_tokens():
    model = make(pool="concat").eval()
    tokens, lengths = map(torch.from_numpy, padded(TEXTS))
    with torch.no_grad():
        reading = model.reader(tokens, lengths, embedding=model.embedding.weight)
        pooled = model.pool(reading)
    for row, text in enumerate(TEXTS):
        features = reading.features[: len(text), row]
        expected = torch.cat([features[-1], features.max(dim=0).values, features.mean(dim=0)])
        assert torch.allclose(pooled[row], expected, atol=1e-6)


def test_dropout_is_decided_by_the_seed_and_off_in_evaluation():
    model = make(dropout=0.5)
    tokens, lengths = map(torch.from_numpy, padded(TEXTS))
    model.train()
    first, again, other = (model(tokens, lengths, seed=seed).detach().clone() for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    model.eval()
    assert torch.equal(*(model(tokens, lengths, seed=seed).detach().clone() for seed in (1, 2)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "window"}, "weights for 8 places, but whole texts have any number"),
        ({"cell": "bow", "bidirectional": True, "pool": "mean"}, "no order to read from either end"),
        ({"cell": "bow", "pool": "last"}, "a bag of words has no last token"),
    ],
)
def test_what_cannot_read_a_text_is_refused_with_the_reason(settings, message):
    with pytest.raises(ConfigError, match=message):
        make(**settings)

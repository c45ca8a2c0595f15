import itertools
import math

import numpy as np
import pytest
import torch

from seqgen.config import ModelConfig, TranslateConfig
from seqgen.networks.translation import TranslationModel
from seqgen.sampling.beams import beam_search

S, B, V = 4, 3, 5
LENGTHS = torch.tensor([4, 1, 3])


def network(attention="general", input_feeding=True):
    torch.manual_seed(3)
    sizes = ModelConfig(cell="gru", layers=2, embedding_size=3, hidden_size=8, dropout=0.0)
    model = TranslationModel(sizes, TranslateConfig(attention=attention, input_feeding=input_feeding), 7, V)
    with torch.no_grad():
        model.head.weight.mul_(4)  # so that tokens differ in probability
    return model.eval()


def sources():
    draw = torch.Generator().manual_seed(1)
    source = torch.randint(1, 7, (S, B), generator=draw)
    for row, length in enumerate(LENGTHS):
        source[: S - length, row] = 0
    return source


def search(model, width, *, alpha=0.0, limit=6, rows=slice(None)):
    count = len(LENGTHS[rows])
    return beam_search(
        model,
        sources()[:, rows],
        LENGTHS[rows],
        width=width,
        length_penalty=alpha,
        limits=torch.full((count,), limit),
    )


@torch.inference_mode()
def log_prob(model, row, tokens, *, ended=True):
    """Add up the log-probabilities of a target and, where it ended, of its end."""
    memory, carry = model.read(sources()[:, row : row + 1], LENGTHS[row : row + 1])
    total, before = 0.0, 0
    for token in [*tokens, *[0] * ended]:
        features, _, carry = model.step(torch.tensor([before]), memory, carry)
        total += model.log_probs(features)[0, token].item()
        before = token
    return total


def test_a_greedy_target_takes_the_likeliest_token_at_each_step():
    model = network()
    for row, (found,) in enumerate(search(model, 1)):
        memory, carry = model.read(sources()[:, row : row + 1], LENGTHS[row : row + 1])
        tokens, before = [], 0
        for _ in range(6):
            with torch.inference_mode():
                features, _, carry = model.step(torch.tensor([before]), memory, carry)
                before = int(model.log_probs(features).argmax())
            if before == 0:
                break
            tokens.append(before)
        assert found.tokens == tokens


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_a_wide_beam_finds_the_best_of_all_targets(alpha):
    model = network()
    limit = 4

    def score(row, tokens):
        return log_prob(model, row, tokens) / ((5 + len(tokens) + 1) / 6) ** alpha

    targets = [t for n in range(limit) for t in itertools.product(range(1, V), repeat=n)]
    for row, found in enumerate(search(model, 400, alpha=alpha, limit=limit)):
        best = max(targets, key=lambda tokens: score(row, tokens))
        assert found[0].tokens == list(best)
        assert found[0].score == pytest.approx(score(row, best), rel=1e-4)


@pytest.mark.parametrize("width", [1, 3])
def test_log_probabilities_are_those_of_the_target(width):
    model = network()
    for row, found in enumerate(search(model, width)):
        assert len(found) <= width
        for one in found:
            assert one.log_prob == pytest.approx(
                log_prob(model, row, one.tokens, ended=one.complete), rel=1e-4
            )
            assert one.complete or len(one.tokens) == 6


def test_a_batch_gives_what_each_source_gives_alone():
    model = network()
    together = search(model, 3, alpha=1.0)
    for row in range(B):
        (alone,) = search(model, 3, alpha=1.0, rows=slice(row, row + 1))
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]


def test_a_length_penalty_favours_longer_targets():
    model = network()
    lengths = [
        np.mean([len(found[0].tokens) for found in search(model, 30, alpha=alpha)]) for alpha in (0.0, 3.0)
    ]
    assert lengths[0] < lengths[1]


def test_weights_are_those_of_each_step_along_the_targets_own_path():
    model = network()
    for row, found in enumerate(search(model, 3)):
        for one in found:
            memory, carry = model.read(sources()[:, row : row + 1], LENGTHS[row : row + 1])
            assert one.weights.shape == (len(one.tokens), S)
            for before, weights in zip([0, *one.tokens], one.weights, strict=False):
                with torch.inference_mode():
                    _, plain, carry = model.step(torch.tensor([before]), memory, carry)
                np.testing.assert_allclose(weights, plain[0], rtol=1e-4, atol=1e-6)


def test_without_attention_there_are_no_weights():
    (found, *_) = search(network("none", input_feeding=False), 2)
    assert found[0].weights.shape == (len(found[0].tokens), 0)
    assert math.isfinite(found[0].score)

import math

import numpy as np
import pytest

from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.sampling.filters import probabilities
from tests.kernels.plain_decode import fixed_distribution

DRAWS = 1_000_000


def many_draws(logits, draws=DRAWS, **filters):
    """Count the tokens of many draws from one distribution, from which EOS is left out."""
    bias = np.zeros(len(logits), np.float32)
    bias[0] = -np.inf
    filters = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} | filters
    decoder = Decoder(fixed_distribution(logits), cell="rnn")
    tokens, _ = decoder.draw(decoder.start([0]), DrawRule(seed=np.uint64(3), bias=bias, **filters), draws)
    counts = np.bincount(tokens[0], minlength=len(logits))
    return counts, probabilities(np.asarray(logits), bias=bias, **filters)


def chi_squared_limit(freedom):
    """Return what the statistic stays below 999 times in 1,000 (Wilson and Hilferty 1931)."""
    return freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"top_k": 5},
        {"top_p": 0.8},
        {"temperature": 1.3, "top_k": 9, "top_p": 0.9},
    ],
    ids=str,
)
def test_frequencies_match_the_filtered_distribution(filters):
    logits = np.random.default_rng(1).normal(0, 1.2, 17)
    counts, expected = many_draws(logits, **filters)
    assert counts[expected == 0].sum() == 0
    kept = expected > 0
    statistic = ((counts[kept] - DRAWS * expected[kept]) ** 2 / (DRAWS * expected[kept])).sum()
    assert statistic < chi_squared_limit(kept.sum() - 1)


def kept_tokens(logits, **filters):
    return np.flatnonzero(many_draws(logits, 20_000, **filters)[0]).tolist()


def test_temperature_zero_takes_the_first_of_the_likeliest():
    assert kept_tokens([0, 1, 3, 3, 2], temperature=0.0) == [2]


def test_top_k_keeps_equals_of_the_last_one_kept():
    assert kept_tokens([0, 2, 1, 1, 0.5], top_k=2) == [1, 2, 3]


def test_top_k_beyond_the_vocabulary_keeps_all():
    assert kept_tokens([0, 2, 1, 1, 0.5], top_k=100) == [1, 2, 3, 4]


def test_top_k_of_one_is_greedy():
    assert kept_tokens([0, 2, 1, 2.5, 0.5], top_k=1) == [3]


def test_top_p_keeps_the_token_that_crosses_the_share():
    halves = np.log([1, 0.5, 0.25, 0.125, 0.125])
    assert kept_tokens(halves, top_p=0.5) == [1]
    assert kept_tokens(halves, top_p=0.51) == [1, 2]
    assert kept_tokens(halves, top_p=0.76) == [1, 2, 3, 4]


def test_top_p_is_a_share_of_what_top_k_left():
    assert kept_tokens(np.log([1, 0.4, 0.4, 0.1, 0.1]), top_k=2, top_p=0.5) == [1, 2]
    assert kept_tokens(np.log([1, 0.5, 0.3, 0.1, 0.1]), top_k=2, top_p=0.6) == [1]


def test_tiny_top_p_keeps_the_likeliest():
    assert kept_tokens([0, 2, 1, 2.5, 0.5], top_p=1e-9) == [3]


def test_huge_logits_do_not_overflow():
    assert kept_tokens([0, 3e38, -3e38, 2.9e38, 0], temperature=0.01) == [1]

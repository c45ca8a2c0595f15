import math
from collections import Counter

import numpy as np
import pytest

from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.sampling.automata import make_automaton
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
        {"min_p": 0.15},
        {"typical": 0.6},
        {"top_k": 12, "min_p": 0.02, "typical": 0.9},
        {"temperature": 0.8, "relative": np.linspace(0.5, 2, 17, dtype=np.float32)},
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


def test_min_p_is_a_share_of_the_likeliest_and_keeps_what_just_reaches_it():
    assert kept_tokens(np.log([8, 8, 4, 2, 1]), min_p=0.5) == [1, 2]
    assert kept_tokens(np.log([8, 8, 4, 2, 1]), min_p=0.51) == [1]


def test_typical_leaves_out_the_likeliest_where_that_tells_too_little():
    shares = np.array([9, 0.3, *[0.1] * 7])
    assert kept_tokens(np.log(shares), typical=0.4) == [2, 3, 4, 5, 6, 7, 8]


def test_a_repetition_penalty_does_not_depend_on_a_constant_in_all_logits():
    logits = np.random.default_rng(2).normal(0, 2, 9)
    first, second = (many_draws(logits + shift, 20_000, repetition=1.5)[0] for shift in (0, 30))
    assert abs(first - second).max() < 20


def test_huge_logits_do_not_overflow():
    assert kept_tokens([0, 3e38, -3e38, 2.9e38, 0], temperature=0.01) == [1]


def test_frequencies_of_whole_constrained_sequences_are_those_of_the_definition():
    # 1 any number of times, then 2 or 3, at most three tokens: at each step the rest is shared out anew.
    kinds = np.array([0, 1, 2, 2])
    edges = np.array([0, 0]), np.array([1, 2]), np.array([0, 1])
    constraint = make_automaton(kinds, *edges, np.array([False, True])).tables(3)
    logits = np.log([0.4, 0.3, 0.2, 0.1])
    rule = DrawRule(1.0, 0, 1.0, np.uint64(11), np.zeros(4, np.float32))
    decoder, count = Decoder(fixed_distribution(logits), cell="rnn"), 20_000
    tokens, _ = decoder.draw(decoder.start(range(count)), rule, 3, constraint=constraint)
    # Before the last token 1 may stand (0.3 of 0.6), as the last one it may not (2 of 3 is for token 2).
    expected = {(2, 0, -1): 1 / 3, (3, 0, -1): 1 / 6, (1, 2, 0): 1 / 6, (1, 3, 0): 1 / 12,
                (1, 1, 2): 1 / 6, (1, 1, 3): 1 / 12}  # fmt: skip
    found = Counter(map(tuple, tokens.tolist()))
    assert set(found) == set(expected)
    statistic = sum((found[key] - count * share) ** 2 / (count * share) for key, share in expected.items())
    assert statistic < chi_squared_limit(len(expected) - 1)

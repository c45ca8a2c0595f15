import math
from collections import Counter

import numpy as np
import pytest

from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import BLOCK, DrawRule, units
from seqgen.kernels.philox import uniforms
from seqgen.sampling.automata import make_automaton
from seqgen.sampling.filters import draw, probabilities
from tests.kernels.plain_decode import fixed_distribution

DRAWS = 1_000_000
SEQUENCES = 1_000
PAST = [3, 5, 3, 8, 5, 3, 6, 6, 8, 5]


def rule(vocab, bias, **filters):
    """Return a rule that never draws EOS, with a bias for some tokens."""
    biases = np.zeros(vocab, np.float32)
    for token, value in {0: -np.inf, **dict(bias)}.items():
        biases[token] = value
    filters = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} | filters
    return DrawRule(seed=np.uint64(3), bias=biases, **filters)


def many_draws(logits, draws=DRAWS, *, past=(), step=0, bias=(), **filters):
    """Count the tokens that many sequences with the same past draw at a step, one each."""
    drawing = rule(len(logits), bias, **filters)
    decoder, past = Decoder(fixed_distribution(logits), cell="rnn"), np.array([past], np.int64)
    state, counts = decoder.start(range(SEQUENCES)), np.zeros(len(logits), np.int64)
    for first in range(0, draws, SEQUENCES):
        state.draws.sequence[:], state.draws.step[:] = np.arange(first, first + SEQUENCES), step
        tokens, _ = decoder.draw(state, drawing, 1, past=past)
        counts += np.bincount(tokens[:, 0], minlength=len(logits))
    return counts


def expected_shares(logits, *, past=(), step=0, bias=(), **filters):
    """Return the distribution of the same draws by definition."""
    slope, slope_steps = filters.pop("slope", 0.0), filters.pop("slope_steps", 0)
    temperature = filters.pop("temperature", 1.0) + slope * min(step, slope_steps)
    biases = rule(len(logits), bias).bias
    return probabilities(np.asarray(logits), temperature=temperature, bias=biases, seen=past, **filters)


def assert_counts_match(counts, expected):
    """Compare by Pearson's chi-squared test; what has no probability was never drawn."""
    assert counts[expected == 0].sum() == 0
    kept = expected > 0
    draws, freedom = counts.sum(), kept.sum() - 1
    statistic = ((counts[kept] - draws * expected[kept]) ** 2 / (draws * expected[kept])).sum()
    assert statistic < chi_squared_limit(freedom)


def chi_squared_limit(freedom):
    """Return what the statistic stays below 999 times in 1,000 (Wilson and Hilferty 1931)."""
    return freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"temperature": 1.5, "slope": -0.1, "slope_steps": 9, "step": 3},
        {"temperature": 0.6, "slope": 0.2, "slope_steps": 4, "step": 7},
        {"temperature": 0.8, "relative": np.linspace(0.5, 2, 17, dtype=np.float32)},
        {"top_k": 5},
        {"top_p": 0.8},
        {"temperature": 1.3, "top_k": 9, "top_p": 0.9},
        {"min_p": 0.15},
        {"typical": 0.6},
        {"top_k": 12, "min_p": 0.02, "typical": 0.9},
        {"bias": {4: 1.5, 7: -0.7, 9: -np.inf}},
        {"past": PAST, "repetition": 1.4},
        {"past": PAST, "repetition": 0.7, "window": 4},
        {"past": PAST, "frequency": 0.6},
        {"past": PAST, "frequency": -0.3, "window": 6},
        {"past": PAST, "ngram": 1},
        {"past": PAST, "ngram": 3},
        {"past": PAST, "temperature": 1.2, "slope": 0.01, "slope_steps": 20, "step": 10, "repetition": 1.2,
         "frequency": 0.2, "window": 7, "ngram": 2, "bias": {2: 0.8, 12: -np.inf}, "top_k": 12,
         "top_p": 0.95, "min_p": 0.02, "typical": 0.9},
    ],
    ids=lambda given: ", ".join(key if key == "relative" else f"{key} {given[key]}" for key in given),
)  # fmt: skip
def test_frequencies_match_the_distribution_that_options_leave(given):
    logits = np.random.default_rng(1).normal(0, 1.2, 17)
    assert_counts_match(many_draws(logits, **given), expected_shares(logits, **given))


def test_frequencies_over_the_steps_of_one_sequence_match_the_distribution():
    logits = np.random.default_rng(1).normal(0, 1.2, 17)
    decoder = Decoder(fixed_distribution(logits), cell="rnn")
    tokens, _ = decoder.draw(decoder.start([0]), rule(17, ()), DRAWS)
    assert_counts_match(np.bincount(tokens[0], minlength=17), expected_shares(logits))


@pytest.mark.parametrize("filters", [{}, {"top_k": 40, "top_p": 0.9}, {"min_p": 0.01}], ids=str)
def test_draws_from_a_vocabulary_of_several_blocks_are_those_of_the_definition(filters):
    logits = np.random.default_rng(1).normal(0, 1.2, 2 * BLOCK + 300).astype(np.float32)
    decoder, steps = Decoder(fixed_distribution(logits), cell="rnn"), 300
    tokens, _ = decoder.draw(decoder.start([4]), rule(len(logits), (), **filters), steps)
    shares = expected_shares(logits, **filters)
    expected = [draw(shares, number) for number in uniforms(3, 4, np.arange(steps))]
    assert tokens[0].tolist() == expected
    assert filters or len(set(np.array(expected) // BLOCK)) == 3


def test_units_are_counted_exactly():
    weights = np.exp(-np.random.default_rng(1).uniform(0, 40, 2 * BLOCK + 300)).astype(np.float32)
    weights[[1, 3, 5]] = 0.0, 1.0, 2.0**-40
    assert units(weights) == np.floor(weights.astype(np.float64) * 2**40).sum()
    assert units(np.ones(BLOCK, np.float32)) == BLOCK * 2**40


def kept_tokens(logits, **filters):
    return np.flatnonzero(many_draws(logits, 20_000, **filters)).tolist()


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
    first, second = (many_draws(logits + shift, 20_000, past=PAST, repetition=1.5) for shift in (0, 30))
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

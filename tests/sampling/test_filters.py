import numpy as np
import pytest

from seqgen.sampling.filters import draw, probabilities

EIGHTHS = np.log([1 / 8, 4 / 8, 2 / 8, 1 / 8])


def test_temperature_one_is_the_softmax():
    assert probabilities(EIGHTHS) == pytest.approx([1 / 8, 4 / 8, 2 / 8, 1 / 8])


def test_temperature_a_half_squares_the_probabilities():
    assert probabilities(EIGHTHS, temperature=0.5) == pytest.approx(np.array([1, 16, 4, 1]) / 22)


def test_a_temperature_by_token_counts_from_the_likeliest():
    relative = np.array([1, 5, 2, 0.5])
    weights = np.array([1 / 4, 1, (2 / 4) ** 2, (1 / 4) ** 0.5])
    assert probabilities(EIGHTHS, relative=relative) == pytest.approx(weights / weights.sum())


def test_temperature_zero_leaves_one_token():
    assert probabilities(EIGHTHS, temperature=0.0).tolist() == [0, 1, 0, 0]


def test_bias_of_minus_infinity_forbids_a_token():
    forbidden = np.array([0, -np.inf, 0, 0])
    assert probabilities(EIGHTHS, bias=forbidden) == pytest.approx([1 / 4, 0, 2 / 4, 1 / 4])


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"top_k": 1}, [1]),
        ({"top_k": 2}, [1, 2]),
        ({"top_k": 3}, [0, 1, 2, 3]),
        ({"top_k": 9}, [0, 1, 2, 3]),
        ({"top_p": 0.4}, [1]),
        ({"top_p": 0.6}, [1, 2]),
        ({"top_p": 0.8}, [0, 1, 2, 3]),
        ({"top_k": 2, "top_p": 0.6}, [1]),
    ],
    ids=str,
)
def test_filters_keep_the_likeliest_and_their_equals(filters, kept):
    assert np.flatnonzero(probabilities(EIGHTHS, **filters)).tolist() == kept


def test_filtered_probabilities_add_up_to_one():
    assert probabilities(EIGHTHS, top_k=2, temperature=1.7).sum() == pytest.approx(1)


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.24, 1), (0.26, 3), (1 - 2**-53, 3)])
def test_draw_inverts_the_running_sum_and_skips_what_has_no_probability(uniform, token):
    assert draw(np.array([0, 0.25, 0, 0.75, 0]), uniform) == token


def test_min_p_keeps_a_share_of_the_likeliest_after_the_temperature():
    assert np.flatnonzero(probabilities(EIGHTHS, min_p=0.5)).tolist() == [1, 2]
    assert np.flatnonzero(probabilities(EIGHTHS, min_p=0.2)).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(probabilities(EIGHTHS, min_p=0.2, temperature=0.5)).tolist() == [1, 2]


def test_typical_keeps_what_surprises_as_much_as_is_expected():
    # entropy is 1.75 bits: 2/8 surprises by 2, then 4/8 by 1, then the others by 3
    assert np.flatnonzero(probabilities(EIGHTHS, typical=0.25)).tolist() == [2]
    assert np.flatnonzero(probabilities(EIGHTHS, typical=0.26)).tolist() == [1, 2]
    assert np.flatnonzero(probabilities(EIGHTHS, typical=0.76)).tolist() == [0, 1, 2, 3]


def test_a_repetition_penalty_raises_the_probability_of_what_was_seen_to_a_power():
    expected = np.array([1 / 8, (4 / 8) ** 2, 2 / 8, 1 / 8])
    found = probabilities(EIGHTHS, repetition=2.0, seen=[1, 1])
    assert found == pytest.approx(expected / expected.sum())


def test_a_frequency_penalty_counts():
    expected = np.array([1, 4 * np.exp(-1.0), 2, np.exp(-0.5)])
    found = probabilities(EIGHTHS, frequency=0.5, seen=[1, 3, 1])
    assert found == pytest.approx(expected / expected.sum())


def test_penalties_look_at_the_last_tokens_of_their_window():
    found = probabilities(EIGHTHS, frequency=0.5, repetition=3.0, seen=[2, 2, 1, 3], window=1)
    assert found == pytest.approx(probabilities(EIGHTHS, frequency=0.5, repetition=3.0, seen=[3]))


def test_a_token_is_forbidden_that_would_repeat_a_run():
    assert np.flatnonzero(probabilities(EIGHTHS, ngram=3, seen=[1, 2, 3, 1, 2])).tolist() == [0, 1, 2]
    assert probabilities(EIGHTHS, ngram=3, seen=[1, 2]).all()
    assert np.flatnonzero(probabilities(EIGHTHS, ngram=1, seen=[1, 2, 1])).tolist() == [0, 3]


def test_an_end_takes_over_the_probability_of_what_is_forbidden():
    allowed = np.array([True, True, False, False])
    assert probabilities(EIGHTHS, allowed=allowed) == pytest.approx([1 / 5, 4 / 5, 0, 0])
    assert probabilities(EIGHTHS, allowed=allowed, concludes=True) == pytest.approx([4 / 8, 4 / 8, 0, 0])
    allowed[0] = False
    assert probabilities(EIGHTHS, allowed=allowed, concludes=True) == pytest.approx([0, 1, 0, 0])


def test_the_last_token_left_may_repeat_a_run():
    allowed = np.array([False, True, True, False])
    found = probabilities(EIGHTHS, ngram=1, seen=[1, 2], allowed=allowed)
    assert np.flatnonzero(found).tolist() == [2]

import numpy as np
import pytest

from seqgen.sampling.filters import draw, probabilities

EIGHTHS = np.log([1 / 8, 4 / 8, 2 / 8, 1 / 8])


def test_temperature_one_is_the_softmax():
    assert probabilities(EIGHTHS) == pytest.approx([1 / 8, 4 / 8, 2 / 8, 1 / 8])


def test_temperature_a_half_squares_the_probabilities():
    assert probabilities(EIGHTHS, temperature=0.5) == pytest.approx(np.array([1, 16, 4, 1]) / 22)


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

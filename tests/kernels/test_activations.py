import numpy as np
import pytest

from seqgen.kernels.activations import exp, lstm_gates, sigmoid, tanh, two_sigmoids
from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, load, store


@compiled
def _map_tanh(values, results):
    for i in range(0, len(values), LANES):
        store(results, i, tanh(load(values, i)))


@compiled
def _map_sigmoid(values, results):
    for i in range(0, len(values), LANES):
        store(results, i, sigmoid(load(values, i)))


@compiled
def _map_exp(values, results):
    for i in range(0, len(values), LANES):
        store(results, i, exp(load(values, i)))


def mapped(function, values):
    padded = np.zeros(-(-len(values) // LANES) * LANES, np.float32)
    padded[: len(values)] = values
    results = np.empty_like(padded)
    function(padded, results)
    return results[: len(values)].astype(np.float64)


WIDE = np.concatenate([np.linspace(-30, 30, 200_001), np.linspace(-1e-3, 1e-3, 2_001)]).astype(np.float32)


def test_tanh_is_within_4e_7_of_exact():
    exact = np.tanh(WIDE.astype(np.float64))
    assert np.abs(mapped(_map_tanh, WIDE) - exact).max() < 4e-7


def test_tanh_near_zero_is_right_relative_to_its_size():
    small = np.geomspace(1e-30, 1, 1000).astype(np.float32)
    exact = np.tanh(small.astype(np.float64))
    assert np.abs(mapped(_map_tanh, small) / exact - 1).max() < 4e-7


def test_sigmoid_is_within_4e_7_of_exact():
    exact = 1 / (1 + np.exp(-WIDE.astype(np.float64)))
    assert np.abs(mapped(_map_sigmoid, WIDE) - exact).max() < 4e-7


@pytest.mark.parametrize(("function", "lowest"), [(_map_tanh, -1), (_map_sigmoid, 0)])
def test_values_never_leave_their_range(function, lowest):
    values = mapped(function, np.concatenate([WIDE, np.float32([-np.inf, np.inf])]))
    assert values.min() >= lowest
    assert values.max() <= 1


def test_exp_is_within_4e_7_of_its_exact_value():
    values = np.linspace(-87, 87, 100_001).astype(np.float32)
    exact = np.exp(values.astype(np.float64))
    assert np.abs(mapped(_map_exp, values) / exact - 1).max() < 4e-7


def test_exp_does_not_overflow():
    assert np.isfinite(mapped(_map_exp, np.float32([-1e30, 1e30]))).all()


@pytest.mark.parametrize("function", [_map_tanh, _map_sigmoid, _map_exp])
def test_nan_passes_through(function):
    assert np.isnan(mapped(function, np.float32([np.nan]))).all()


@compiled
def _map_gates(values, results):
    for i in range(0, len(values), LANES):
        x = load(values, i)
        a, b, c, d = lstm_gates(x, np.float32(-1) * x, np.float32(0.5) * x, x + x)
        e, f = two_sigmoids(x, np.float32(3) * x)
        for row, value in enumerate((a, b, c, d, e, f)):
            store(results[row], i, value)


def test_gates_that_share_a_division_are_within_4e_7_of_exact():
    x = WIDE[: len(WIDE) // LANES * LANES].astype(np.float64)
    results = np.empty((6, len(x)), np.float32)
    _map_gates(x.astype(np.float32), results)
    exact = [1 / (1 + np.exp(-scale * x)) for scale in (1, -1, 2, 1, 3)]
    exact.insert(2, np.tanh(0.5 * x))
    assert np.abs(results - exact).max() < 4e-7

import numpy as np

from seqgen.kernels.exponential import exp
from seqgen.kernels.jit import compiled


@compiled
def _map_exp(values, results):
    for i in range(len(values)):
        results[i] = exp(values[i])


def mapped(values):
    values = np.asarray(values, np.float32)
    results = np.empty_like(values)
    _map_exp(values, results)
    return results


def test_exp_is_within_2e_7_of_exact():
    values = np.linspace(-87, 87, 400_001).astype(np.float32)
    assert np.abs(mapped(values) / np.exp(values.astype(np.float64)) - 1).max() < 2e-7


def test_exp_of_zero_is_exactly_one():
    assert mapped([0.0]).tolist() == [1.0]


def test_exp_beyond_float32_is_held_at_its_ends():
    low, high = mapped([-1e9, 1e9])
    assert 0 < low < 2e-38
    assert 1e37 < high < np.inf

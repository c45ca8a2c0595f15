import numpy as np
import pytest
from numba import njit

from seqgen.kernels import int8
from seqgen.kernels.int8 import LARGEST_WEIGHT, OFFSET, STEPS, add_int8_product, quantize, write_digits


def whole_weights(values, rows):
    """Undo the block layout: (blocks, K/4, BLOCK, 4) -> (rows, K)."""
    return values.transpose(0, 2, 1, 3).reshape(-1, 4 * values.shape[1])[:rows].astype(np.int64)


def random_matrix(rows, depth, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, depth)).astype(np.float32)


def digits_of(vectors):
    digits = np.zeros((len(vectors), 2, vectors.shape[1]), np.uint8)
    for vector, row in zip(vectors, digits, strict=True):
        write_digits(vector, row)
    return digits


def test_weights_are_rounded_to_the_nearest_of_255_steps_a_row():
    matrix = random_matrix(70, 12)
    values, scales, _ = quantize(matrix)
    whole = whole_weights(values, 70)
    step = np.abs(matrix).max(axis=1) / LARGEST_WEIGHT
    assert np.abs(whole).max(axis=1).tolist() == [LARGEST_WEIGHT] * 70
    assert (np.abs(whole * step[:, None] - matrix) <= step[:, None] * 0.501).all()
    assert scales[:70] == pytest.approx(step / STEPS)


def test_a_row_of_zeros_stays_zero():
    values, scales, corrections = quantize(np.zeros((3, 8), np.float32))
    assert not values.any()
    assert np.isfinite(scales).all()
    assert not corrections.any()


def test_digits_are_the_input_in_12_bits():
    vector = np.float32([-1, -0.5, 0, 0.25, 1, 1 / STEPS, -0.4 / STEPS, 0.4 / STEPS])
    digits = digits_of(vector[None])[0].astype(int)
    numbers = digits[0] + 256 * digits[1] - OFFSET
    assert numbers.tolist() == [-2047, -1023, 0, 512, 2047, 1, 0, 0]


def product(multiply, rows, depth, batch, live):
    vectors = np.tanh(random_matrix(batch, depth, seed=1))
    values, scales, corrections = quantize(random_matrix(rows, depth))
    digits = digits_of(vectors)
    out = np.ones((batch, len(scales)), np.float32)
    multiply(digits, values, scales, corrections, out, np.array(live))
    numbers = digits[:, 0].astype(np.int64) + 256 * digits[:, 1].astype(np.int64) - OFFSET
    sums = numbers @ whole_weights(values, rows).T
    return out[:, :rows], 1 + sums * scales[:rows].astype(np.float64), sums


@pytest.mark.parametrize(("rows", "depth"), [(1, 4), (64, 16), (65, 48), (200, 2048)])
def test_products_are_exact_in_integers(rows, depth):
    found, expected, _ = product(add_int8_product, rows, depth, 2, [True, True])
    assert np.abs(found / expected - 1).max() < 1e-6


def test_rows_that_have_ended_are_left_alone():
    found, expected, _ = product(add_int8_product, 70, 16, 3, [True, False, True])
    assert (found[1] == 1).all()
    assert np.abs(found[[0, 2]] / expected[[0, 2]] - 1).max() < 1e-6


def test_ordinary_multiplications_give_the_same_bits_as_byte_products(monkeypatch):
    fast, _, _ = product(add_int8_product, 130, 96, 2, [True, True])
    monkeypatch.setattr(int8, "_has_vnni", lambda: False)
    plain = njit(add_int8_product.py_func)
    slow, _, _ = product(plain, 130, 96, 2, [True, True])
    assert slow.tobytes() == fast.tobytes()


def test_the_largest_sums_fit_in_32_bits():
    depth = 8192
    values, scales, corrections = quantize(np.ones((1, depth), np.float32))
    out = np.zeros((1, len(scales)), np.float32)
    digits = digits_of(np.ones((1, depth), np.float32))
    add_int8_product(digits, values, scales, corrections, out, np.array([True]))
    assert out[0, 0] == pytest.approx(depth, rel=1e-6)

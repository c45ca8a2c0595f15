import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features
from numba import njit

from seqgen.kernels import int8
from seqgen.kernels.int8 import (
    DIGIT_BITS,
    LARGEST_WEIGHT,
    OFFSET,
    STEPS,
    add_int8_product,
    quantize,
    write_digits,
)


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
    matrix = random_matrix(70, 24)
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
    assert digits.max() < 2**DIGIT_BITS
    numbers = digits[0] + 2**DIGIT_BITS * digits[1] - OFFSET
    assert numbers.tolist() == [-2047, -1023, 0, 512, 2047, 1, 0, 0]


def product(multiply, rows, depth, batch, live):
    matrix, vectors = random_matrix(rows, depth), np.tanh(random_matrix(batch, depth, seed=1))
    return product_of(multiply, matrix, vectors, live)


def product_of(multiply, matrix, vectors, live):
    """Return what a product adds to ones, what it should, and its sums of whole numbers."""
    rows, batch = len(matrix), len(vectors)
    values, scales, corrections = quantize(matrix)
    digits = digits_of(vectors)
    out = np.ones((batch, len(scales)), np.float32)
    multiply(digits, values, scales, corrections, out, np.array(live))
    numbers = digits[:, 0].astype(np.int64) + 2**DIGIT_BITS * digits[:, 1].astype(np.int64) - OFFSET
    sums = numbers @ whole_weights(values, rows).T
    return out[:, :rows], 1 + sums * scales[:rows].astype(np.float64), sums


@pytest.mark.parametrize(("rows", "depth"), [(1, 8), (64, 16), (65, 48), (200, 2048)])
def test_products_are_exact_in_integers(rows, depth):
    found, expected, _ = product(add_int8_product, rows, depth, 2, [True, True])
    assert np.abs(found / expected - 1).max() < 1e-6


def test_rows_that_have_ended_are_left_alone():
    found, expected, _ = product(add_int8_product, 70, 16, 3, [True, False, True])
    assert (found[1] == 1).all()
    assert np.abs(found[[0, 2]] / expected[[0, 2]] - 1).max() < 1e-6


FEATURES = {"_sums_vnni": "avx512vnni", "_sums_avx2": "avx2", "_sums_plain": None}
WAYS = [name for name, feature in FEATURES.items() if not feature or get_host_cpu_features().get(feature)]


@pytest.fixture(params=WAYS)
def multiply(request, monkeypatch):
    """Compile the product anew by each way to sum that this processor has."""
    monkeypatch.setattr(int8, "_best_sums", lambda: getattr(int8, request.param))
    return njit(add_int8_product.py_func)


def test_all_ways_to_sum_give_the_same_bits(multiply):
    usual, _, _ = product(add_int8_product, 130, 96, 2, [True, True])
    found, _, _ = product(multiply, 130, 96, 2, [True, True])
    assert found.tobytes() == usual.tobytes()


@pytest.mark.parametrize("of_weights", [1, -1])
@pytest.mark.parametrize("of_inputs", [1, -1])
def test_the_largest_sums_fit(multiply, of_weights, of_inputs):
    depth = 8192
    matrix, vectors = (np.full((1, depth), sign, np.float32) for sign in (of_weights, of_inputs))
    found, _, sums = product_of(multiply, matrix, vectors, [True])
    assert sums[0, 0] == of_weights * of_inputs * depth * LARGEST_WEIGHT * STEPS
    assert found[0, 0] == pytest.approx(1 + of_weights * of_inputs * depth, rel=1e-6)

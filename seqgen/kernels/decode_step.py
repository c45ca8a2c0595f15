"""What a step of the sampling loop is made of: products with weights, and what a cell does with them."""

from typing import Any

import numpy as np

from seqgen.kernels.exponential import sigmoid, tanh
from seqgen.kernels.int8 import add_int8_product, write_digits
from seqgen.kernels.jit import compiled, fma
from seqgen.kernels.layout import CELLS

LSTM, GRU = CELLS["lstm"], CELLS["gru"]
DEPTH = 8  # terms of a product that are added in one pass over its outputs
ZERO = np.float32(0)


@compiled
def forget(state: Any, row: Any) -> None:
    """Zero a row's state: at a document's edge, what came before does not matter."""
    for layer in range(state.hidden.shape[0]):
        for j in range(state.hidden.shape[2]):
            state.hidden[layer, row, j] = ZERO
            state.memory[layer, row, j] = ZERO


@compiled
def copy(source: Any, target: Any) -> None:
    """Copy a row."""
    for j in range(len(source)):
        target[j] = source[j]


@compiled
def multiply(vectors: Any, matrices: Any, index: Any, digits: Any, live: Any, out: Any) -> None:
    """Add the products of the live rows of `vectors`, within ±1, with one of the matrices to `out`."""
    if len(matrices.floats):
        _add_product(vectors, matrices.floats[index], out, live)
        return
    for row in range(len(live)):
        if live[row]:
            write_digits(vectors[row], digits[row])
    values, scales, corrections = matrices.values, matrices.scales, matrices.corrections
    add_int8_product(digits, values[index], scales[index], corrections[index], out, live)


@compiled
def _add_product(vectors: Any, matrix: Any, out: Any, live: Any) -> None:
    """Add vectors @ matrix to `out` in the live rows: (B, K) @ (K, R) -> (B, R), terms in the order of K.

    The matrix comes in tiles of columns, (R/W, K, W), so that a tile's rows stay in the nearest cache while
    all sequences use them.
    """
    tiles, depth, width = matrix.shape
    for tile in range(tiles):
        start = tile * width
        for k in range(0, depth, DEPTH):
            for row in range(len(live)):
                if not live[row]:
                    continue
                x0, x1, x2, x3 = (
                    vectors[row, k],
                    vectors[row, k + 1],
                    vectors[row, k + 2],
                    vectors[row, k + 3],
                )
                x4, x5, x6 = vectors[row, k + 4], vectors[row, k + 5], vectors[row, k + 6]
                x7 = vectors[row, k + 7]
                for r in range(width):
                    total = fma(matrix[tile, k, r], x0, out[row, start + r])
                    total = fma(matrix[tile, k + 1, r], x1, total)
                    total = fma(matrix[tile, k + 2, r], x2, total)
                    total = fma(matrix[tile, k + 3, r], x3, total)
                    total = fma(matrix[tile, k + 4, r], x4, total)
                    total = fma(matrix[tile, k + 5, r], x5, total)
                    total = fma(matrix[tile, k + 6, r], x6, total)
                    out[row, start + r] = fma(matrix[tile, k + 7, r], x7, total)


@compiled
def update(gates: Any, from_input: Any, from_hidden: Any, hidden: Any, memory: Any) -> None:
    """Squash the gates of one sequence and update its hidden state (and memory), each (H,), in place."""
    size = len(hidden)
    if gates == LSTM:
        for j in range(size):
            i = sigmoid(from_input[j] + from_hidden[j])
            f = sigmoid(from_input[size + j] + from_hidden[size + j])
            g = tanh(from_input[2 * size + j] + from_hidden[2 * size + j])
            o = sigmoid(from_input[3 * size + j] + from_hidden[3 * size + j])
            memory[j] = f * memory[j] + i * g
            hidden[j] = o * tanh(memory[j])
    elif gates == GRU:
        for j in range(size):
            r = sigmoid(from_input[j] + from_hidden[j])
            z = sigmoid(from_input[size + j] + from_hidden[size + j])
            n = tanh(from_input[2 * size + j] + r * from_hidden[2 * size + j])
            hidden[j] = n + z * (hidden[j] - n)
    else:
        for j in range(size):
            hidden[j] = tanh(from_input[j] + from_hidden[j])

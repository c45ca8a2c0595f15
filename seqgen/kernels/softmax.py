"""Softmax cross-entropy of rows of logits and its gradient, while a row is in the nearest cache."""

import math

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.activations import exp
from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, at_least, largest_of, load, store, sum_of
from seqgen.kernels.team import flush_denormals, restore_denormals

Floats = NDArray[np.float32]

_LOWEST = np.float32(-1e30)


@compiled
def softmax_rows(
    logits: Floats,
    vocab: int,
    bias: Floats,
    targets: NDArray[np.int64],
    ignored: int,
    scale: np.float32,
    losses: NDArray[np.float64],
    begin: int,
    end: int,
) -> None:
    """Turn rows of logits into the gradient of their summed loss, and write each row's loss.

    Args:
        logits: (R, at least V): without bias; afterwards (softmax - target) · scale. Rows are a multiple of
            LANES long, what is beyond V being room.
        vocab: V.
        bias: As long as a row; anything beyond V.
        targets: (R,), the index of each row's target, or `ignored`: then its loss and gradient are 0.
        ignored: See `targets`.
        scale: Multiplies the gradient.
        losses: (R,), cross-entropy in nats.
        begin: First row to do.
        end: Row to stop before.
    """
    width, before = logits.shape[1], flush_denormals()
    for r in range(begin, end):
        row, target = logits[r], targets[r]
        if target == ignored:
            row[:], losses[r] = np.float32(0.0), 0.0
            continue
        row[vocab:] = _LOWEST
        largest = load(row, 0) + load(bias, 0)
        for j in range(0, width, LANES):
            value = load(row, j) + load(bias, j)
            largest = at_least(largest, value)
            store(row, j, value)
        top, right = largest_of(largest), row[target]
        total = exp(load(row, 0) - top)
        store(row, 0, total)
        for j in range(LANES, width, LANES):
            power = exp(load(row, j) - top)
            total = total + power
            store(row, j, power)
        whole = sum_of(total)
        losses[r] = math.log(whole) + np.float64(top) - np.float64(right)
        for j in range(0, width, LANES):
            store(row, j, load(row, j) * (scale / whole))
        row[target] -= scale
    restore_denormals(before)

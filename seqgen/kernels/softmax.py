"""Softmax cross-entropy of rows of logits and its gradient, while a row is in the nearest cache."""

import math

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.activations import exp
from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, at_least, largest_of, load, store, sum_of
from seqgen.kernels.team import flush_denormals, restore_denormals

Floats = NDArray[np.float32]
ONE = np.float32(1)


@compiled
def softmax_rows(
    logits: Floats | NDArray[np.uint16],
    vocab: int,
    bias: Floats,
    targets: NDArray[np.int64],
    ignored: int,
    smoothing: np.float32,
    spread: Floats,
    scale: np.float32,
    losses: NDArray[np.float64],
    room: Floats,
    d_bias: Floats,
    begin: int,
    end: int,
) -> None:
    """Write each row's loss and, if the scale is not 0, turn its logits into the gradient of the summed loss.

    Args:
        logits: (R, W), float32 or the bits of bfloat16, without bias; afterwards (softmax - target) · scale,
            and anything beyond V. W is V or more, a multiple of LANES.
        vocab: V.
        bias: (W,), so low beyond V that nothing is left of those columns.
        targets: (R,), the index of each row's target, or `ignored`: then its loss and gradient are 0.
        ignored: See `targets`.
        smoothing: Share of a target that is spread over all V, in the gradient alone.
        spread: (R, W), what part of it each token gets; (0, W) for all the same.
        scale: Multiplies the gradient; 0 leaves the logits as they are.
        losses: (R,), cross-entropy in nats, without smoothing.
        room: (W,), to compute in.
        d_bias: (W,), to which the rows of the gradient are added.
        begin: First row to do.
        end: Row to stop before.
    """
    width, before = logits.shape[1], flush_denormals()
    shared = scale * smoothing
    even = shared / np.float32(vocab)
    for r in range(begin, end):
        row, target = logits[r], targets[r]
        if target == ignored:
            losses[r] = 0.0
            if scale != np.float32(0):
                row[:] = row.dtype.type(0)
            continue
        largest = load(row, 0) + load(bias, 0)
        for j in range(0, width, LANES):
            value = load(row, j) + load(bias, j)
            largest = at_least(largest, value)
            store(room, j, value)
        top, right = largest_of(largest), room[target]
        total = exp(load(room, 0) - top)
        store(room, 0, total)
        for j in range(LANES, width, LANES):
            power = exp(load(room, j) - top)
            total = total + power
            store(room, j, power)
        whole = sum_of(total)
        losses[r] = math.log(whole) + np.float64(top) - np.float64(right)
        if scale == np.float32(0):
            continue
        room[target] -= (ONE - smoothing) * whole
        for j in range(0, width, LANES):
            gradient = load(room, j) * (scale / whole)
            gradient = gradient - load(spread[r], j) * shared if len(spread) else gradient - even
            store(row, j, gradient)
            store(d_bias, j, load(d_bias, j) + gradient)
    restore_denormals(before)

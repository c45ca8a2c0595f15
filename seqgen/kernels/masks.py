"""The compiled half of `seqgen.kernels.dropout`: values through a mask that is hashed as it is needed."""

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled

Floats = NDArray[np.float32]

_ZERO = np.float32(0.0)


@compiled
def drop_units(values: Floats, seed: np.uint32, threshold: np.uint32, dropped: Floats) -> None:
    """Write (T, B, H) values through a dropout mask."""
    steps, batch, size = values.shape
    pairs = (size + 1) // 2
    scale = np.float32(65536.0) / np.float32(np.uint32(65536) - threshold)
    for t in range(steps):
        for row in range(batch):
            base, source, target = t * pairs * batch + row, values[t, row], dropped[t, row]
            for u in range(size):
                word = _hash(np.uint32(base + (u // 2) * batch), seed)
                half = (word >> np.uint32(16 * (u % 2))) & np.uint32(0xFFFF)
                target[u] = source[u] * (scale if half >= threshold else _ZERO)


@compiled
def _hash(counter: np.uint32, seed: np.uint32) -> np.uint32:
    # numba widens the product of two uint32 to 64 bits
    word = np.uint32(counter * np.uint32(0x9E3779B1) + seed)
    word = np.uint32((word ^ word >> np.uint32(15)) * np.uint32(0x85EBCA6B))
    word = np.uint32((word ^ word >> np.uint32(13)) * np.uint32(0xC2B2AE35))
    return word ^ word >> np.uint32(16)

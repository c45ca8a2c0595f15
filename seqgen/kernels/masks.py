"""The compiled half of `seqgen.kernels.dropout`: values through a mask that is hashed as it is needed."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from seqgen.kernels.dropout import Mask
from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, WORDS, broadcast, constant, constant_words, lanes_type

Floats = NDArray[np.float32]

_ZERO = np.float32(0.0)


class UnitMask(NamedTuple):
    """A dropout mask over (T, B, H) as compiled loops take it."""

    seed: int
    threshold: int
    scale: np.float32
    stride: int
    """From step to step: B·H, or 0 where steps share the mask."""
    size: int


def unit_mask(mask: Mask, batch: int, size: int) -> UnitMask:
    """Lay a mask over steps of B rows and H units."""
    stride = 0 if mask.locked else batch * size
    return UnitMask(mask.seed, mask.threshold, np.float32(mask.scale), stride, size)


@compiled
def masked(value: Any, mask: UnitMask, t: int, row: int, unit: int) -> Any:
    """Return lanes, the units from `unit` of a row at step t, through a mask."""
    place = t * mask.stride + row * mask.size + unit
    return _drop_lanes(value, place, mask.seed, mask.threshold, mask.scale)


@intrinsic
def _drop_lanes(_context: Any, _value: Any, _place: Any, _seed: Any, _threshold: Any, _scale: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        value, *words, scale = arguments
        narrow = (builder.trunc(word, ir.IntType(32)) for word in words)
        place, seed, threshold = (broadcast(builder, word) for word in narrow)
        place = builder.add(place, ir.Constant(WORDS, list(range(LANES))))
        word = builder.add(builder.mul(place, constant_words(0x9E3779B1)), seed)
        for shift, factor in ((15, 0x85EBCA6B), (13, 0xC2B2AE35)):
            word = builder.xor(word, builder.lshr(word, constant_words(shift)))
            word = builder.mul(word, constant_words(factor))
        word = builder.xor(word, builder.lshr(word, constant_words(16)))
        kept = builder.icmp_unsigned(">=", word, threshold)
        return builder.select(kept, builder.fmul(value, broadcast(builder, scale)), constant(0.0))

    return lanes_type(lanes_type, *[types.int64] * 3, types.float32), generate


@compiled
def drop_units(values: Floats, seed: int, threshold: int, period: int, dropped: Floats) -> None:
    """Write flattened values through a mask that repeats after `period` of them."""
    scale = np.float32(4294967296.0 / (4294967296.0 - threshold))
    base, bound = np.uint32(seed), np.uint32(threshold)
    for start in range(0, len(values), period):
        for i in range(min(period, len(values) - start)):
            kept = _hash(np.uint32(i), base) >= bound
            dropped[start + i] = values[start + i] * (scale if kept else _ZERO)


@compiled
def _hash(place: np.uint32, seed: np.uint32) -> np.uint32:
    # numba widens the product of two uint32 to 64 bits
    word = np.uint32(place * np.uint32(0x9E3779B1) + seed)
    word = np.uint32((word ^ word >> np.uint32(15)) * np.uint32(0x85EBCA6B))
    word = np.uint32((word ^ word >> np.uint32(13)) * np.uint32(0xC2B2AE35))
    return word ^ word >> np.uint32(16)

"""Products with int8 weights, exact in integers: a quarter of the memory to read, the same on all processors.

A row of weights is a scale times whole numbers from -127 to 127. The input, a hidden state within ±1, is held
to 12 bits: a whole number from -2047 to 2047, plus 2048, written as a low and a high byte. A sum of products
of whole numbers is exact in any order and by any instruction: VNNI's four byte products at once where the
processor has it, plain multiplications elsewhere.

Weights come in blocks of BLOCK outputs, (blocks, K/4, BLOCK, 4): four neighbouring inputs of an output are
one 32-bit word, the outputs of a block lie side by side, and a block is read straight through.
"""

from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled

BLOCK = 64
LANES = 16  # 32-bit numbers in a vector register
VECTORS = BLOCK // LANES
LARGEST_WEIGHT = 127
STEPS, OFFSET = 2047, 2048  # an input x becomes round(x * STEPS) + OFFSET, in 12 bits
MAX_DEPTH = 8192  # inputs; the sum of more products could exceed 32 bits

_WORD, _ADDRESS = ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_WORD, LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)


def quantize(
    matrix: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Round a matrix (R, K) to int8, each output's row to its own scale.

    Args:
        matrix: With K a multiple of 4.

    Returns:
        The values (blocks, K/4, BLOCK, 4); what an output's integer sum is multiplied by (R padded,); what is
        taken off that sum first, for the offset of the inputs (R padded,).
    """
    rows, depth = matrix.shape
    padded = np.pad(matrix, ((0, -rows % BLOCK), (0, 0)))
    largest = np.abs(padded).max(axis=1)
    scales = np.where(largest > 0, largest, 1).astype(np.float32) / LARGEST_WEIGHT
    whole = np.rint(padded / scales[:, None]).astype(np.int32)
    blocks = whole.reshape(-1, BLOCK, depth // 4, 4).transpose(0, 2, 1, 3)  # -> (blocks, K/4, BLOCK, 4)
    values = np.ascontiguousarray(blocks, np.int8)
    return values, (scales / STEPS).astype(np.float32), (OFFSET * whole.sum(axis=1)).astype(np.int32)


@compiled
def write_digits(vector: Any, digits: Any) -> None:
    """Write a vector within ±1 as low and high bytes, (K,) -> (2, K)."""
    for k in range(len(vector)):
        number = np.int32(np.floor(vector[k] * np.float32(STEPS) + np.float32(OFFSET + 0.5)))
        digits[0, k] = np.uint8(number & np.int32(255))
        digits[1, k] = np.uint8(number >> np.int32(8))


@compiled
def add_int8_product(digits: Any, values: Any, scales: Any, corrections: Any, out: Any, live: Any) -> None:
    """Add the product of a quantised matrix with each live row of digits: (B, 2, K) -> (B, R padded)."""
    blocks, quads = values.shape[0], values.shape[1]
    for block in range(blocks):
        first = block * BLOCK
        for row in range(len(live)):
            if live[row]:
                _add_block(
                    values[block].ctypes.data,
                    digits[row].ctypes.data,
                    quads,
                    scales[first:].ctypes.data,
                    corrections[first:].ctypes.data,
                    out[row, first:].ctypes.data,
                )


@intrinsic
def _add_block(
    _context: Any, values: Any, digits: Any, quads: Any, scales: Any, corrections: Any, out: Any
) -> Any:
    """Add the products of one block of outputs; all but `quads` (K/4) are addresses."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        values, digits, quads, scales, corrections, out = arguments
        sums = _sums_vnni if _has_vnni() else _sums_plain
        totals = sums(builder, values, digits, quads)
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v16f32")
        for vector, total in enumerate(totals):
            offset = vector * LANES * 4
            total = builder.sub(total, _load(builder, corrections, offset, _WORDS))
            product = builder.sitofp(total, _FLOATS)
            address = _place(builder, out, offset, _FLOATS)
            before = builder.load(address, align=4)
            scaled = builder.call(fma, [product, _load(builder, scales, offset, _FLOATS), before])
            builder.store(scaled, address, align=4)
        return context.get_dummy_value()

    address = types.intp
    return types.void(address, address, types.intp, address, address, address), generate


def _has_vnni() -> bool:
    return bool(llvm.get_host_cpu_features().get("avx512vnni"))


def _sums_vnni(builder: Any, values: Any, digits: Any, quads: Any) -> list[Any]:
    """Sum low and high digits apart, four byte products an instruction."""
    kind = ir.FunctionType(_WORDS, [_WORDS] * 3)
    dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    low, high = _zeros(builder), _zeros(builder)
    with cgutils.for_range(builder, quads) as loop:
        place = builder.add(digits, builder.mul(loop.index, _ADDRESS(4)))
        low_digits = _splat(builder, _load(builder, place, 0, _WORD))
        place = builder.add(place, builder.mul(quads, _ADDRESS(4)))
        high_digits = _splat(builder, _load(builder, place, 0, _WORD))
        words = builder.add(values, builder.mul(loop.index, _ADDRESS(BLOCK * 4)))
        for vector in range(VECTORS):
            weights = _load(builder, words, vector * LANES * 4, _WORDS)
            for sums, digit in ((low, low_digits), (high, high_digits)):
                added = builder.call(dot, [builder.load(sums[vector]), digit, weights])
                builder.store(added, sums[vector])
    eight = ir.Constant(_WORDS, [8] * LANES)
    return [
        builder.add(builder.load(low_sum), builder.shl(builder.load(high_sum), eight))
        for low_sum, high_sum in zip(low, high, strict=True)
    ]


def _sums_plain(builder: Any, values: Any, digits: Any, quads: Any) -> list[Any]:
    """Sum with ordinary vector multiplications, one input at a time."""
    sums = _zeros(builder)
    depth = builder.mul(quads, _ADDRESS(4))
    with cgutils.for_range(builder, quads) as loop:
        first = builder.mul(loop.index, _ADDRESS(4))
        words = builder.add(values, builder.mul(loop.index, _ADDRESS(BLOCK * 4)))
        for k in range(4):
            place = builder.add(digits, builder.add(first, _ADDRESS(k)))
            low = builder.zext(_load(builder, place, 0, ir.IntType(8)), _WORD)
            high = builder.zext(_load(builder, builder.add(place, depth), 0, ir.IntType(8)), _WORD)
            number = builder.or_(low, builder.shl(high, _WORD(8)))
            # The mask is always idle; it tells LLVM that 16-bit multiplications are enough.
            number = _splat(builder, builder.and_(number, _WORD(2 * OFFSET - 1)))
            for vector in range(VECTORS):
                weights = _load(builder, words, vector * LANES * 4, _WORDS)
                left = builder.shl(weights, ir.Constant(_WORDS, [24 - 8 * k] * LANES))
                weight = builder.ashr(left, ir.Constant(_WORDS, [24] * LANES))
                product = builder.mul(weight, number)
                builder.store(builder.add(builder.load(sums[vector]), product), sums[vector])
    return [builder.load(total) for total in sums]


def _zeros(builder: Any) -> list[Any]:
    places = [cgutils.alloca_once(builder, _WORDS) for _ in range(VECTORS)]
    for place in places:
        builder.store(ir.Constant(_WORDS, [0] * LANES), place)
    return places


def _place(builder: Any, address: Any, offset: int, kind: Any) -> Any:
    return builder.inttoptr(builder.add(address, _ADDRESS(offset)), kind.as_pointer())


def _load(builder: Any, address: Any, offset: int, kind: Any) -> Any:
    return builder.load(_place(builder, address, offset, kind), align=1)


def _splat(builder: Any, word: Any) -> Any:
    blank = ir.Constant(_WORDS, ir.Undefined)
    first = builder.insert_element(blank, word, _WORD(0))
    return builder.shuffle_vector(first, blank, ir.Constant(_WORDS, [0] * LANES))

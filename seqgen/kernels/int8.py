"""Products with int8 weights, exact in integers: a quarter of the memory to read, the same on all processors.

A row of weights is a scale times whole numbers from -127 to 127. The input, a hidden state within ±1, is held
to 12 bits: a whole number from -2047 to 2047, plus 2048, written as two digits of 6 bits. A sum of products
of whole numbers is exact in any order and by any instruction: four byte products at once (VNNI), two at once
(AVX2; four of a digit still fit in 16 bits), or plain multiplications.

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
DIGIT_BITS = 6
MAX_DEPTH = 8192  # inputs; the sum of more products could exceed 32 bits

_WORD, _ADDRESS = ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_WORD, LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_HALF = LANES // 2  # 32-bit numbers in a vector register of AVX2
_HALF_WORDS = ir.VectorType(_WORD, _HALF)
_SHORTS, _BYTES = ir.VectorType(ir.IntType(16), 2 * _HALF), ir.VectorType(ir.IntType(8), 4 * _HALF)


def quantize(
    matrix: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Round a matrix (R, K) to int8, each output's row to its own scale.

    Returns:
        The values (blocks, K/4, BLOCK, 4); what an output's integer sum is multiplied by (R padded,); what is
        taken off that sum first, for the offset of the inputs (R padded,).

    Raises:
        ValueError: If K is not a multiple of 8.
    """
    rows, depth = matrix.shape
    if depth % 8:
        raise ValueError(f"{depth} inputs: not a multiple of 8")
    padded = np.pad(matrix, ((0, -rows % BLOCK), (0, 0)))
    largest = np.abs(padded).max(axis=1)
    scales = np.where(largest > 0, largest, 1).astype(np.float32) / LARGEST_WEIGHT
    whole = np.rint(padded / scales[:, None]).astype(np.int32)
    blocks = whole.reshape(-1, BLOCK, depth // 4, 4).transpose(0, 2, 1, 3)  # -> (blocks, K/4, BLOCK, 4)
    values = np.ascontiguousarray(blocks, np.int8)
    return values, (scales / STEPS).astype(np.float32), (OFFSET * whole.sum(axis=1)).astype(np.int32)


@compiled
def write_digits(vector: Any, digits: Any) -> None:
    """Write a vector within ±1 as low and high digits, (K,) -> (2, K)."""
    for k in range(len(vector)):
        number = np.int32(np.floor(vector[k] * np.float32(STEPS) + np.float32(OFFSET + 0.5)))
        digits[0, k] = np.uint8(number & np.int32(2**DIGIT_BITS - 1))
        digits[1, k] = np.uint8(number >> np.int32(DIGIT_BITS))


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
        totals = _best_sums()(builder, values, digits, quads)
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


def _best_sums() -> Any:
    """Return what generates the sums of a block by the best instructions of this processor."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512vnni"):
        return _sums_vnni
    return _sums_avx2 if features.get("avx2") else _sums_plain


def _sums_vnni(builder: Any, values: Any, digits: Any, quads: Any) -> list[Any]:
    """Sum low and high digits apart, four byte products an instruction."""
    kind = ir.FunctionType(_WORDS, [_WORDS] * 3)
    dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    low, high = _zeros(builder), _zeros(builder)
    with cgutils.for_range(builder, quads) as loop:
        pair = _digits_of_quad(builder, digits, quads, loop.index, _WORDS)
        words = builder.add(values, builder.mul(loop.index, _ADDRESS(BLOCK * 4)))
        for vector in range(VECTORS):
            weights = _load(builder, words, vector * LANES * 4, _WORDS)
            for sums, digit in zip((low, high), pair, strict=True):
                added = builder.call(dot, [builder.load(sums[vector]), digit, weights])
                builder.store(added, sums[vector])
    bits = ir.Constant(_WORDS, [DIGIT_BITS] * LANES)
    return [
        builder.add(builder.load(low_sum), builder.shl(builder.load(high_sum), bits))
        for low_sum, high_sum in zip(low, high, strict=True)
    ]


def _sums_avx2(builder: Any, values: Any, digits: Any, quads: Any) -> list[Any]:
    """Sum four products of a digit in 16 bits, then low and high digits together in 32."""

    def function(name: str, result: Any, operand: Any) -> Any:
        kind = ir.FunctionType(result, [operand] * 2)
        return cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx2.{name}")

    multiply_bytes = function("pmadd.ub.sw", _SHORTS, _BYTES)
    multiply_shorts = function("pmadd.wd", _HALF_WORDS, _SHORTS)
    places = [ir.Constant(_SHORTS, [place] * 2 * _HALF) for place in (1, 2**DIGIT_BITS)]
    sums = _zeros(builder, _HALF_WORDS)
    with cgutils.for_range(builder, builder.udiv(quads, _ADDRESS(2))) as loop:
        first = builder.mul(loop.index, _ADDRESS(2))
        words = builder.add(values, builder.mul(first, _ADDRESS(BLOCK * 4)))
        pairs = [
            _digits_of_quad(builder, digits, quads, builder.add(first, _ADDRESS(quad)), _HALF_WORDS)
            for quad in range(2)
        ]
        for vector, sum_ in enumerate(sums):
            offsets = [(quad * BLOCK + vector * _HALF) * 4 for quad in range(2)]
            weights = [_load(builder, words, offset, _BYTES) for offset in offsets]
            total = builder.load(sum_)
            for digit, place in enumerate(places):
                products = [
                    builder.call(multiply_bytes, [builder.bitcast(pair[digit], _BYTES), some])
                    for pair, some in zip(pairs, weights, strict=True)
                ]
                total = builder.add(total, builder.call(multiply_shorts, [builder.add(*products), place]))
            builder.store(total, sum_)
    halves = [builder.load(sum_) for sum_ in sums]
    whole = ir.Constant(ir.VectorType(_WORD, LANES), list(range(LANES)))
    return [builder.shuffle_vector(*pair, whole) for pair in zip(halves[::2], halves[1::2], strict=True)]


def _digits_of_quad(builder: Any, digits: Any, quads: Any, quad: Any, kind: Any) -> tuple[Any, Any]:
    """Return the low and the high digits of four inputs, each as a vector of copies."""
    low = builder.add(digits, builder.mul(quad, _ADDRESS(4)))
    high = builder.add(low, builder.mul(quads, _ADDRESS(4)))
    return tuple(_splat(builder, _load(builder, place, 0, _WORD), kind) for place in (low, high))


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
            number = builder.or_(low, builder.shl(high, _WORD(DIGIT_BITS)))
            # The mask is always idle; it tells LLVM that 16-bit multiplications are enough.
            number = _splat(builder, builder.and_(number, _WORD(2 * OFFSET - 1)), _WORDS)
            for vector in range(VECTORS):
                weights = _load(builder, words, vector * LANES * 4, _WORDS)
                left = builder.shl(weights, ir.Constant(_WORDS, [24 - 8 * k] * LANES))
                weight = builder.ashr(left, ir.Constant(_WORDS, [24] * LANES))
                product = builder.mul(weight, number)
                builder.store(builder.add(builder.load(sums[vector]), product), sums[vector])
    return [builder.load(total) for total in sums]


def _zeros(builder: Any, kind: Any = _WORDS) -> list[Any]:
    """Return room for the sums of a block, in vectors of a kind."""
    places = [cgutils.alloca_once(builder, kind) for _ in range(BLOCK // kind.count)]
    for place in places:
        builder.store(ir.Constant(kind, [0] * kind.count), place)
    return places


def _place(builder: Any, address: Any, offset: int, kind: Any) -> Any:
    return builder.inttoptr(builder.add(address, _ADDRESS(offset)), kind.as_pointer())


def _load(builder: Any, address: Any, offset: int, kind: Any) -> Any:
    return builder.load(_place(builder, address, offset, kind), align=1)


def _splat(builder: Any, word: Any, kind: Any) -> Any:
    blank = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(blank, word, _WORD(0))
    return builder.shuffle_vector(first, blank, ir.Constant(kind, [0] * kind.count))

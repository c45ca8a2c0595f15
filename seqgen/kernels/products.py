"""Products of a few rows with a panel of weights, their sums kept in registers throughout.

A panel is PANEL columns of a matrix (K, N), packed as (K, PANEL). Under bfloat16 it is (K/2, PANEL) words,
each the rows 2k (low half) and 2k + 1 (high half) of one column: the order in which both AVX512-BF16 and AMX
take them. The left side is as it lies in memory, row by row. K is a multiple of DEPTH, N of PANEL.

An engine names what multiplies; it is a value so that compiled loops can take it as an argument.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from seqgen.kernels.dispatch import choose_by_class
from seqgen.kernels.jit import compiled, float_bits
from seqgen.kernels.lanes import (
    FLOATS,
    LANES,
    WORD,
    WORDS,
    broadcast,
    constant,
    constant_words,
    emit_fused,
    has_feature,
)
from seqgen.kernels.tiles import (
    FULL_TILES,
    TILE_BYTES,
    TILE_ROWS,
    clear,
    configure,
    fetch,
    multiply_tiles,
    put,
    save_configuration,
)

# Sums to keep in registers, with as many left over as the weights and one value of the left side take:
# 32 registers of 16 lanes, 16 of 8, 32 of 4.
_ROWS, _VECTORS = {16: (8, 2), 8: (6, 2), 4: (6, 4)}[LANES]
PANEL = _VECTORS * LANES
DEPTH = 32
_ROWS_AHEAD = 8
"""How far ahead of its use a row of the panel is asked for."""


class Float32Vectors(NamedTuple):
    """Fused multiply-adds of float32."""

    rows: int = _ROWS


class Bfloat16Vectors(NamedTuple):
    """Products of bfloat16 pairs by AVX512-BF16 where there is one, else by float32 after widening."""

    rows: int = _ROWS


class Bfloat16Tiles(NamedTuple):
    """AMX tiles of bfloat16 pairs; see `seqgen.kernels.engines` for whether there are any."""

    rows: int = 2 * TILE_ROWS
    configuration: int = FULL_TILES.ctypes.data


_INDEX = ir.IntType(64)


def _index(value: int) -> ir.Constant:
    return ir.Constant(_INDEX, value)


def _add_float32(builder: ir.IRBuilder, total: ir.Value, value: ir.Value, weights: ir.Value) -> ir.Value:
    return emit_fused(builder, builder.bitcast(value, FLOATS), builder.bitcast(weights, FLOATS), total)


def _add_bfloat16(builder: ir.IRBuilder, total: ir.Value, value: ir.Value, weights: ir.Value) -> ir.Value:
    if LANES == 16 and has_feature("avx512bf16"):
        kind = ir.FunctionType(FLOATS, [FLOATS, WORDS, WORDS])
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, kind, name), [total, value, weights]
        )
    low, high = constant_words(16), constant_words(0xFFFF0000)
    total = _add_float32(builder, total, builder.shl(value, low), builder.shl(weights, low))
    return _add_float32(builder, total, builder.and_(value, high), builder.and_(weights, high))


def _emit_product(builder: ir.IRBuilder, add_term: Any, arguments: list[ir.Value]) -> None:
    out, left, stride, packed, depth, add = arguments
    words, panel = WORD.as_pointer(), builder.inttoptr(packed, WORD.as_pointer())
    block = [(row, vector) for row in range(_ROWS) for vector in range(_VECTORS)]
    starts = [
        builder.inttoptr(builder.add(left, builder.mul(stride, _index(row))), words) for row in range(_ROWS)
    ]
    places = [
        builder.inttoptr(builder.add(out, _index(4 * (row * PANEL + vector * LANES))), FLOATS.as_pointer())
        for row, vector in block
    ]
    sums = [cgutils.alloca_once_value(builder, constant(0.0)) for _ in block]
    with builder.if_then(builder.icmp_signed("!=", add, _index(0))):
        for place, total in zip(places, sums, strict=True):
            builder.store(builder.load(place, align=4), total)
    with cgutils.for_range(builder, depth) as loop:
        weights = [_load_weights(builder, panel, loop.index, vector) for vector in range(_VECTORS)]
        values = [builder.load(builder.gep(start, [loop.index]), align=4) for start in starts]
        for (row, vector), total in zip(block, sums, strict=True):
            value = broadcast(builder, values[row])
            builder.store(add_term(builder, builder.load(total), value, weights[vector]), total)
    for place, total in zip(places, sums, strict=True):
        builder.store(builder.load(total), place, align=4)


def _load_weights(builder: ir.IRBuilder, panel: ir.Value, row: ir.Value, vector: int) -> ir.Value:
    place = builder.gep(panel, [builder.add(builder.mul(row, _index(PANEL)), _index(vector * LANES))])
    _prefetch(builder, builder.gep(place, [_index(_ROWS_AHEAD * PANEL)]))
    return builder.load(builder.bitcast(place, WORDS.as_pointer()), align=4)


def _prefetch(builder: ir.IRBuilder, place: ir.Value) -> None:
    pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, WORD, WORD, WORD])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    to_read, to_keep, data = (ir.Constant(WORD, value) for value in (0, 3, 1))
    builder.call(function, [builder.bitcast(place, pointer), to_read, to_keep, data])


def _product(add_term: Any) -> Any:
    """Make the intrinsic (out, left, stride, packed, depth in words, add); addresses and strides in bytes."""

    @intrinsic
    def product(
        _context: Any, _out: Any, _left: Any, _stride: Any, _packed: Any, _depth: Any, _add: Any
    ) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            _emit_product(builder, add_term, arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), generate

    return product


_multiply_float32 = _product(_add_float32)
_multiply_bfloat16 = _product(_add_bfloat16)


def multiply(engine: Any, out: int, left: int, stride: int, packed: int, depth: int, add: int) -> None:
    """Multiply `engine.rows` rows with a panel.

    Args:
        engine: What multiplies.
        out: Address of (rows, PANEL) float32 sums.
        left: Address of the first row; as many rows as the engine takes must be there to read.
        stride: Bytes from one row to the next.
        packed: Address of the panel.
        depth: Terms of each sum.
        add: 0 to start from zero, 1 to add to what is there.
    """
    raise NotImplementedError


@compiled
def _with_float32(
    engine: Float32Vectors, out: int, left: int, stride: int, packed: int, depth: int, add: int
) -> None:
    _multiply_float32(out, left, stride, packed, depth, add)


@compiled
def _with_bfloat16(
    engine: Bfloat16Vectors, out: int, left: int, stride: int, packed: int, depth: int, add: int
) -> None:
    _multiply_bfloat16(out, left, stride, packed, depth // 2, add)


@compiled
def _with_tiles(
    engine: Bfloat16Tiles, out: int, left: int, stride: int, packed: int, depth: int, add: int
) -> None:
    """Use tiles 0 to 3 for the sums, 4 and 5 for rows of the left side, 6 and 7 for columns of the panel."""
    row, lower, lower_out = 4 * PANEL, left + TILE_ROWS * stride, out + TILE_ROWS * 4 * PANEL
    if add != 0:
        fetch(0, out, row)
        fetch(1, out + TILE_BYTES, row)
        fetch(2, lower_out, row)
        fetch(3, lower_out + TILE_BYTES, row)
    else:
        clear(0)
        clear(1)
        clear(2)
        clear(3)
    for _ in range(depth // DEPTH):
        fetch(4, left, stride)
        fetch(5, lower, stride)
        fetch(6, packed, row)
        fetch(7, packed + TILE_BYTES, row)
        multiply_tiles(0, 4, 6)
        multiply_tiles(1, 4, 7)
        multiply_tiles(2, 5, 6)
        multiply_tiles(3, 5, 7)
        left += TILE_BYTES
        lower += TILE_BYTES
        packed += TILE_ROWS * row
    put(0, out, row)
    put(1, out + TILE_BYTES, row)
    put(2, lower_out, row)
    put(3, lower_out + TILE_BYTES, row)


choose_by_class(
    multiply, {Float32Vectors: _with_float32, Bfloat16Vectors: _with_bfloat16, Bfloat16Tiles: _with_tiles}
)


def prepare(engine: Any, room: NDArray[np.uint8]) -> None:
    """Make this thread ready for `multiply`; keeps what `leave` needs in 64 bytes of room."""
    raise NotImplementedError


def leave(engine: Any, room: NDArray[np.uint8]) -> None:
    """Leave this thread as `prepare` found it: torch uses tiles, too."""
    raise NotImplementedError


@compiled
def _do_nothing(engine: Any, room: NDArray[np.uint8]) -> None:
    pass


@compiled
def _set_up_tiles(engine: Bfloat16Tiles, room: NDArray[np.uint8]) -> None:
    save_configuration(room.ctypes.data)
    configure(engine.configuration)


@compiled
def _restore_tiles(engine: Bfloat16Tiles, room: NDArray[np.uint8]) -> None:
    configure(room.ctypes.data)


_VECTORS_ONLY: dict[type, Any] = {Float32Vectors: _do_nothing, Bfloat16Vectors: _do_nothing}
choose_by_class(prepare, {**_VECTORS_ONLY, Bfloat16Tiles: _set_up_tiles})
choose_by_class(leave, {**_VECTORS_ONLY, Bfloat16Tiles: _restore_tiles})


def pack(engine: Any, source: NDArray[np.float32], panel: NDArray[np.uint32]) -> None:
    """Pack (K, PANEL) weights, which may be strided, into a panel of words."""
    raise NotImplementedError


@compiled
def _pack_float32(engine: Float32Vectors, source: NDArray[np.float32], panel: NDArray[np.uint32]) -> None:
    for k in range(source.shape[0]):
        for j in range(PANEL):
            panel[k, j] = np.uint32(float_bits(source[k, j]))


@compiled
def _pack_bfloat16(engine: Any, source: NDArray[np.float32], panel: NDArray[np.uint32]) -> None:
    half, low, sixteen = np.uint32(0x8000), np.uint32(0xFFFF0000), np.uint32(16)
    for k in range(source.shape[0] // 2):
        for j in range(PANEL):
            even, odd = float_bits(source[2 * k, j]), float_bits(source[2 * k + 1, j])
            even, odd = np.uint32(np.uint32(even) + half), np.uint32(np.uint32(odd) + half)
            panel[k, j] = (even >> sixteen) | (odd & low)


choose_by_class(
    pack, {Float32Vectors: _pack_float32, Bfloat16Vectors: _pack_bfloat16, Bfloat16Tiles: _pack_bfloat16}
)

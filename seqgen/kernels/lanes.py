"""A vector register as a value of compiled code: LANES float32 numbers added, multiplied and divided at once.

A loop over single numbers is left to a compiler's auto-vectoriser, which gives up without a word where it
cannot prove that a dozen arrays do not overlap. Written with lanes, a kernel is what it says everywhere.
"""

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from seqgen.kernels.jit import compiled


def has_feature(name: str) -> bool:
    """Return whether compiled code may use a feature of the processor, as LLVM names it."""
    if config.CPU_FEATURES is not None:  # numba is told to compile for another processor than this
        return f"+{name}" in config.CPU_FEATURES.split(",")
    return bool(llvm.get_host_cpu_features().get(name, False))


LANES = 16 if has_feature("avx512f") else 8 if has_feature("avx") else 4
"""How many float32 numbers this processor's registers hold."""

FLOAT, HALF_WORD, WORD = ir.FloatType(), ir.IntType(16), ir.IntType(32)
FLOATS, WORDS = ir.VectorType(FLOAT, LANES), ir.VectorType(WORD, LANES)


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes_type = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


def constant(value: float) -> ir.Constant:
    """Return a vector constant with one value in all lanes."""
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def constant_words(value: int) -> ir.Constant:
    """Return a vector constant with one 32-bit word in all lanes."""
    return ir.Constant(WORDS, [value] * LANES)


def broadcast(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    """Emit the copy of a 32-bit scalar to all lanes."""
    vector = FLOATS if scalar.type == FLOAT else WORDS
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(WORD, 0))
    return builder.shuffle_vector(first, nothing, constant_words(0))


def store_past_cache(builder: ir.IRBuilder, value: ir.Value, place: ir.Value) -> None:
    """Emit the store of a whole register to an aligned address, without reading the cache line before."""
    stored = builder.store(value, place, align=4 * LANES)
    stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(WORD, 1)]))


def _to_lanes(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return value if value.type == FLOATS else broadcast(builder, value)


def _operation(
    function: Callable[..., Any], emit: Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]
) -> None:
    """Define a binary operator for lanes, either side of which may be a float32 for all of them."""
    pairs = [(lanes_type, lanes_type), (lanes_type, types.float32), (types.float32, lanes_type)]

    @infer_global(function)
    class Template(ConcreteTemplate):  # type: ignore[misc]
        cases = [signature(lanes_type, *pair) for pair in pairs]  # noqa: RUF012

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return emit(builder, *(_to_lanes(builder, argument) for argument in arguments))

    for pair in pairs:
        lower_builtin(function, *pair)(generate)


def _lesser(builder: ir.IRBuilder, bound: ir.Value, value: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered("<", bound, value), bound, value)


def _greater(builder: ir.IRBuilder, bound: ir.Value, value: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", bound, value), bound, value)


def at_most(bound: np.float32, value: Any) -> Any:
    """Return the lesser of a bound and each lane; a NaN stays NaN."""
    raise NotImplementedError


def at_least(bound: np.float32, value: Any) -> Any:
    """Return the greater of a bound and each lane; a NaN stays NaN."""
    raise NotImplementedError


_operation(operator.add, ir.IRBuilder.fadd)
_operation(operator.sub, ir.IRBuilder.fsub)
_operation(operator.mul, ir.IRBuilder.fmul)
_operation(operator.truediv, ir.IRBuilder.fdiv)
_operation(at_most, _lesser)
_operation(at_least, _greater)


@intrinsic
def fused(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """Return a · b + c in each lane, rounded once where the processor can; float32 is for all lanes."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return emit_fused(builder, *(_to_lanes(builder, argument) for argument in arguments))

    return lanes_type(_a, _b, _c), generate


def emit_fused(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """Emit a · b + c."""
    kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
    return builder.call(function, [a, b, c])


def _place(context: Any, builder: Any, kind: Any, arguments: Any) -> ir.Value:
    """Emit the address of element `arguments[1]` of the one-dimensional array `arguments[0]`."""
    array = context.make_array(kind)(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def load(_context: Any, row: Any, index: Any) -> Any:
    """Load lanes from a contiguous row, float32 or the bits of bfloat16 in uint16."""
    short = row.dtype == types.uint16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], arguments)
        if not short:
            return builder.load(builder.bitcast(place, FLOATS.as_pointer()), align=4)
        halves = ir.VectorType(HALF_WORD, LANES)
        words = builder.zext(builder.load(builder.bitcast(place, halves.as_pointer()), align=2), WORDS)
        return builder.bitcast(builder.shl(words, constant_words(16)), FLOATS)

    return lanes_type(row, types.intp), generate


@intrinsic
def store(_context: Any, row: Any, index: Any, value: Any) -> Any:
    """Store lanes to a contiguous row, float32 or the bits of bfloat16; pairs of lanes are rounded faster."""
    short = row.dtype == types.uint16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, lanes = _place(context, builder, signature.args[0], arguments), arguments[2]
        if short:
            lanes = _emit_rounding(builder, lanes)
        builder.store(lanes, builder.bitcast(place, lanes.type.as_pointer()), align=2 if short else 4)
        return context.get_dummy_value()

    return types.void(row, types.intp, lanes_type), generate


def _emit_rounding(builder: ir.IRBuilder, lanes: ir.Value) -> ir.Value:
    """Emit the rounding of lanes to the nearest bfloat16, half up, as its bits; keeps NaN."""
    rounded = builder.add(builder.bitcast(lanes, WORDS), constant_words(0x8000))
    return builder.trunc(builder.lshr(rounded, constant_words(16)), ir.VectorType(HALF_WORD, LANES))


def _emit_bfloat16(builder: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
    """Emit the rounding of two times lanes to the nearest bfloat16, bits of both in a row; keeps NaN."""
    both = ir.VectorType(HALF_WORD, 2 * LANES)
    if LANES == 16 and has_feature("avx512bf16"):
        kind = ir.FunctionType(both, [FLOATS, FLOATS])
        name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [second, first])
    halves = [_emit_rounding(builder, lanes) for lanes in (first, second)]
    order = ir.Constant(ir.VectorType(WORD, 2 * LANES), list(range(2 * LANES)))
    return builder.shuffle_vector(*halves, order)


def _store_pair(*, past_cache: bool) -> Any:
    """Make the intrinsic (row, index, first, second): store lanes and the lanes that follow them."""

    @intrinsic
    def store_both(_context: Any, row: Any, index: Any, first: Any, second: Any) -> Any:
        short = row.dtype == types.uint16

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = _place(context, builder, signature.args[0], arguments)
            values = [_emit_bfloat16(builder, *arguments[2:])] if short else arguments[2:]
            for k, value in enumerate(values):
                target = builder.gep(place, [ir.Constant(ir.IntType(64), k * LANES)])
                target = builder.bitcast(target, value.type.as_pointer())
                if past_cache:
                    store_past_cache(builder, value, target)
                else:
                    builder.store(value, target, align=2)
            return context.get_dummy_value()

        return types.void(row, types.intp, lanes_type, lanes_type), generate

    return store_both


store_pair = _store_pair(past_cache=False)
"""Store lanes and the lanes that follow them to a contiguous row, float32 or the bits of bfloat16."""
stream_pair = _store_pair(past_cache=True)
"""As `store_pair`, for what is not read again soon: without reading the cache line, which must be aligned."""


@intrinsic
def store_halves(_context: Any, _row: Any, _index: Any, _low: Any, _high: Any) -> Any:
    """Store words to a contiguous row of uint32: upper halves of two times lanes, such as two bfloat16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(_place(context, builder, signature.args[0], arguments), WORDS.as_pointer())
        low, high = (builder.bitcast(lanes, WORDS) for lanes in arguments[2:])
        low = builder.lshr(low, constant_words(16))
        high = builder.and_(high, constant_words(0xFFFF0000))
        builder.store(builder.or_(low, high), place, align=4)
        return context.get_dummy_value()

    return types.void(_row, types.intp, lanes_type, lanes_type), generate


@compiled
def add_pair(row: Any, index: int, first: Any, second: Any) -> None:
    """Add lanes and the lanes that follow them to a row of float32."""
    store(row, index, load(row, index) + first)
    store(row, index + LANES, load(row, index + LANES) + second)


@intrinsic
def times_power_of_two(_context: Any, value: Any, shifted: Any) -> Any:
    """Return value · 2**n in each lane, n being the integer in the low bits of `shifted`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits, exponent = (builder.bitcast(argument, WORDS) for argument in arguments)
        moved = builder.add(bits, builder.shl(exponent, constant_words(23)))
        return builder.bitcast(moved, FLOATS)

    return lanes_type(lanes_type, lanes_type), generate


def _reduction(name: str, starts: bool) -> Any:
    @intrinsic
    def reduce(_context: Any, _lanes: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            first = [ir.Constant(FLOAT, 0.0)] if starts else []
            kind = ir.FunctionType(FLOAT, [part.type for part in first] + [FLOATS])
            function = cgutils.get_or_insert_function(
                builder.module, kind, f"llvm.vector.reduce.{name}.v{LANES}f32"
            )
            return builder.call(function, [*first, *arguments])

        return types.float32(lanes_type), generate

    return reduce


sum_of = _reduction("fadd", True)
"""Return the sum of the lanes, added in their order."""
largest_of = _reduction("fmax", False)
"""Return the largest of the lanes; NaN only where all are."""

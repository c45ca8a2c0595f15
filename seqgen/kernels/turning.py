"""Turning blocks of matrices of 16-bit numbers in registers, inside other compiled loops.

A plain loop over columns thrashes the nearest cache where rows lie a power of two apart. Whole tensors of any
size are turned by `seqgen.kernels.transposing`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, WORDS, constant_words

BLOCK = 2 * LANES
"""Rows and columns of the square that is turned in registers."""


def _emit_turn(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Transpose LANES vectors of LANES words: swap halves, quarters, and so on down to neighbours."""
    bit = LANES // 2
    while bit:
        turned = list(rows)
        for i in (i for i in range(LANES) if not i & bit):
            upper, lower = rows[i], rows[i | bit]
            first = [lane if not lane & bit else LANES + (lane ^ bit) for lane in range(LANES)]
            second = [lane | bit if not lane & bit else LANES + lane for lane in range(LANES)]
            turned[i], turned[i | bit] = (
                builder.shuffle_vector(upper, lower, ir.Constant(WORDS, order)) for order in (first, second)
            )
        rows, bit = turned, bit // 2
    return rows


@intrinsic
def _turn_block(_context: Any, source: Any, _row: Any, _column: Any, turned: Any) -> Any:
    """Turn the block of a matrix at a row and a column, two rows and two columns at a time in one word."""
    low, high, half = constant_words(0xFFFF), constant_words(0xFFFF0000), constant_words(16)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args[0], signature.args[3]
        matrices = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(kinds, (arguments[0], arguments[3]), strict=True)
        ]
        starts = [builder.ptrtoint(matrix.data, ir.IntType(64)) for matrix in matrices]
        steps = [cgutils.unpack_tuple(builder, matrix.strides, 2)[0] for matrix in matrices]
        corners = [(arguments[1], arguments[2]), (arguments[2], arguments[1])]

        def place(is_turned: bool, row: int) -> ir.Value:
            first, left = corners[is_turned]
            down = builder.mul(builder.add(first, ir.Constant(first.type, row)), steps[is_turned])
            offset = builder.add(down, builder.mul(left, ir.Constant(left.type, 2)))
            return builder.inttoptr(builder.add(starts[is_turned], offset), WORDS.as_pointer())

        even, odd = [], []
        for row in range(0, BLOCK, 2):
            upper, lower = (builder.load(place(False, r), align=2) for r in (row, row + 1))
            even.append(builder.or_(builder.and_(upper, low), builder.shl(lower, half)))
            odd.append(builder.or_(builder.lshr(upper, half), builder.and_(lower, high)))
        for column, pair in enumerate(zip(_emit_turn(builder, even), _emit_turn(builder, odd), strict=True)):
            for k, values in enumerate(pair):
                builder.store(values, place(True, 2 * column + k), align=2)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, turned), generate


@compiled
def turn(source: NDArray[Any], turned: NDArray[Any]) -> None:
    """Write (R, C), multiples of BLOCK, as (C, R); numbers of a row lie next to each other."""
    for row in range(0, source.shape[0], BLOCK):
        for column in range(0, source.shape[1], BLOCK):
            _turn_block(source, row, column, turned)

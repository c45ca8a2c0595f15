"""AMX tiles: registers of 16 rows by 64 bytes, multiplied by one instruction, as numba intrinsics.

Only for the processors that have them (Intel since Sapphire Rapids) under Linux, which lends a process the
tile unit on request. A thread has eight tiles, named by numbers that are known when a kernel is compiled.
"""

import ctypes
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from seqgen.kernels.lanes import has_feature

TILE_ROWS = 16
TILE_BYTES = 64
"""Of a row: 16 float32, or 32 bfloat16."""

_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


def tile_obstacle() -> str | None:
    """Return why this process cannot use AMX tiles, or None; asks the kernel for them."""
    if not (has_feature("amx-tile") and has_feature("amx-bf16")):
        return "this CPU has no AMX tiles"
    if platform.system() != "Linux":
        return f"{platform.system()} does not lend AMX tiles"
    if ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) != 0:
        return "the kernel does not lend AMX tiles"
    return None


def _full_tiles() -> NDArray[np.uint8]:
    """Return the configuration, 64 bytes, in which all eight tiles have their full size."""
    configuration = np.zeros(64, np.uint8)
    configuration[0] = 1  # palette
    configuration[16:32:2] = TILE_BYTES
    configuration[48:56] = TILE_ROWS
    return configuration


FULL_TILES = _full_tiles()


def _instruction(name: str, tiles: tuple[Any, ...], memory: int) -> Any:
    """Return the signature and the code of an instruction on tiles, an address and a stride."""
    if not all(isinstance(tile, types.IntegerLiteral) for tile in tiles):
        return None
    numbers = [ir.Constant(ir.IntType(8), tile.literal_value) for tile in tiles]

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, rest = arguments[len(tiles) :][:1], arguments[len(tiles) + 1 :]
        place = [builder.inttoptr(value, ir.IntType(8).as_pointer()) for value in address]
        operands = [*numbers, *place, *rest]
        kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), operands)
        return context.get_dummy_value()

    return types.void(*tiles, *[types.int64] * memory), generate


@intrinsic
def configure(_context: Any, _address: Any) -> Any:
    """Set the thread's tiles up by the 64 bytes at an address."""
    return _instruction("ldtilecfg", (), memory=1)


@intrinsic
def save_configuration(_context: Any, _address: Any) -> Any:
    """Write the thread's configuration to 64 bytes at an address."""
    return _instruction("sttilecfg", (), memory=1)


@intrinsic(prefer_literal=True)
def clear(_context: Any, tile: Any) -> Any:
    """Set a tile to zero."""
    return _instruction("tilezero", (tile,), memory=0)


@intrinsic(prefer_literal=True)
def fetch(_context: Any, tile: Any, _address: Any, _stride: Any) -> Any:
    """Read the rows of a tile, which lie `stride` bytes apart."""
    return _instruction("tileloadd64", (tile,), memory=2)


@intrinsic(prefer_literal=True)
def put(_context: Any, tile: Any, _address: Any, _stride: Any) -> Any:
    """Write the rows of a tile `stride` bytes apart."""
    return _instruction("tilestored64", (tile,), memory=2)


@intrinsic(prefer_literal=True)
def multiply_tiles(_context: Any, total: Any, left: Any, right: Any) -> Any:
    """Add to a float32 tile the products of the rows of one bfloat16 tile and the columns of another."""
    return _instruction("tdpbf16ps", (total, left, right), memory=0)

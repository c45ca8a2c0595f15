"""Which engine multiplies, decided by what this process may use and by trying it."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled
from seqgen.kernels.products import (
    DEPTH,
    PANEL,
    Bfloat16Tiles,
    Bfloat16Vectors,
    Float32Vectors,
    leave,
    multiply,
    pack,
    prepare,
)
from seqgen.kernels.tiles import TILE_BYTES, tile_obstacle

Engine = Float32Vectors | Bfloat16Vectors | Bfloat16Tiles


def bfloat16_engine() -> Bfloat16Vectors | Bfloat16Tiles:
    """Return the fastest engine for bfloat16 that works here."""
    return Bfloat16Tiles() if why_no_tiles() is None else Bfloat16Vectors()


@cache
def why_no_tiles() -> str | None:
    """Return why AMX tiles are not used, or None where they are."""
    obstacle = tile_obstacle()
    if obstacle is not None:
        return obstacle
    if 4 * PANEL != 2 * TILE_BYTES:
        return "vectors are shorter than tiles expect"
    tiles, vectors = (_try_product(engine) for engine in (Bfloat16Tiles(), Bfloat16Vectors()))
    return None if np.allclose(tiles, vectors, atol=1e-4) else "AMX tiles give results unlike plain products"


def _try_product(engine: Bfloat16Vectors | Bfloat16Tiles) -> NDArray[np.float32]:
    """Return rows of 1/3, 2/3, ... times a panel, twice, by an engine."""
    rows = Bfloat16Tiles().rows
    left = (np.arange(rows * 2 * DEPTH, dtype=np.float32) % 37 / 3).view(np.uint32) >> 16
    weights = (np.arange(2 * DEPTH * PANEL, dtype=np.float32) % 41 / 5).reshape(2 * DEPTH, PANEL)
    sums = np.zeros((rows, PANEL), np.float32)
    panel = np.zeros((DEPTH, PANEL), np.uint32)
    multiply_all(engine, left.astype(np.uint16).reshape(rows, 2 * DEPTH), weights, panel, sums)
    return sums


@compiled
def multiply_all(
    engine: Engine,
    left: NDArray[np.float32] | NDArray[np.uint16],
    weights: NDArray[np.float32],
    panel: NDArray[np.uint32],
    sums: NDArray[np.float32],
) -> None:
    """Add the product of rows, a multiple of what the engine takes, and PANEL columns to the sums, twice.

    Args:
        engine: What multiplies.
        left: (rows, K), operands.
        weights: (K, PANEL).
        panel: Room for the packed weights.
        sums: (rows, PANEL).
    """
    room = np.empty(64, np.uint8)
    prepare(engine, room)
    pack(engine, weights, panel)
    depth, stride = weights.shape[0], left.strides[0]
    for first in range(0, left.shape[0], engine.rows):
        rows, out = left[first].ctypes.data, sums[first].ctypes.data
        multiply(engine, out, rows, stride, panel.ctypes.data, depth, 0)
        multiply(engine, out, rows, stride, panel.ctypes.data, depth, 1)
    leave(engine, room)

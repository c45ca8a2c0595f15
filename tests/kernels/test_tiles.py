import ctypes
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from seqgen.kernels import engines, products, tiles
from seqgen.kernels.products import DEPTH, PANEL, Bfloat16Tiles
from seqgen.kernels.tiles import TILE_ROWS

needs_wide_vectors = pytest.mark.skipif(PANEL != 32, reason="tiles are for processors with AVX-512")


class EmulatedTiles:
    """What the instructions do, on numpy: the plain twin of `seqgen.kernels.tiles`."""

    def __init__(self):
        self.tiles = np.zeros((8, TILE_ROWS, 16), np.uint32)

    def clear(self, tile):
        self.tiles[tile] = 0

    def fetch(self, tile, address, stride):
        for row in range(TILE_ROWS):
            ctypes.memmove(self.tiles[tile, row].ctypes.data, address + row * stride, 64)

    def put(self, tile, address, stride):
        for row in range(TILE_ROWS):
            ctypes.memmove(address + row * stride, self.tiles[tile, row].ctypes.data, 64)

    def multiply_tiles(self, total, left, right):
        def halves(words):
            return [(part.astype(np.uint32) << 16).view(np.float32) for part in (words & 0xFFFF, words >> 16)]

        sums = self.tiles[total].view(np.float32)
        for a, b in zip(halves(self.tiles[left]), halves(self.tiles[right]), strict=True):
            sums += a @ b


@needs_wide_vectors
@pytest.mark.parametrize("add", [0, 1])
def test_order_of_instructions_gives_the_product(monkeypatch, add):
    emulated = EmulatedTiles()
    for name in ("clear", "fetch", "put", "multiply_tiles"):
        monkeypatch.setattr(products, name, getattr(emulated, name))
    engine, depth = Bfloat16Tiles(), 3 * DEPTH
    left = torch.randn(engine.rows, depth + 8).bfloat16()
    weights = torch.randn(depth, PANEL)
    panel = np.zeros((depth // 2, PANEL), np.uint32)
    products._pack_bfloat16(engine, weights.numpy(), panel)
    sums = np.full((engine.rows, PANEL), 2.0, np.float32)
    address = left.view(torch.uint16).numpy().ctypes.data
    products._with_tiles.py_func(
        engine, sums.ctypes.data, address, 2 * (depth + 8), panel.ctypes.data, depth, add
    )
    expected = left[:, :depth].double() @ weights.bfloat16().double() + 2.0 * add
    np.testing.assert_allclose(sums, expected.numpy(), atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="compiles for x86-64")
def test_intrinsics_become_the_instructions_they_name(tmp_path):
    program = """
import json
from numba import int64, njit
from seqgen.kernels.tiles import *
@njit
def work(address, stride):
    save_configuration(address)
    configure(address)
    clear(0)
    fetch(5, address, stride)
    multiply_tiles(3, 5, 7)
    put(2, address, stride)
work.compile((int64, int64))
(text,) = work.inspect_asm().values()
print(json.dumps([line.split() for line in text.splitlines() if "%tmm" in line or "tilecfg" in line]))
"""
    features = "+64bit,+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87,+amx-tile,+amx-bf16"
    environment = os.environ | {
        "NUMBA_CPU_NAME": "sapphirerapids",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    lines = json.loads(done.stdout)
    assert [line[0] for line in lines] == [
        *("sttilecfg", "ldtilecfg", "tilezero", "tileloadd", "tdpbf16ps", "tilestored")
    ]
    assert lines[2][1] == "%tmm0"
    assert lines[3][-1] == "%tmm5"
    assert lines[4][1:] == ["%tmm7,", "%tmm5,", "%tmm3"]  # right, left, total
    assert lines[5][1] == "%tmm2,"


def test_absence_of_tiles_is_explained(monkeypatch):
    monkeypatch.setattr(tiles, "has_feature", lambda name: False)
    assert tiles.tile_obstacle() == "this CPU has no AMX tiles"


def test_tiles_that_multiply_wrongly_are_not_used(monkeypatch):
    monkeypatch.setattr(engines, "tile_obstacle", lambda: None)
    monkeypatch.setattr(engines, "PANEL", tiles.TILE_BYTES // 2)  # as long as vectors of AVX-512 make it
    wrong = {Bfloat16Tiles: 1.0}
    monkeypatch.setattr(engines, "_try_product", lambda engine: np.ones(4) * wrong.get(type(engine), 2.0))
    engines.why_no_tiles.cache_clear()
    assert "unlike" in engines.why_no_tiles()
    engines.why_no_tiles.cache_clear()


@pytest.mark.skipif(tiles.tile_obstacle() is not None, reason=str(tiles.tile_obstacle()))
def test_tiles_are_used_where_they_are():
    assert engines.why_no_tiles() is None

"""Transposing copies between float32 and the bits of bfloat16, by blocks that stay in the nearest cache.

torch's own take several times as long where the type changes or the operands are bfloat16.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqgen.kernels.jit import compiled, float_bits, float_from_bits
from seqgen.kernels.team import run_together, share

BLOCK = 32
_HALF, _SHORT = np.int32(0x8000), np.int32(16)


def transpose(source: Tensor, target: Tensor) -> None:
    """Write (R, C) as (C, at least R), both bfloat16, or float32 rounded to bfloat16."""
    kernel = _round if source.dtype == torch.float32 else _move
    _by_blocks(kernel, source.shape[0], bits(source), bits(target))


def add_transposed(source: Tensor, target: Tensor, *, first: bool) -> None:
    """Add (C, at least R) in bfloat16 to (R, C) in float32, which is overwritten where it is the first."""
    _by_blocks(_add, target.shape[0], bits(source), bits(target), first)


def bits(tensor: Tensor) -> Any:
    """Return a tensor's memory as numpy, bfloat16 as its bits."""
    tensor = tensor.detach()
    return tensor.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def _by_blocks(kernel: Callable[..., None], rows: int, *arguments: Any) -> None:
    """Share the blocks of rows of the narrow-to-wide side among threads."""
    blocks = -(-rows // BLOCK)
    threads = max(1, min(torch.get_num_threads(), blocks // 8))

    def work(thread: int, _barrier: object) -> None:
        begin, end = share(blocks, thread, threads)
        kernel(*arguments, begin * BLOCK, min(end * BLOCK, rows))

    run_together(work, threads)


@compiled
def _round(source: Any, target: Any, begin: Any, end: Any) -> None:
    for first in range(begin, end, BLOCK):
        for c in range(source.shape[1]):
            for r in range(first, min(first + BLOCK, end)):
                target[c, r] = np.uint16((float_bits(source[r, c]) + _HALF) >> _SHORT)


@compiled
def _move(source: Any, target: Any, begin: Any, end: Any) -> None:
    for first in range(begin, end, BLOCK):
        for c in range(source.shape[1]):
            for r in range(first, min(first + BLOCK, end)):
                target[c, r] = source[r, c]


@compiled
def _add(source: Any, target: Any, overwrite: Any, begin: Any, end: Any) -> None:
    for first in range(begin, end, BLOCK):
        for c in range(target.shape[1]):
            for r in range(first, min(first + BLOCK, end)):
                value = float_from_bits(np.int32(source[c, r]) << _SHORT)
                target[r, c] = value if overwrite else target[r, c] + value

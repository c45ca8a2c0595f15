"""Memory that is used again in every training step: fresh pages cost more than some of the work on them."""

from collections import defaultdict

import torch
from torch import Tensor


class Workspace:
    """Lends float and word buffers by shape, each to one borrower at a time."""

    def __init__(self) -> None:
        self._free: dict[tuple[tuple[int, ...], torch.dtype], list[Tensor]] = defaultdict(list)

    def take(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Lend a buffer with whatever its last borrower left in it; a new one holds zeros."""
        free = self._free[shape, dtype]
        return free.pop() if free else torch.zeros(shape, dtype=dtype)

    def give(self, *buffers: Tensor) -> None:
        """Take buffers back. What is never given back is simply freed with its last reference."""
        for buffer in buffers:
            self._free[tuple(buffer.shape), buffer.dtype].append(buffer)

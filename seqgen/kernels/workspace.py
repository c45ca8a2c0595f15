"""Memory that is used again in every training step: fresh pages cost more than some of the work on them."""

import math

import torch
from torch import Tensor


class Workspace:
    """Lends buffers, each to one borrower at a time, and lends again what it gets back."""

    def __init__(self) -> None:
        self._free: list[torch.UntypedStorage] = []

    def take(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Lend a buffer with anything in it."""
        needed = math.prod(shape) * dtype.itemsize
        fitting = [storage for storage in self._free if storage.nbytes() >= needed]
        if fitting:
            storage = min(fitting, key=torch.UntypedStorage.nbytes)
            self._free.remove(storage)
        else:
            # Something larger is wanted than before: what is too small now will be so again.
            self._free.sort(key=torch.UntypedStorage.nbytes)
            del self._free[:1]
            storage = torch.empty(needed, dtype=torch.uint8).untyped_storage()
        return torch.empty(0, dtype=dtype).set_(storage)[: math.prod(shape)].view(shape)

    def give(self, *buffers: Tensor) -> None:
        """Take buffers back. One that is never given back is freed with its last reference."""
        self._free += [buffer.untyped_storage() for buffer in buffers]

"""Memory that is used again in every training step: fresh pages cost more than some of the work on them."""

import math
import weakref

import torch
from torch import Tensor


class Workspace:
    """Lends buffers, each to one borrower at a time, and lends again what it gets back."""

    def __init__(self) -> None:
        self._free: list[torch.UntypedStorage] = []

    def take(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Lend a buffer with anything in it."""
        storage = self._find(math.prod(shape) * dtype.itemsize)
        return torch.empty(0, dtype=dtype).set_(storage)[: math.prod(shape)].view(shape)

    def lend(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Lend a buffer on the CPU that comes back by itself, when no tensor shares its memory any more.

        For what leaves the borrower's hands, such as a gradient that autograd keeps until the next step.
        """
        size = math.prod(shape) * dtype.itemsize
        if not size:
            return torch.empty(shape, dtype=dtype)
        storage = self._find(size)
        # Tensors made from this array hold it alive, and nothing else does.
        array = torch.empty(0, dtype=torch.uint8).set_(storage)[:size].numpy()
        weakref.finalize(array, self._free.append, storage)
        return torch.from_numpy(array).view(dtype).view(shape)

    def give(self, *buffers: Tensor) -> None:
        """Take buffers back. One that is never given back is freed with its last reference."""
        self._free += [buffer.untyped_storage() for buffer in buffers]

    def _find(self, needed: int) -> torch.UntypedStorage:
        """Return the smallest free storage that holds so many bytes, or a new one."""
        fitting = [storage for storage in self._free if storage.nbytes() >= needed]
        if fitting:
            storage = min(fitting, key=torch.UntypedStorage.nbytes)
            self._free.remove(storage)
            return storage
        # Something larger is wanted than before: what is too small now will be so again.
        self._free.sort(key=torch.UntypedStorage.nbytes)
        del self._free[:1]
        return torch.empty(needed, dtype=torch.uint8).untyped_storage()

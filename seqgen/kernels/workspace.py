"""What a training keeps from step to step: memory, and which way of doing some work was fastest here.

Fresh pages cost more than some of the work on them.
"""

import math
import mmap
import time
import weakref
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

_HUGE_PAGE = 1 << 21
_TRIALS = 4
"""How often a way is timed; the first time may include compiling."""


class Workspace:
    """Lends buffers, each to one borrower at a time, and lends again what it gets back."""

    def __init__(self) -> None:
        self._free: list[torch.UntypedStorage] = []
        self._trials: dict[Hashable, dict[Any, list[float]]] = {}

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
        weakref.finalize(array, self._free.append, storage).atexit = False
        return torch.from_numpy(array).view(dtype).view(shape)

    def trial(self, work: Hashable, ways: Sequence[Any]) -> "Trial":
        """Return which of several ways to do some work to try next; once each is timed, the fastest.

        Args:
            work: Names the work, its sizes included.
            ways: They must give the same results.
        """
        times = self._trials.setdefault(work, {})
        for way in ways:
            times.setdefault(way, [])
        untried = min(ways, key=lambda way: len(times[way]))
        if len(times[untried]) < _TRIALS:
            return Trial(untried, times[untried])
        return Trial(min(ways, key=lambda way: min(times[way])), None)

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
        return _allocate(needed)


class Trial:
    """One way to do some work, timed while the value is used in a `with` block."""

    def __init__(self, choice: Any, times: list[float] | None) -> None:
        self.choice = choice
        self._times = times
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        if self._times is not None:
            self._times.append(time.perf_counter() - self._began)


def _allocate(size: int) -> torch.UntypedStorage:
    """Return memory, in huge pages where the system has them to give: rows lie a page or more apart."""
    if size < _HUGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(size, dtype=torch.uint8).untyped_storage()
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # shared memory has no huge pages by default
    pages = mmap.mmap(-1, -(-size // _HUGE_PAGE) * _HUGE_PAGE, flags=private)
    pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8).untyped_storage()

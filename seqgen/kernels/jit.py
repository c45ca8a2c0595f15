"""numba's compiler with the settings every kernel shares: compiled once a machine, kept in the user's cache.

The cache folder (`NUMBA_CACHE_DIR` overrides its place) is named by a hash of the kernels' sources, because
numba itself looks only at the file of the outermost function and would keep an old version of what that one
calls. Where no folder can be written, each run compiles afresh.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import config, njit, types
from numba.core import event
from numba.extending import intrinsic

from seqgen.runtime import cache_dir


@cache
def _cached_on_disk() -> bool:
    """Point numba at the cache folder; return whether it can be written."""
    digest = sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    try:
        folder = Path(config.CACHE_DIR or cache_dir("compiled")) / digest.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
    except OSError:
        return False
    config.CACHE_DIR = str(folder)
    return True


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile `function` on its first call, and release the GIL while it runs.

    Only the arithmetic that is written is done: sums keep their order and no multiply-add is fused unless
    `fma` says so. Results are then the same on every processor, unless `options` allow more.
    """
    return njit(nogil=True, error_model="numpy", cache=_cached_on_disk(), **options)(function)


class _OnCompile(event.Listener):  # type: ignore[misc]
    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, event: Any) -> None:
        if self._tell is not None:
            self._tell()
            self._tell = None

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def telling_of_compilation(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` once, before the first kernel is compiled within the block, if one has to be."""
    with event.install_listener("numba:compile", _OnCompile(tell)):
        yield


@intrinsic
def fma(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c of float32 values, rounded once."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return types.float32(types.float32, types.float32, types.float32), generate


@intrinsic
def float_bits(_context: Any, value: Any) -> Any:
    """Return the bits of a float32 as an int32; for positive values their order is the same."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def float_from_bits(_context: Any, bits: Any) -> Any:
    """Return the float32 that has the bits of an int32."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.int32), generate

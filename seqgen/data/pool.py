"""Work on many tunes, shared among processes, that outlives a reader which crashes."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from seqgen.runtime import cpu_count

Item = TypeVar("Item")
T = TypeVar("T")

WORTH_A_POOL = 48
"""Tunes from which starting other processes pays, even on one core: what ends a reader must not end all."""
_CHUNK = 4
"""Least tunes that a process is given at a time: after Ctrl-C, those at work are waited for."""
_LARGEST_CHUNK = 32


def map_tunes(items: Sequence[Item], work: Callable[[Item], T], crashed: Callable[[Item], T]) -> Iterator[T]:
    """Yield what `work` makes of each tune, in order.

    Args:
        items: One for each tune.
        work: A picklable function.
        crashed: Returns what stands for a tune that ended the process which worked on it.
    """
    if len(items) < WORTH_A_POOL:
        yield from map(work, items)
        return
    chunk = max(_CHUNK, min(_LARGEST_CHUNK, len(items) // (64 * cpu_count())))
    done = 0
    while done < len(items):
        try:
            with _pool(cpu_count()) as pool:
                for result in pool.map(work, items[done:], chunksize=chunk):
                    yield result
                    done += 1
        except BrokenProcessPool:
            # A tune made the reader crash. Until it is behind us, each gets a process of its own.
            for item in items[done : done + chunk]:
                yield _work_alone(item, work, crashed)
                done += 1


def _work_alone(item: Item, work: Callable[[Item], T], crashed: Callable[[Item], T]) -> T:
    try:
        with _pool(1) as pool:
            return pool.submit(work, item).result()
    except BrokenProcessPool:
        return crashed(item)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Start processes that inherit no threads; Ctrl-C is left to the process that waits for them."""
    from multiprocessing import get_all_start_methods, get_context

    if "forkserver" in get_all_start_methods():
        context = get_context("forkserver")
        context.set_forkserver_preload(["seqgen.data.tunes"])
        return ProcessPoolExecutor(workers, context, initializer=_ignore_interrupts)
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_ignore_interrupts)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

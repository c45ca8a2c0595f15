"""Threads that work through one compiled loop together, meeting at a barrier after each step.

Python calls the threads once per pass over a sequence, torch's own where it can; between steps they only
spin on a counter in shared memory, which takes under a microsecond where a call per step would take many.
"""

import os
import platform
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled
from seqgen.kernels.openmp import run_in_openmp

Barrier = NDArray[np.int64]
"""A counter of arrivals, and a flag that calls the work off."""

_SPINS = 2000
_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
_FLUSH_RESULTS_AND_OPERANDS = 0x8040
_WORD = ir.IntType(64)


@intrinsic
def _add_atomically(_context: Any, _address: Any, _amount: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        place = builder.inttoptr(values[0], _WORD.as_pointer())
        return builder.atomic_rmw("add", place, values[1], "acq_rel")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _load_atomically(_context: Any, _address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(values[0], _WORD.as_pointer()), "acquire", 8)

    return types.int64(types.int64), generate


@compiled
def count_up(counter: int) -> None:
    """Add one to the counter at an address; what this thread wrote before is seen by whom waits for it."""
    _add_atomically(counter, 1)


_give_way = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


@compiled
def comes_within(spins: int, counter: int, least: int) -> bool:
    """Look at a counter so many times, without giving way; return whether it comes so far."""
    while spins > 0 and _load_atomically(counter) < least:
        spins -= 1
    return spins > 0


@compiled
def wait_until(counter: int, least: int, ending: int) -> bool:
    """Wait until a counter has come so far; return False if the work is called off.

    Args:
        counter: The address of the counter.
        least: What it has to reach.
        ending: The address of the flag that calls the work off.
    """
    spins = 0
    while _load_atomically(counter) < least:
        spins += 1
        if spins > _SPINS:  # another process may have the core that a thread of ours waits for
            _give_way()
            if _load_atomically(ending) != 0:
                return False
    return True


@compiled
def meet(barrier: Barrier, arrivals: int) -> bool:
    """Wait until the threads have arrived so often in total; return False if the work is called off."""
    counter = barrier.ctypes.data
    count_up(counter)
    goes_on: bool = wait_until(counter, arrivals, counter + 8)
    return goes_on


@intrinsic(prefer_literal=True)
def _control_word(_context: Any, _address: Any, store: Any) -> Any:
    """Store the x86 control word of floating point at an address, or load it from there."""
    name = f"llvm.x86.sse.{'stmxcsr' if store.literal_value else 'ldmxcsr'}"

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if _IS_X86:
            pointer = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [pointer])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [builder.inttoptr(arguments[0], pointer)])
        return context.get_dummy_value()

    return types.void(types.int64, store), generate


@compiled
def flush_denormals() -> np.uint32:
    """Have this thread take numbers below 1e-38 for zero, which is much faster; returns how it was."""
    word = np.zeros(1, np.uint32)
    _control_word(word.ctypes.data, True)
    before = np.uint32(word[0])
    word[0] |= np.uint32(_FLUSH_RESULTS_AND_OPERANDS)
    _control_word(word.ctypes.data, False)
    return before


@compiled
def restore_denormals(before: np.uint32) -> None:
    """Undo `flush_denormals`."""
    word = np.full(1, before, np.uint32)
    _control_word(word.ctypes.data, False)


def run_together(work: Callable[[int, Barrier], None], threads: int) -> None:
    """Call `work(thread, barrier)` for all threads at the same time; return when all are done.

    `work` must release the interpreter lock. It may call `meet`, equally often in every thread.
    """
    barrier = np.zeros(2, np.int64)

    def guarded(thread: int) -> None:
        try:
            work(thread, barrier)
        except BaseException:
            barrier[1] = 1  # or the others would wait for this thread for ever
            raise

    if threads == 1:
        work(0, barrier)
    elif not run_in_openmp(guarded, threads):
        run_in_pool(guarded, threads)


def run_in_pool(work: Callable[[int], None], threads: int) -> None:
    """Call `work(thread)` in threads of Python's at the same time."""
    others: list[Future[None]] = []
    try:
        others = [_pool(os.getpid(), threads).submit(work, i) for i in range(1, threads)]
        work(0)
    finally:
        for other in others:
            other.result()


@cache
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    """Keep the threads from call to call; a forked process has none and needs its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="seqgen-kernel")


@register_jitable  # plain in Python: a compiled call would wait there for the interpreter lock
def share(items: int, thread: int, threads: int) -> tuple[int, int]:
    """Return the first of this thread's items and the one after its last."""
    return items * thread // threads, items * (thread + 1) // threads

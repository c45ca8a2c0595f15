"""Threads that share the products of one sampling loop: one draws and gives orders, the others help.

An order is one product of vectors with a matrix, told by addresses. Every thread computes its own share of
the outputs, each output whole and in the same order as alone, so the number of threads never changes a bit.
It is the same share each time: a thread's part of the weights stays in the nearest cache that holds it.

Python starts the helpers once per chunk of tokens, and they end with it: nobody spins while nothing is drawn.
Where another process has the core of a helper, each product would wait for it: it is called off, the rest of
the chunk done alone, and some chunks pass before helpers are started again. The first chunks are drawn alone,
too, while the helpers' code is loaded.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from seqgen.kernels.int8 import BLOCK, add_int8_product, write_digits
from seqgen.kernels.jit import compiled, fma
from seqgen.kernels.layout import LANES
from seqgen.kernels.team import Barrier, comes_within, count_up, run_together, share, wait_until

MOST_THREADS = 8
BYTES_A_THREAD = 750_000  # of weights: with fewer, waiting for each other costs more than is gained
BYTES_A_CALL = 16_000_000  # of weights, as often as they are read: with fewer, helpers would wake up too late
PATIENCE = 300_000  # looks at a counter, some 0.2 ms, after which a helper is late
WAKING = 10 * PATIENCE  # the same for its first order
MOST_ALONE = 63  # calls in a row without helpers
SLOTS = 4  # orders that may be under way
DEPTH = 8  # terms of a float32 product that are added in one pass over its outputs
_APART = 16  # 64-bit words between counters, so that no two share a line that is fetched


class Crew(NamedTuple):
    """Who computes a product together.

    Attributes:
        threads: How many, the one that gives the orders included.
        orders: The last orders given, (SLOTS, words); see `_carry_out`.
        counters: How many orders were given (first row) and how many each other thread has carried out,
            (threads, words).
        barrier: Its flag calls the work off; whoever gives the orders goes on alone.
    """

    threads: int
    orders: NDArray[np.int64]
    counters: NDArray[np.int64]
    barrier: Barrier


def alone() -> Crew:
    """Return a crew of one."""
    orders, counters = np.zeros((SLOTS, _APART), np.int64), np.zeros((1, _APART), np.int64)
    return Crew(1, orders, counters, np.zeros(2, np.int64))


def crew_size(weight_bytes: int, most: int) -> int:
    """Return how many threads pay for a network that reads so many bytes of weights a token."""
    return max(1, min(most, MOST_THREADS, weight_bytes // BYTES_A_THREAD))


@dataclass
class Helpers:
    """Calls loops with helpers where they pay, and without after calls in which one was late.

    Attributes:
        pause: How many calls were to pass after the last one: 1 after the first, then 3, 7 and so on.
        left: How many of these have not yet passed.
    """

    pause: int = 0
    left: int = 0

    def call(self, loop: Callable[[Crew], None], threads: int, reads: int) -> None:
        """Call a compiled loop that reads so many bytes of weights with a crew of at most so many threads."""
        if threads > 1 and self.left > 0:
            self.left -= 1
            threads = 1
        if threads == 1 or reads < BYTES_A_CALL or not _loading().done():
            with_helpers(loop, 1)
            return
        in_time = with_helpers(loop, threads)
        self.pause = self.left = 0 if in_time else min(2 * self.pause + 1, MOST_ALONE)


@cache
def _loading() -> Future[None]:
    """Begin to load what helpers run, 0.3 s on a slow machine, beside what goes on."""
    called_off = alone()
    called_off.barrier[1] = 1
    pool = ThreadPoolExecutor(1, thread_name_prefix="seqgen-loading")
    loading: Future[None] = pool.submit(_help, called_off, 0)
    pool.shutdown(wait=False)
    return loading


def with_helpers(loop: Callable[[Crew], None], threads: int) -> bool:
    """Call a compiled loop with a crew, whose helpers end when it does; return whether they were in time."""
    orders, counters = np.zeros((SLOTS, _APART), np.int64), np.zeros((threads, _APART), np.int64)
    in_time = True

    def work(thread: int, barrier: Barrier) -> None:
        nonlocal in_time
        crew = Crew(threads, orders, counters, barrier)
        try:
            if thread:
                _help(crew, thread)
            else:
                loop(crew)
                in_time = barrier[1] == 0
        finally:
            barrier[1] = 1  # or those that wait for this thread would do so for ever

    run_together(work, threads)
    return in_time


@compiled
def multiply(vectors: Any, matrices: Any, index: Any, digits: Any, live: Any, out: Any, crew: Crew) -> None:
    """Add the products of the live rows of `vectors`, within ±1, with one of the matrices to `out`."""
    begin_product(vectors, matrices, index, digits, live, out, crew)
    join(crew)


@compiled
def begin_product(
    vectors: Any, matrices: Any, index: Any, digits: Any, live: Any, out: Any, crew: Crew
) -> None:
    """Do what `multiply` does, except that other threads may still be at it, until `join`.

    Args:
        vectors: (B, K).
        matrices: Of K inputs and R outputs.
        index: Which of them.
        digits: Room for the vectors in digits, (B, 2, K); left alone until `join`, as are the vectors.
        live: Which rows count, (B,).
        out: (B, R or more).
        crew: Who computes it.
    """
    threads = crew.threads if crew.barrier[1] == 0 else 1
    given = crew.counters[0, 0]
    if given % SLOTS == 0:
        join(crew)
    order = crew.orders[given % SLOTS]
    order[4], order[5], order[6], order[10] = out.ctypes.data, live.ctypes.data, len(live), out.shape[1]
    if len(matrices.floats):
        matrix = matrices.floats[index]
        order[0], order[1], order[2], order[3] = vectors.ctypes.data, matrix.ctypes.data, 0, 0
        order[7], order[8], order[9] = matrix.shape[1], matrix.shape[0], matrix.shape[2]
    else:
        for row in range(len(live)):
            if live[row]:
                write_digits(vectors[row], digits[row])
        values = matrices.values[index]
        order[0], order[1] = digits.ctypes.data, values.ctypes.data
        order[2], order[3] = matrices.scales[index].ctypes.data, matrices.corrections[index].ctypes.data
        order[7], order[8], order[9] = 4 * values.shape[1], values.shape[0], BLOCK
    if threads > 1:
        count_up(crew.counters[0].ctypes.data)
    _carry_out(order, 0, threads)


@compiled
def join(crew: Crew) -> None:
    """Wait until all threads have carried out all orders; if one is late, call the others off."""
    given, ending = crew.counters[0, 0], crew.barrier.ctypes.data + 8
    late = False
    for thread in range(1, crew.threads):
        counter = crew.counters[thread].ctypes.data
        patience = PATIENCE if crew.counters[thread, 0] > 0 else WAKING
        if not comes_within(patience, counter, given):
            wait_until(counter, given, ending)
            late = True
    if late:
        crew.barrier[1] = 1


@compiled
def _help(crew: Crew, thread: int) -> None:
    """Carry out a thread's share of all orders, until the work is called off."""
    given, ending = crew.counters[0].ctypes.data, crew.barrier.ctypes.data + 8
    done = crew.counters[thread, 0]
    while wait_until(given, done + 1, ending):
        _carry_out(crew.orders[done % SLOTS], thread, crew.threads)
        count_up(crew.counters[thread].ctypes.data)
        done += 1


@intrinsic
def _pointer(_context: Any, _address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@compiled
def _carry_out(order: NDArray[np.int64], thread: int, threads: int) -> None:
    """Compute a thread's share of a product.

    Args:
        order: Addresses of the inputs (vectors or digits), the weights, their scales (0 for float32), their
            corrections, the outputs and the live rows; then the numbers of rows, of inputs, of blocks or
            tiles, of outputs in each of these, and of outputs in a row.
        thread: Which.
        threads: Of how many.
    """
    rows, depth, blocks, width = order[6], order[7], order[8], order[9]
    live = carray(_pointer(order[5]), (rows,), np.bool_)
    out = carray(_pointer(order[4]), (rows, order[10]), np.float32)
    if order[2] == 0:
        vectors = carray(_pointer(order[0]), (rows, depth), np.float32)
        matrix = carray(_pointer(order[1]), (blocks, depth, width), np.float32)
        begin, end = share(blocks * width // LANES, thread, threads)
        _add_product(vectors, matrix, out, live, begin * LANES, end * LANES)
        return
    digits = carray(_pointer(order[0]), (rows, 2, depth), np.uint8)
    values = carray(_pointer(order[1]), (blocks, depth // 4, BLOCK, 4), np.int8)
    scales = carray(_pointer(order[2]), (blocks * BLOCK,), np.float32)
    corrections = carray(_pointer(order[3]), (blocks * BLOCK,), np.int32)
    begin, end = share(blocks, thread, threads)
    first, stop = begin * BLOCK, end * BLOCK
    own = out[:, first:stop]
    add_int8_product(digits, values[begin:end], scales[first:stop], corrections[first:stop], own, live)


@compiled
def _add_product(vectors: Any, matrix: Any, out: Any, live: Any, begin: Any, end: Any) -> None:
    """Add columns of vectors @ matrix to `out` in the live rows: (B, K) @ (K, R) -> (B, R), in order of K.

    The matrix comes in tiles of columns, (R/W, K, W), so that a tile's rows stay in the nearest cache while
    all sequences use them.
    """
    depth, width = matrix.shape[1], matrix.shape[2]
    for tile in range(begin // width, (end + width - 1) // width):
        start = tile * width
        first, stop = max(begin - start, 0), min(end - start, width)
        for k in range(0, depth, DEPTH):
            # Rows of their own, indexed from 0: with an offset the loop over outputs is not vectorised.
            w0, w1 = matrix[tile, k, first:stop], matrix[tile, k + 1, first:stop]
            w2, w3 = matrix[tile, k + 2, first:stop], matrix[tile, k + 3, first:stop]
            w4, w5 = matrix[tile, k + 4, first:stop], matrix[tile, k + 5, first:stop]
            w6, w7 = matrix[tile, k + 6, first:stop], matrix[tile, k + 7, first:stop]
            for row in range(len(live)):
                if not live[row]:
                    continue
                x0, x1, x2, x3 = (
                    vectors[row, k],
                    vectors[row, k + 1],
                    vectors[row, k + 2],
                    vectors[row, k + 3],
                )
                x4, x5, x6 = vectors[row, k + 4], vectors[row, k + 5], vectors[row, k + 6]
                x7 = vectors[row, k + 7]
                sums = out[row, start + first : start + stop]
                for r in range(len(sums)):
                    total = fma(w1[r], x1, fma(w0[r], x0, sums[r]))
                    total = fma(w3[r], x3, fma(w2[r], x2, total))
                    total = fma(w5[r], x5, fma(w4[r], x4, total))
                    sums[r] = fma(w7[r], x7, fma(w6[r], x6, total))

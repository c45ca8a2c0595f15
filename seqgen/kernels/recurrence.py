"""The loops over time of a recurrent layer: all threads in one compiled loop, a barrier after each step.

Each thread owns a share of the hidden units, packs their weights once, and computes for every step first the
products of the state (whole rows of it, from all threads) with them, then the pointwise work, while the sums
are still in the nearest cache.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, load, store
from seqgen.kernels.pointwise import Floats, Operands, Pass, step_backward, step_forward
from seqgen.kernels.products import PANEL, leave, multiply, pack, prepare
from seqgen.kernels.team import Barrier, flush_denormals, meet, restore_denormals, share

Panels = NDArray[np.uint32]

ROWS = 32
"""How many rows of a batch are worked on at a time: so few that their sums stay in the nearest cache."""
SLACK = 32
"""How many rows a product may read and write beyond the last one; there must be memory, which is ignored."""


@compiled
def run_forward(
    cell: Any,
    engine: Any,
    data: Pass,
    weight: Floats,
    panels: Panels,
    scratch: Floats,
    thread: int,
    threads: int,
    barrier: Barrier,
) -> None:
    """Take all steps.

    Args:
        cell: Lstm(), Gru() or Rnn().
        engine: What multiplies.
        data: The layer's memory; `operand_in[0]` and `state_in[0]` hold the first state.
        weight: (G·H, H), recurrent.
        panels: (unit blocks, G, words, PANEL) room for the packed weights.
        scratch: (threads, G, ROWS + SLACK, PANEL) room for sums.
        thread: Which of the threads this is.
        threads: How many there are.
        barrier: Where they meet.
    """
    steps, batch, size = data.outputs.shape
    begin, end = share(panels.shape[0], thread, threads)
    for block in range(begin, end):
        for gate in range(cell.gates):
            start = gate * size + block * PANEL
            pack(engine, weight[start : start + PANEL].T, panels[block, gate])
    before, room = flush_denormals(), np.empty(64, np.uint8)
    prepare(engine, room)
    recurrent = scratch[thread]
    stride = data.operand_in.strides[1]
    for t in range(steps):
        for block in range(begin, end):
            unit = block * PANEL
            for first in range(0, batch, ROWS):
                count = min(ROWS, batch - first)
                for gate in range(cell.gates):
                    for row in range(0, count, engine.rows):
                        state = data.operand_in[t, first + row].ctypes.data
                        panel, sums = panels[block, gate].ctypes.data, recurrent[gate, row].ctypes.data
                        multiply(engine, sums, state, stride, panel, size, 0)
                step_forward(cell, data, t, first, count, unit, recurrent)
        if not meet(barrier, threads * (t + 1)):
            break
    leave(engine, room)
    restore_denormals(before)


@compiled
def run_backward(
    cell: Any,
    engine: Any,
    data: Pass,
    d_hidden: Floats,
    weight: Floats,
    panels: Panels,
    scratch: Floats,
    thread: int,
    threads: int,
    barrier: Barrier,
) -> None:
    """Turn the activated gates of all steps into the gradients of their sums, last step first.

    Args:
        cell: Lstm(), Gru() or Rnn().
        engine: What multiplies.
        data: The layer's memory after `run_forward`, `outputs` holding the gradient of the outputs.
        d_hidden: (B, H), gradient of the last hidden state.
        weight: (G·H, H), recurrent.
        panels: (unit blocks, 2, words, PANEL) room for the packed weights.
        scratch: (threads, G, ROWS + SLACK, PANEL) room for sums.
        thread: Which of the threads this is.
        threads: How many there are.
        barrier: Where they meet.
    """
    steps, batch, size = data.outputs.shape
    begin, end = share(panels.shape[0], thread, threads)
    joint = cell.joint * size
    for block in range(begin, end):
        units = weight[:, block * PANEL : (block + 1) * PANEL]
        pack(engine, units[:joint], panels[block, 0])
        pack(engine, units[joint:], panels[block, 1])
    before, room = flush_denormals(), np.empty(64, np.uint8)
    prepare(engine, room)
    from_next = scratch[thread, 0]
    gate_stride, saved_stride = data.gates.strides[1], data.saved.strides[1]
    for t in range(steps - 1, -1, -1):
        for block in range(begin, end):
            unit = block * PANEL
            for first in range(0, batch, ROWS):
                count = min(ROWS, batch - first)
                if t == steps - 1:
                    for r in range(count):
                        from_next[r] = d_hidden[first + r, unit : unit + PANEL]
                else:
                    for row in range(0, count, engine.rows):
                        sums = from_next[row].ctypes.data
                        gates = data.gates[t + 1, first + row].ctypes.data
                        multiply(engine, sums, gates, gate_stride, panels[block, 0].ctypes.data, joint, 0)
                        if cell.gates > cell.joint:
                            own = data.saved[t + 1, first + row].ctypes.data
                            multiply(engine, sums, own, saved_stride, panels[block, 1].ctypes.data, size, 1)
                step_backward(cell, data, t, first, count, unit, from_next)
        if not meet(barrier, threads * (steps - t)):
            break
    leave(engine, room)
    restore_denormals(before)


@compiled
def add_rows(
    source: Operands, reads: NDArray[np.int32], begin: int, end: int, sums: NDArray[np.float32]
) -> None:
    """Add columns `begin` to `end` of each source row i to row reads[i] of the sums, in order."""
    for i in range(len(reads)):
        row, total = source[i], sums[reads[i]]
        for j in range(begin, end, LANES):
            store(total, j, load(total, j) + load(row, j))

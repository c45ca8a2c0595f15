"""The loops over time of a recurrent layer: all threads in one compiled loop.

A thread packs its share of the weights once. Then it either owns a share of the hidden units, and meets the
others after each step, because a product takes whole rows of the state; or a share of the rows of the batch,
and meets nobody, at the price of reading all weights at each step. Products come first, then the pointwise
work, while the sums are still in the nearest cache.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled
from seqgen.kernels.pointwise import ROWS, Floats, Pass, step_backward, step_forward
from seqgen.kernels.products import PANEL, leave, multiply, pack, prepare
from seqgen.kernels.team import Barrier, flush_denormals, meet, restore_denormals, share

Panels = NDArray[np.uint32]

SLACK = 32
"""How many rows a product may read and write beyond the last one; there must be memory, which is ignored."""


class Member(NamedTuple):
    """One of the threads that work on a layer."""

    thread: int
    threads: int
    by_rows: bool
    """Whether a thread owns rows of the batch, else units."""


@compiled
def _own_blocks(member: Member, units: int, rows: int) -> tuple[int, int, int, int]:
    """Return the blocks of units and the blocks of rows that a thread works on, each from and to."""
    if member.by_rows:
        begin, end = share(rows, member.thread, member.threads)
        return 0, units, begin, end
    begin, end = share(units, member.thread, member.threads)
    return begin, end, 0, rows


@compiled
def run_forward(
    cell: Any,
    engine: Any,
    data: Pass,
    weight: Floats,
    panels: Panels,
    scratch: Floats,
    member: Member,
    barrier: Barrier,
) -> None:
    """Take all steps.

    Args:
        cell: Lstm(), Gru() or Rnn().
        engine: What multiplies.
        data: The layer's memory; `operand_in[0]` and `state` hold the first state.
        weight: (G·H, H), recurrent.
        panels: (unit blocks, G, words, PANEL) room for the packed weights.
        scratch: (threads, G, ROWS + SLACK, PANEL) room for sums.
        member: Which of the threads this is.
        barrier: Where they meet.
    """
    steps, batch, size = data.outputs.shape
    begin, end = share(panels.shape[0], member.thread, member.threads)
    for block in range(begin, end):
        for gate in range(cell.gates):
            start = gate * size + block * PANEL
            pack(engine, weight[start : start + PANEL].T, panels[block, gate])
    goes_on, met = meet(barrier, member.threads), 1
    begin, end, top, bottom = _own_blocks(member, panels.shape[0], (batch + ROWS - 1) // ROWS)
    before, room = flush_denormals(), np.empty(64, np.uint8)
    prepare(engine, room)
    recurrent = scratch[member.thread]
    stride = data.operand_in.strides[1]
    for t in range(steps):
        if not goes_on:
            break
        for block in range(begin, end):
            for first in range(top * ROWS, bottom * ROWS, ROWS):
                count = min(ROWS, batch - first)
                for gate in range(cell.gates):
                    for row in range(0, count, engine.rows):
                        state = data.operand_in[t, first + row].ctypes.data
                        panel, sums = panels[block, gate].ctypes.data, recurrent[gate, row].ctypes.data
                        multiply(engine, sums, state, stride, panel, size, 0)
                step_forward(cell, data, t, first, count, block * PANEL, recurrent)
        if not member.by_rows:
            met += 1
            goes_on = meet(barrier, member.threads * met)
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
    member: Member,
    barrier: Barrier,
) -> None:
    """Turn the activated gates of all steps into the gradients of their sums, last step first.

    Args:
        cell: Lstm(), Gru() or Rnn().
        engine: What multiplies.
        data: The layer's memory after `run_forward`, `outputs` and `state` holding gradients, `d_bias` zeros.
        d_hidden: (B, H), gradient of the last hidden state.
        weight: (G·H, H), recurrent.
        panels: (unit blocks, 2, words, PANEL) room for the packed weights.
        scratch: (threads, G, ROWS + SLACK, PANEL) room for sums.
        member: Which of the threads this is.
        barrier: Where they meet.
    """
    steps, batch, size = data.outputs.shape
    joint = cell.joint * size
    begin, end = share(panels.shape[0], member.thread, member.threads)
    for block in range(begin, end):
        units = weight[:, block * PANEL : (block + 1) * PANEL]
        pack(engine, units[:joint], panels[block, 0])
        pack(engine, units[joint:], panels[block, 1])
    goes_on, met = meet(barrier, member.threads), 1
    begin, end, top, bottom = _own_blocks(member, panels.shape[0], (batch + ROWS - 1) // ROWS)
    before, room = flush_denormals(), np.empty(64, np.uint8)
    prepare(engine, room)
    from_next = scratch[member.thread, 0]
    gate_stride, saved_stride = data.gates.strides[1], data.saved.strides[1]
    for t in range(steps - 1, -1, -1):
        if not goes_on:
            break
        for block in range(begin, end):
            unit = block * PANEL
            for first in range(top * ROWS, bottom * ROWS, ROWS):
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
        if not member.by_rows:
            met += 1
            goes_on = meet(barrier, member.threads * met)
    leave(engine, room)
    restore_denormals(before)

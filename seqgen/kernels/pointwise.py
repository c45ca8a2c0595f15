"""The pointwise work of recurrent cells on a block of rows and units of one step, forward and backward.

`Pass` holds what a pass over a sequence reads and writes. A block is the rows `first` to `first + count` and
the PANEL units from `unit`. Forward, `recurrent` (G, rows, PANEL) is its product of state and weights;
backward, `from_next` (rows, PANEL) is its gradient by way of the next step. `incoming` and `gates` may be the
same memory.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.activations import lstm_gates, tanh, two_sigmoids
from seqgen.kernels.dispatch import choose_by_class
from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, fused, load, store
from seqgen.kernels.products import PANEL

Floats = NDArray[np.float32]
Operands = NDArray[np.float32] | NDArray[np.uint16]
"""What GEMMs take: float32, or bfloat16 as its bits."""


class Pass(NamedTuple):
    """A layer's memory for one sequence. Rows of operands may be longer than their contents."""

    incoming: Operands
    """(P, G·H): x·W_ih of each distinct input."""
    reads: NDArray[np.int32]
    """(T, B): the row of `incoming` that each step reads."""
    bias: Floats
    """(S, H): LSTM i, f, g, o; GRU r, z, candidate of the input, candidate of the state; RNN one."""
    gates: Operands
    """(T, B, G·H): activated gates; backward, the gradients of their sums."""
    operand_in: Operands
    """(T + 1, B, H): the hidden state each step consumes, as the product takes it."""
    state_in: Floats
    """(T + 1, B, H): the state each step consumes that is kept in float32: LSTM c, GRU h."""
    saved: Operands
    """(T, B, H): LSTM tanh(c); GRU the candidate's recurrent sum, backward its gradient."""
    keep: Floats
    """(T + 1, B): 0 where the state is reset before a step, else 1; the last row is 1."""
    outputs: Floats
    """(T, B, H); backward, their gradient."""
    d_state: Floats
    """(B, H): backward, the gradient that passes the step by the gates: LSTM of c, GRU of h."""


class Lstm(NamedTuple):
    """Gates input, forget, candidate, output."""

    gates: int = 4
    joint: int = 4
    """How many gates, the first ones, have one gradient for both their sums."""


class Gru(NamedTuple):
    """Gates reset, update, candidate."""

    gates: int = 3
    joint: int = 2


class Rnn(NamedTuple):
    """One sum, squashed."""

    gates: int = 1
    joint: int = 1


_ONE = np.float32(1.0)


@compiled
def _lstm_forward(
    cell: Lstm, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats
) -> None:
    size = data.outputs.shape[2]
    bias_i, bias_f, bias_g, bias_o = data.bias[0], data.bias[1], data.bias[2], data.bias[3]
    for r in range(count):
        row = first + r
        incoming, gate, kept = data.incoming[data.reads[t, row]], data.gates[t, row], data.keep[t + 1, row]
        before, after, operand = data.state_in[t, row], data.state_in[t + 1, row], data.operand_in[t + 1, row]
        output, squashed = data.outputs[t, row], data.saved[t, row]
        for j in range(0, PANEL, LANES):
            u = unit + j
            i, f, g, o = lstm_gates(
                load(incoming, u) + load(recurrent[0, r], j) + load(bias_i, u),
                load(incoming, u + size) + load(recurrent[1, r], j) + load(bias_f, u),
                load(incoming, u + 2 * size) + load(recurrent[2, r], j) + load(bias_g, u),
                load(incoming, u + 3 * size) + load(recurrent[3, r], j) + load(bias_o, u),
            )
            c = fused(f, load(before, u), i * g)
            squashed_c = tanh(c)
            h = o * squashed_c
            store(gate, u, i)
            store(gate, u + size, f)
            store(gate, u + 2 * size, g)
            store(gate, u + 3 * size, o)
            store(squashed, u, squashed_c)
            store(after, u, c * kept)
            store(operand, u, h * kept)
            store(output, u, h)


@compiled
def _lstm_backward(
    cell: Lstm, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    size = data.outputs.shape[2]
    for r in range(count):
        row = first + r
        gate, kept, before = data.gates[t, row], data.keep[t + 1, row], data.state_in[t, row]
        squashed, d_output, d_cell = data.saved[t, row], data.outputs[t, row], data.d_state[row]
        for j in range(0, PANEL, LANES):
            u = unit + j
            i, f = load(gate, u), load(gate, u + size)
            g, o = load(gate, u + 2 * size), load(gate, u + 3 * size)
            squashed_c = load(squashed, u)
            d_h = fused(kept, load(from_next[r], j), load(d_output, u))
            d_c = fused(kept, load(d_cell, u), d_h * o * (_ONE - squashed_c * squashed_c))
            store(gate, u, d_c * g * i * (_ONE - i))
            store(gate, u + size, d_c * load(before, u) * f * (_ONE - f))
            store(gate, u + 2 * size, d_c * i * (_ONE - g * g))
            store(gate, u + 3 * size, d_h * squashed_c * o * (_ONE - o))
            store(d_cell, u, d_c * f)


@compiled
def _gru_forward(cell: Gru, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats) -> None:
    size = data.outputs.shape[2]
    bias_r, bias_z, bias_in, bias_own = data.bias[0], data.bias[1], data.bias[2], data.bias[3]
    for r in range(count):
        row = first + r
        incoming, gate, kept = data.incoming[data.reads[t, row]], data.gates[t, row], data.keep[t + 1, row]
        before, after, operand = data.state_in[t, row], data.state_in[t + 1, row], data.operand_in[t + 1, row]
        output, candidate = data.outputs[t, row], data.saved[t, row]
        for j in range(0, PANEL, LANES):
            u = unit + j
            reset, z = two_sigmoids(
                load(incoming, u) + load(recurrent[0, r], j) + load(bias_r, u),
                load(incoming, u + size) + load(recurrent[1, r], j) + load(bias_z, u),
            )
            own = load(recurrent[2, r], j) + load(bias_own, u)
            n = tanh(fused(reset, own, load(incoming, u + 2 * size) + load(bias_in, u)))
            h = fused(z, load(before, u) - n, n)
            store(gate, u, reset)
            store(gate, u + size, z)
            store(gate, u + 2 * size, n)
            store(candidate, u, own)
            store(after, u, h * kept)
            store(operand, u, h * kept)
            store(output, u, h)


@compiled
def _gru_backward(
    cell: Gru, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    size = data.outputs.shape[2]
    for r in range(count):
        row = first + r
        gate, kept, before = data.gates[t, row], data.keep[t + 1, row], data.state_in[t, row]
        candidate, d_output, d_hidden = data.saved[t, row], data.outputs[t, row], data.d_state[row]
        for j in range(0, PANEL, LANES):
            u = unit + j
            reset, z, n = load(gate, u), load(gate, u + size), load(gate, u + 2 * size)
            d_h = fused(kept, load(from_next[r], j) + load(d_hidden, u), load(d_output, u))
            d_n = d_h * (_ONE - z) * (_ONE - n * n)
            store(gate, u, d_n * load(candidate, u) * reset * (_ONE - reset))
            store(gate, u + size, d_h * (load(before, u) - n) * z * (_ONE - z))
            store(gate, u + 2 * size, d_n)
            store(candidate, u, d_n * reset)
            store(d_hidden, u, d_h * z)


@compiled
def _rnn_forward(cell: Rnn, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats) -> None:
    bias = data.bias[0]
    for r in range(count):
        row = first + r
        incoming, gate, kept = data.incoming[data.reads[t, row]], data.gates[t, row], data.keep[t + 1, row]
        operand, output = data.operand_in[t + 1, row], data.outputs[t, row]
        for j in range(0, PANEL, LANES):
            u = unit + j
            h = tanh(load(incoming, u) + load(recurrent[0, r], j) + load(bias, u))
            store(gate, u, h)
            store(operand, u, h * kept)
            store(output, u, h)


@compiled
def _rnn_backward(
    cell: Rnn, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    for r in range(count):
        row = first + r
        gate, kept, d_output = data.gates[t, row], data.keep[t + 1, row], data.outputs[t, row]
        for j in range(0, PANEL, LANES):
            u = unit + j
            h = load(gate, u)
            store(gate, u, fused(kept, load(from_next[r], j), load(d_output, u)) * (_ONE - h * h))


def step_forward(cell: Any, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats) -> None:
    """Take step t for a block."""
    raise NotImplementedError


def step_backward(
    cell: Any, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    """Turn the activated gates of a block at step t into the gradients of their sums."""
    raise NotImplementedError


choose_by_class(step_forward, {Lstm: _lstm_forward, Gru: _gru_forward, Rnn: _rnn_forward})
choose_by_class(step_backward, {Lstm: _lstm_backward, Gru: _gru_backward, Rnn: _rnn_backward})

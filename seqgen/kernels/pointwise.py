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
from seqgen.kernels.lanes import LANES, add_pair, fused, load, store_pair, stream_pair
from seqgen.kernels.masks import UnitMask, masked
from seqgen.kernels.products import PANEL

Floats = NDArray[np.float32]
Operands = NDArray[np.float32] | NDArray[np.uint16]
"""What GEMMs take: float32, or bfloat16 as its bits."""

PAIR = 2 * LANES
"""Units worked on at once: as many bfloat16 as fill a register, and on the widest processors a cache line."""
ROWS = 32
"""How many rows of a batch are worked on at a time: so few that their sums stay in the nearest cache."""


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
    cell_in: Operands
    """(T, B, H): the cell state each step of an LSTM consumed, for the way back."""
    saved: Operands
    """(T, B, H): LSTM tanh(c); GRU the candidate's recurrent sum, backward its gradient."""
    keep: Floats
    """(T + 1, B): 0 where the state is reset before a step, else 1; the last row is 1."""
    outputs: Operands
    """(T, B, H): what the layer passes on, through its dropout mask; backward, the gradient of that."""
    apart: bool
    """Whether outputs are stored: they are the states themselves where none is reset or dropped."""
    mask: UnitMask
    """The dropout mask of the outputs."""
    state: Floats
    """(B, H): the state in float32, LSTM c, GRU h; backward, its gradient that passes by the gates."""
    d_bias: Floats
    """(row blocks, S, H): backward, the gradient of the biases, summed over steps and the rows of a block."""


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
def _lstm(data: Pass, recurrent: Floats, row: int, r: int, t: int, unit: int, j: int) -> Any:
    """Return i, f, g, o, the consumed c, the new c, its tanh and h of lanes."""
    size, u = data.outputs.shape[2], unit + j
    incoming = data.incoming[data.reads[t, row]]
    i, f, g, o = lstm_gates(
        load(incoming, u) + load(recurrent[0, r], j) + load(data.bias[0], u),
        load(incoming, u + size) + load(recurrent[1, r], j) + load(data.bias[1], u),
        load(incoming, u + 2 * size) + load(recurrent[2, r], j) + load(data.bias[2], u),
        load(incoming, u + 3 * size) + load(recurrent[3, r], j) + load(data.bias[3], u),
    )
    consumed = load(data.state[row], u)
    c = fused(f, consumed, i * g)
    squashed = tanh(c)
    return i, f, g, o, consumed, c, squashed, o * squashed


@compiled
def _lstm_forward(
    cell: Lstm, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats
) -> None:
    size = data.outputs.shape[2]
    for r in range(count):
        row = first + r
        gate, kept = data.gates[t, row], data.keep[t + 1, row]
        for j in range(0, PANEL, PAIR):
            u = unit + j
            i, f, g, o, consumed, c, squashed, h = _lstm(data, recurrent, row, r, t, unit, j)
            i_, f_, g_, o_, consumed_, c_, squashed_, h_ = _lstm(data, recurrent, row, r, t, unit, j + LANES)
            stream_pair(gate, u, i, i_)
            stream_pair(gate, u + size, f, f_)
            stream_pair(gate, u + 2 * size, g, g_)
            stream_pair(gate, u + 3 * size, o, o_)
            stream_pair(data.saved[t, row], u, squashed, squashed_)
            stream_pair(data.cell_in[t, row], u, consumed, consumed_)
            store_pair(data.state[row], u, c * kept, c_ * kept)
            _pass_on(data, t, row, u, h, h_)


@compiled
def _pass_on(data: Pass, t: int, row: int, u: int, h: Any, h_: Any) -> None:
    """Store two lanes of a new hidden state: as the next step consumes it, and as the layer passes it on."""
    kept, mask = data.keep[t + 1, row], data.mask
    store_pair(data.operand_in[t + 1, row], u, h * kept, h_ * kept)
    if data.apart:
        if mask.threshold != 0:
            h, h_ = masked(h, mask, t, row, u), masked(h_, mask, t, row, u + LANES)
        store_pair(data.outputs[t, row], u, h, h_)


@compiled
def _passed_back(data: Pass, t: int, row: int, u: int) -> Any:
    """Return lanes of the gradient of a hidden state by way of what the layer passes on."""
    d_h, mask = load(data.outputs[t, row], u), data.mask
    if mask.threshold != 0:
        d_h = masked(d_h, mask, t, row, u)
    return d_h


@compiled
def _lstm_gradient(data: Pass, from_next: Floats, row: int, r: int, t: int, unit: int, j: int) -> Any:
    """Return the gradients of the four sums and of the consumed c of lanes."""
    size, u = data.outputs.shape[2], unit + j
    gate, kept = data.gates[t, row], data.keep[t + 1, row]
    i, f = load(gate, u), load(gate, u + size)
    g, o = load(gate, u + 2 * size), load(gate, u + 3 * size)
    squashed = load(data.saved[t, row], u)
    d_h = fused(kept, load(from_next[r], j), _passed_back(data, t, row, u))
    d_c = fused(kept, load(data.state[row], u), d_h * o * (_ONE - squashed * squashed))
    d_i, d_f = d_c * g * i * (_ONE - i), d_c * load(data.cell_in[t, row], u) * f * (_ONE - f)
    d_g, d_o = d_c * i * (_ONE - g * g), d_h * squashed * o * (_ONE - o)
    return d_i, d_f, d_g, d_o, d_c * f


@compiled
def _lstm_backward(
    cell: Lstm, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    size, d_bias = data.outputs.shape[2], data.d_bias[first // ROWS]
    for r in range(count):
        row = first + r
        gate = data.gates[t, row]
        for j in range(0, PANEL, PAIR):
            u = unit + j
            d_i, d_f, d_g, d_o, d_c = _lstm_gradient(data, from_next, row, r, t, unit, j)
            d_i_, d_f_, d_g_, d_o_, d_c_ = _lstm_gradient(data, from_next, row, r, t, unit, j + LANES)
            store_pair(gate, u, d_i, d_i_)
            store_pair(gate, u + size, d_f, d_f_)
            store_pair(gate, u + 2 * size, d_g, d_g_)
            store_pair(gate, u + 3 * size, d_o, d_o_)
            store_pair(data.state[row], u, d_c, d_c_)
            add_pair(d_bias[0], u, d_i, d_i_)
            add_pair(d_bias[1], u, d_f, d_f_)
            add_pair(d_bias[2], u, d_g, d_g_)
            add_pair(d_bias[3], u, d_o, d_o_)


@compiled
def _gru(data: Pass, recurrent: Floats, row: int, r: int, t: int, unit: int, j: int) -> Any:
    """Return r, z, the candidate, its recurrent sum and h of lanes."""
    size, u = data.outputs.shape[2], unit + j
    incoming = data.incoming[data.reads[t, row]]
    reset, z = two_sigmoids(
        load(incoming, u) + load(recurrent[0, r], j) + load(data.bias[0], u),
        load(incoming, u + size) + load(recurrent[1, r], j) + load(data.bias[1], u),
    )
    own = load(recurrent[2, r], j) + load(data.bias[3], u)
    n = tanh(fused(reset, own, load(incoming, u + 2 * size) + load(data.bias[2], u)))
    return reset, z, n, own, fused(z, load(data.state[row], u) - n, n)


@compiled
def _gru_forward(cell: Gru, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats) -> None:
    size = data.outputs.shape[2]
    for r in range(count):
        row = first + r
        gate, kept = data.gates[t, row], data.keep[t + 1, row]
        for j in range(0, PANEL, PAIR):
            u = unit + j
            reset, z, n, own, h = _gru(data, recurrent, row, r, t, unit, j)
            reset_, z_, n_, own_, h_ = _gru(data, recurrent, row, r, t, unit, j + LANES)
            stream_pair(gate, u, reset, reset_)
            stream_pair(gate, u + size, z, z_)
            stream_pair(gate, u + 2 * size, n, n_)
            stream_pair(data.saved[t, row], u, own, own_)
            store_pair(data.state[row], u, h * kept, h_ * kept)
            _pass_on(data, t, row, u, h, h_)


@compiled
def _gru_gradient(data: Pass, from_next: Floats, row: int, r: int, t: int, unit: int, j: int) -> Any:
    """Return the gradients of the sums r, z, candidate of the input, of the state, and of the consumed h."""
    size, u = data.outputs.shape[2], unit + j
    gate, kept = data.gates[t, row], data.keep[t + 1, row]
    reset, z, n = load(gate, u), load(gate, u + size), load(gate, u + 2 * size)
    by_state = load(from_next[r], j) + load(data.state[row], u)
    d_h = fused(kept, by_state, _passed_back(data, t, row, u))
    d_n = d_h * (_ONE - z) * (_ONE - n * n)
    d_reset = d_n * load(data.saved[t, row], u) * reset * (_ONE - reset)
    d_z = d_h * (load(data.operand_in[t, row], u) - n) * z * (_ONE - z)
    return d_reset, d_z, d_n, d_n * reset, d_h * z


@compiled
def _gru_backward(
    cell: Gru, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    size, d_bias = data.outputs.shape[2], data.d_bias[first // ROWS]
    for r in range(count):
        row = first + r
        gate = data.gates[t, row]
        for j in range(0, PANEL, PAIR):
            u = unit + j
            d_r, d_z, d_n, d_own, d_h = _gru_gradient(data, from_next, row, r, t, unit, j)
            d_r_, d_z_, d_n_, d_own_, d_h_ = _gru_gradient(data, from_next, row, r, t, unit, j + LANES)
            store_pair(gate, u, d_r, d_r_)
            store_pair(gate, u + size, d_z, d_z_)
            store_pair(gate, u + 2 * size, d_n, d_n_)
            store_pair(data.saved[t, row], u, d_own, d_own_)
            store_pair(data.state[row], u, d_h, d_h_)
            add_pair(d_bias[0], u, d_r, d_r_)
            add_pair(d_bias[1], u, d_z, d_z_)
            add_pair(d_bias[2], u, d_n, d_n_)
            add_pair(d_bias[3], u, d_own, d_own_)


@compiled
def _rnn(data: Pass, recurrent: Floats, row: int, r: int, t: int, unit: int, j: int) -> Any:
    """Return h of lanes."""
    u = unit + j
    return tanh(load(data.incoming[data.reads[t, row]], u) + load(recurrent[0, r], j) + load(data.bias[0], u))


@compiled
def _rnn_forward(cell: Rnn, data: Pass, t: int, first: int, count: int, unit: int, recurrent: Floats) -> None:
    for r in range(count):
        row = first + r
        for j in range(0, PANEL, PAIR):
            h = _rnn(data, recurrent, row, r, t, unit, j)
            h_ = _rnn(data, recurrent, row, r, t, unit, j + LANES)
            stream_pair(data.gates[t, row], unit + j, h, h_)
            _pass_on(data, t, row, unit + j, h, h_)


@compiled
def _rnn_gradient(data: Pass, from_next: Floats, row: int, r: int, t: int, unit: int, j: int) -> Any:
    """Return the gradient of the sum of lanes."""
    h, kept = load(data.gates[t, row], unit + j), data.keep[t + 1, row]
    return fused(kept, load(from_next[r], j), _passed_back(data, t, row, unit + j)) * (_ONE - h * h)


@compiled
def _rnn_backward(
    cell: Rnn, data: Pass, t: int, first: int, count: int, unit: int, from_next: Floats
) -> None:
    d_bias = data.d_bias[first // ROWS]
    for r in range(count):
        row = first + r
        for j in range(0, PANEL, PAIR):
            d_sum = _rnn_gradient(data, from_next, row, r, t, unit, j)
            d_sum_ = _rnn_gradient(data, from_next, row, r, t, unit, j + LANES)
            store_pair(data.gates[t, row], unit + j, d_sum, d_sum_)
            add_pair(d_bias[0], unit + j, d_sum, d_sum_)


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

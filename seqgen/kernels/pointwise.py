"""The pointwise work of one recurrent step, forward and backward, as one pass over memory each.

All forward functions take the same arrays, and so do all backward functions; a cell leaves some unused:

    gates       (T, B, G·H)  in x·W_ih + b_ih, out the activated gates; backward: in those, out their gradient
    recurrent   (B, G·H)     h·W_hh of this step, without bias
    bias        (G·H,)       the recurrent bias
    hidden_in   (T+1, B, H)  hidden state as step t consumes it, resets applied; the last is the last state
    cell_in     (T+1, B, H)  the same for the LSTM's cell state
    saved       (T, B, H)    what else the gradient needs: LSTM tanh(c), GRU the candidate's recurrent part
    keep        (T+1, B)     0 where the state is reset before step t, else 1; the last row is 1
    outputs     (T, B, H)

    d_outputs   (T, B, H)    gradient of the outputs
    d_hidden    (B, H)       gradient of hidden_in[t + 1]; afterwards hidden_in[t]'s, but for W_hh's part
    d_cell      (B, H)       gradient of cell_in[t + 1]; afterwards of cell_in[t]
    d_recurrent (T, B, G·H)  gradient of `recurrent`, for the cell where it is not that of `gates`
"""

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.activations import elementwise, sigmoid, tanh

Array = NDArray[np.float32]

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@elementwise
def lstm_forward(
    t: int,
    gates: Array,
    recurrent: Array,
    bias: Array,
    hidden_in: Array,
    cell_in: Array,
    saved: Array,
    keep: Array,
    outputs: Array,
) -> None:
    """Take one LSTM step; gates are in the order input, forget, candidate, output."""
    size = outputs.shape[2]
    for row in range(outputs.shape[1]):
        gate, product, kept = gates[t, row], recurrent[row], keep[t + 1, row]
        before, after, hidden = cell_in[t, row], cell_in[t + 1, row], hidden_in[t + 1, row]
        output, squashed = outputs[t, row], saved[t, row]
        for j in range(size):
            k, m, n = j + size, j + 2 * size, j + 3 * size
            i = sigmoid(gate[j] + product[j] + bias[j])
            f = sigmoid(gate[k] + product[k] + bias[k])
            g = tanh(gate[m] + product[m] + bias[m])
            o = sigmoid(gate[n] + product[n] + bias[n])
            c = f * before[j] + i * g
            squashed_c = tanh(c)
            h = o * squashed_c
            gate[j], gate[k], gate[m], gate[n] = i, f, g, o
            after[j], hidden[j] = c * kept, h * kept
            squashed[j], output[j] = squashed_c, h


@elementwise
def lstm_backward(
    t: int,
    gates: Array,
    d_recurrent: Array,
    hidden_in: Array,
    cell_in: Array,
    saved: Array,
    keep: Array,
    d_outputs: Array,
    d_hidden: Array,
    d_cell: Array,
) -> None:
    """Turn the activated gates of one LSTM step into the gradient of their sums."""
    size = d_outputs.shape[2]
    for row in range(d_outputs.shape[1]):
        gate, before, squashed, kept = gates[t, row], cell_in[t, row], saved[t, row], keep[t + 1, row]
        d_output, d_h_in, d_c_in = d_outputs[t, row], d_hidden[row], d_cell[row]
        for j in range(size):
            k, m, n = j + size, j + 2 * size, j + 3 * size
            i, f, g, o, squashed_c = gate[j], gate[k], gate[m], gate[n], squashed[j]
            d_h = d_output[j] + kept * d_h_in[j]
            d_c = kept * d_c_in[j] + d_h * o * (_ONE - squashed_c * squashed_c)
            gate[j] = d_c * g * i * (_ONE - i)
            gate[k] = d_c * before[j] * f * (_ONE - f)
            gate[m] = d_c * i * (_ONE - g * g)
            gate[n] = d_h * squashed_c * o * (_ONE - o)
            d_h_in[j], d_c_in[j] = _ZERO, d_c * f


@elementwise
def gru_forward(
    t: int,
    gates: Array,
    recurrent: Array,
    bias: Array,
    hidden_in: Array,
    cell_in: Array,
    saved: Array,
    keep: Array,
    outputs: Array,
) -> None:
    """Take one GRU step; gates are in the order reset, update, candidate."""
    size = outputs.shape[2]
    for row in range(outputs.shape[1]):
        gate, product, kept = gates[t, row], recurrent[row], keep[t + 1, row]
        before, hidden = hidden_in[t, row], hidden_in[t + 1, row]
        output, candidate = outputs[t, row], saved[t, row]
        for j in range(size):
            k, m = j + size, j + 2 * size
            r = sigmoid(gate[j] + product[j] + bias[j])
            z = sigmoid(gate[k] + product[k] + bias[k])
            recurrent_n = product[m] + bias[m]
            n = tanh(gate[m] + r * recurrent_n)
            h = n + z * (before[j] - n)
            gate[j], gate[k], gate[m] = r, z, n
            candidate[j], hidden[j], output[j] = recurrent_n, h * kept, h


@elementwise
def gru_backward(
    t: int,
    gates: Array,
    d_recurrent: Array,
    hidden_in: Array,
    cell_in: Array,
    saved: Array,
    keep: Array,
    d_outputs: Array,
    d_hidden: Array,
    d_cell: Array,
) -> None:
    """Turn the activated gates of one GRU step into the gradient of their sums."""
    size = d_outputs.shape[2]
    for row in range(d_outputs.shape[1]):
        gate, d_product, kept = gates[t, row], d_recurrent[t, row], keep[t + 1, row]
        before, candidate = hidden_in[t, row], saved[t, row]
        d_output, d_h_in = d_outputs[t, row], d_hidden[row]
        for j in range(size):
            k, m = j + size, j + 2 * size
            r, z, n = gate[j], gate[k], gate[m]
            d_h = d_output[j] + kept * d_h_in[j]
            d_n = d_h * (_ONE - z) * (_ONE - n * n)
            d_r = d_n * candidate[j] * r * (_ONE - r)
            d_z = d_h * (before[j] - n) * z * (_ONE - z)
            gate[j], gate[k], gate[m] = d_r, d_z, d_n
            d_product[j], d_product[k], d_product[m] = d_r, d_z, d_n * r
            d_h_in[j] = d_h * z


@elementwise
def rnn_forward(
    t: int,
    gates: Array,
    recurrent: Array,
    bias: Array,
    hidden_in: Array,
    cell_in: Array,
    saved: Array,
    keep: Array,
    outputs: Array,
) -> None:
    """Take one step of a plain tanh network."""
    for row in range(outputs.shape[1]):
        gate, product, kept = gates[t, row], recurrent[row], keep[t + 1, row]
        hidden, output = hidden_in[t + 1, row], outputs[t, row]
        for j in range(outputs.shape[2]):
            h = tanh(gate[j] + product[j] + bias[j])
            gate[j], hidden[j], output[j] = h, h * kept, h


@elementwise
def rnn_backward(
    t: int,
    gates: Array,
    d_recurrent: Array,
    hidden_in: Array,
    cell_in: Array,
    saved: Array,
    keep: Array,
    d_outputs: Array,
    d_hidden: Array,
    d_cell: Array,
) -> None:
    """Turn the activations of one step into the gradient of their sums."""
    for row in range(d_outputs.shape[1]):
        gate, kept = gates[t, row], keep[t + 1, row]
        d_output, d_h_in = d_outputs[t, row], d_hidden[row]
        for j in range(d_outputs.shape[2]):
            h = gate[j]
            gate[j] = (d_output[j] + kept * d_h_in[j]) * (_ONE - h * h)
            d_h_in[j] = _ZERO


@elementwise
def drop_units(values: Array, seed: np.uint32, threshold: np.uint32, dropped: Array) -> None:
    """Write (T, B, H) values through a dropout mask (see `seqgen.kernels.dropout`)."""
    steps, batch, size = values.shape
    pairs = (size + 1) // 2
    scale = np.float32(65536.0) / np.float32(np.uint32(65536) - threshold)
    for t in range(steps):
        for row in range(batch):
            base, source, target = t * pairs * batch + row, values[t, row], dropped[t, row]
            for pair in range(size // 2):
                word = _hash(np.uint32(base + pair * batch), seed)
                low, high = word & np.uint32(0xFFFF), word >> np.uint32(16)
                target[2 * pair] = source[2 * pair] * (scale if low >= threshold else _ZERO)
                target[2 * pair + 1] = source[2 * pair + 1] * (scale if high >= threshold else _ZERO)
            if size % 2:
                low = _hash(np.uint32(base + (pairs - 1) * batch), seed) & np.uint32(0xFFFF)
                target[size - 1] = source[size - 1] * (scale if low >= threshold else _ZERO)


@elementwise
def _hash(counter: np.uint32, seed: np.uint32) -> np.uint32:
    # numba widens the product of two uint32 to 64 bits
    word = np.uint32(counter * np.uint32(0x9E3779B1) + seed)
    word = np.uint32((word ^ word >> np.uint32(15)) * np.uint32(0x85EBCA6B))
    word = np.uint32((word ^ word >> np.uint32(13)) * np.uint32(0xC2B2AE35))
    return word ^ word >> np.uint32(16)

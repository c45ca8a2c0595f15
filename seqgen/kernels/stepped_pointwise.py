"""The pointwise work of one step of a normalised or mogrified layer, forward and backward, for B rows.

Loops are over few arrays each, which a compiler can vectorise; a row of all gates fits the nearest cache.
Sums over a row may be taken in any order: bits can differ between processors, never between runs.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.exponential import sigmoid, tanh
from seqgen.kernels.jit import compiled

Floats = NDArray[np.float32]

EPSILON = np.float32(1e-5)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_fast = partial(compiled, fastmath={"reassoc", "contract", "nsz"})


class Share(NamedTuple):
    """Values (T, B, N) on their way to gates or output: normalised where there is a gain, then a bias."""

    values: Floats
    """(T, B, N), normalised in place; backward, their gradient."""
    scales: Floats
    """(T, B): one over the standard deviation of each row."""
    gain: Floats
    """(N,), or empty where nothing is normalised."""
    bias: Floats
    """(N,)."""
    d_gain: Floats
    """As `gain`; gradients are added to it, as to `d_bias`."""
    d_bias: Floats


class Steps(NamedTuple):
    """What the steps of a layer read and write."""

    from_input: Share
    from_state: Share
    shown: Share
    """Of an LSTM's cell state, N = H; without layer normalisation the bias is empty, too."""
    gates: Floats
    """(T, B, G·H), activated."""
    hidden: Floats
    """(T + 1, B, H): the state each step consumes."""
    memory: Floats
    """(T + 1, B, H): the same for an LSTM's cell state."""
    outputs: Floats
    """(T, B, H)."""
    saved: Floats
    """(T, B, H): LSTM tanh of what is shown; GRU the candidate's share of the state."""
    keep: Floats
    """(T + 1, B): 0 where the state is reset before a step, else 1; the last row is 1."""
    scratch: Floats
    """(G·H,)."""


@_fast
def _apply(share: Share, t: int, row: int, out: Floats) -> None:
    """Write what becomes of a row of values."""
    values, gain, bias = share.values[t, row], share.gain, share.bias
    size = len(values)
    if len(gain) == 0:
        for j in range(size):
            out[j] = values[j] + bias[j]
        return
    total = _ZERO
    for j in range(size):
        total += values[j]
    mean, squares = total / np.float32(size), _ZERO
    for j in range(size):
        distance = values[j] - mean
        squares += distance * distance
    scale = _ONE / np.sqrt(squares / np.float32(size) + EPSILON)
    share.scales[t, row] = scale
    for j in range(size):
        normed = (values[j] - mean) * scale
        values[j] = normed
        out[j] = normed * gain[j] + bias[j]


@_fast
def _apply_backward(share: Share, t: int, row: int, gradient: Floats) -> None:
    """Write the gradient of a row over its values, given that of what `_apply` wrote."""
    values, gain = share.values[t, row], share.gain
    size = len(values)
    for j in range(size):
        share.d_bias[j] += gradient[j]
    if len(gain) == 0:
        for j in range(size):
            values[j] = gradient[j]
        return
    for j in range(size):
        share.d_gain[j] += gradient[j] * values[j]
    total, along = _ZERO, _ZERO
    for j in range(size):
        part = gradient[j] * gain[j]
        total += part
        along += part * values[j]
    total, along = total / np.float32(size), along / np.float32(size)
    scale = share.scales[t, row]
    for j in range(size):
        values[j] = scale * (gradient[j] * gain[j] - total - values[j] * along)


@_fast
def _sigmoids(row: Floats) -> None:
    for j in range(len(row)):
        row[j] = sigmoid(row[j])


@_fast
def _tanhs(row: Floats) -> None:
    for j in range(len(row)):
        row[j] = tanh(row[j])


@_fast
def _carry(values: Floats, kept: np.float32, after: Floats) -> None:
    """Hand a state to the next step, or zero."""
    for j in range(len(values)):
        after[j] = values[j] * kept


@_fast
def lstm_forward(steps: Steps, t: int) -> None:
    """Take step t, whose two products are in the values of the shares."""
    size = steps.outputs.shape[2]
    for row in range(steps.outputs.shape[1]):
        gates, own, kept = steps.gates[t, row], steps.scratch, steps.keep[t + 1, row]
        _apply(steps.from_input, t, row, gates)
        _apply(steps.from_state, t, row, own)
        for j in range(len(gates)):
            gates[j] += own[j]
        i, f, g, o = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size], gates[3 * size :]
        _sigmoids(gates[: 2 * size])
        _tanhs(g)
        _sigmoids(o)
        before, memory, squashed = steps.memory[t, row], steps.memory[t + 1, row], steps.saved[t, row]
        for j in range(size):
            memory[j] = f[j] * before[j] + i[j] * g[j]
        if len(steps.shown.gain):
            steps.shown.values[t, row, :] = memory
            _apply(steps.shown, t, row, squashed)
        else:
            squashed[:] = memory
        _tanhs(squashed)
        output = steps.outputs[t, row]
        for j in range(size):
            output[j] = o[j] * squashed[j]
        _carry(memory, kept, memory)
        _carry(output, kept, steps.hidden[t + 1, row])


@_fast
def lstm_backward(steps: Steps, t: int, d_hidden: Floats, d_memory: Floats) -> None:
    """Turn the shares' values at step t into their gradients.

    Args:
        steps: After the forward pass.
        t: The step.
        d_hidden: (B, H): the gradient of the output.
        d_memory: (B, H): that of the cell state after the step; becomes that of the one before.
    """
    size = steps.outputs.shape[2]
    for row in range(steps.outputs.shape[1]):
        gates, sums, squashed = steps.gates[t, row], steps.scratch, steps.saved[t, row]
        i, f, g, o = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size], gates[3 * size :]
        d_output, d_cell, before = d_hidden[row], d_memory[row], steps.memory[t, row]
        d_i, d_f, d_g, d_o = sums[:size], sums[size : 2 * size], sums[2 * size : 3 * size], sums[3 * size :]
        for j in range(size):
            d_o[j] = d_output[j] * squashed[j] * o[j] * (_ONE - o[j])
            d_i[j] = d_output[j] * o[j] * (_ONE - squashed[j] * squashed[j])
        if len(steps.shown.gain):
            _apply_backward(steps.shown, t, row, d_i)
            d_i[:] = steps.shown.values[t, row]
        for j in range(size):
            d_cell[j] += d_i[j]
        for j in range(size):
            d_i[j] = d_cell[j] * g[j] * i[j] * (_ONE - i[j])
            d_g[j] = d_cell[j] * i[j] * (_ONE - g[j] * g[j])
        for j in range(size):
            d_f[j] = d_cell[j] * before[j] * f[j] * (_ONE - f[j])
            d_cell[j] *= f[j]
        _apply_backward(steps.from_input, t, row, sums)
        _apply_backward(steps.from_state, t, row, sums)


@_fast
def gru_forward(steps: Steps, t: int) -> None:
    """Do as `lstm_forward`."""
    size = steps.outputs.shape[2]
    for row in range(steps.outputs.shape[1]):
        gates, own = steps.gates[t, row], steps.scratch
        _apply(steps.from_input, t, row, gates)
        _apply(steps.from_state, t, row, own)
        for j in range(2 * size):
            gates[j] += own[j]
        _sigmoids(gates[: 2 * size])
        r, z, n = gates[:size], gates[size : 2 * size], gates[2 * size :]
        candidate, saved = own[2 * size :], steps.saved[t, row]
        for j in range(size):
            n[j] += r[j] * candidate[j]
            saved[j] = candidate[j]
        _tanhs(n)
        before, output = steps.hidden[t, row], steps.outputs[t, row]
        for j in range(size):
            output[j] = n[j] + z[j] * (before[j] - n[j])
        _carry(output, steps.keep[t + 1, row], steps.hidden[t + 1, row])


@_fast
def gru_backward(steps: Steps, t: int, d_hidden: Floats, d_memory: Floats) -> None:
    """Do as `lstm_backward`; `d_memory` becomes the gradient that passes the step by the gates."""
    size = steps.outputs.shape[2]
    for row in range(steps.outputs.shape[1]):
        gates, sums, candidate = steps.gates[t, row], steps.scratch, steps.saved[t, row]
        r, z, n = gates[:size], gates[size : 2 * size], gates[2 * size :]
        d_output, passed, before = d_hidden[row], d_memory[row], steps.hidden[t, row]
        d_r, d_z, d_n = sums[:size], sums[size : 2 * size], sums[2 * size :]
        for j in range(size):
            d_n[j] = d_output[j] * (_ONE - z[j]) * (_ONE - n[j] * n[j])
            d_z[j] = d_output[j] * (before[j] - n[j]) * z[j] * (_ONE - z[j])
        for j in range(size):
            d_r[j] = d_n[j] * candidate[j] * r[j] * (_ONE - r[j])
            passed[j] = d_output[j] * z[j]
        _apply_backward(steps.from_input, t, row, sums)
        for j in range(size):
            d_n[j] *= r[j]
        _apply_backward(steps.from_state, t, row, sums)


@_fast
def rnn_forward(steps: Steps, t: int) -> None:
    """Do as `lstm_forward`."""
    for row in range(steps.outputs.shape[1]):
        output, own = steps.outputs[t, row], steps.scratch
        _apply(steps.from_input, t, row, output)
        _apply(steps.from_state, t, row, own)
        for j in range(len(output)):
            output[j] = tanh(output[j] + own[j])
        _carry(output, steps.keep[t + 1, row], steps.hidden[t + 1, row])


@_fast
def rnn_backward(steps: Steps, t: int, d_hidden: Floats, d_memory: Floats) -> None:
    """Do as `lstm_backward`; nothing passes the step by."""
    for row in range(steps.outputs.shape[1]):
        output, sums, d_output = steps.outputs[t, row], steps.scratch, d_hidden[row]
        for j in range(len(output)):
            sums[j] = d_output[j] * (_ONE - output[j] * output[j])
        _apply_backward(steps.from_input, t, row, sums)
        _apply_backward(steps.from_state, t, row, sums)


@_fast
def gate_forward(gates: Floats, values: Floats, gated: Floats) -> None:
    """Squash the sums of gates (B, R) in place, and write the values of a mogrifier's round, gated."""
    for row in range(len(gates)):
        gate, value, result = gates[row], values[row], gated[row]
        _sigmoids(gate)
        for j in range(len(gate)):
            result[j] = _TWO * gate[j] * value[j]


@_fast
def gate_backward(gates: Floats, gated: Floats, gradient: Floats) -> None:
    """Turn gates into the gradient of their sums, and that of what they gated into that of the values."""
    for row in range(len(gates)):
        gate, result, d_result = gates[row], gated[row], gradient[row]
        for j in range(len(gate)):
            squashed = gate[j]
            gate[j] = d_result[j] * result[j] * (_ONE - squashed)
            d_result[j] *= _TWO * squashed

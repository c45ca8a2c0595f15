"""Recurrent layers by torch's own LSTM, GRU and RNN: on any device, with cuDNN on CUDA, and without numba.

Rows are cut at resets into segments that start from zero state and run side by side as a packed sequence. A
single step has nothing to cut, and is taken by torch's cells.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

State = tuple[Tensor, ...]

_CELLS: dict[str, Callable[..., Any]] = {
    "lstm": torch.lstm_cell,
    "gru": torch.gru_cell,
    "rnn": torch.rnn_tanh_cell,
}
_FUNCTIONS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "lstm": torch.lstm,
    "gru": torch.gru,
    "rnn": torch.rnn_tanh,
}


def recurrent_layer_reference(
    cell: str,
    inputs: Tensor,
    state: State,
    resets: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    *,
    precision: torch.dtype = torch.float32,
) -> tuple[Tensor, State]:
    """Do as `seqgen.kernels.recurrent.recurrent_layer`, on the device of the inputs.

    Under bfloat16 the state is rounded at each step, too.
    """
    weights = [weight.to(precision) for weight in (weight_ih, weight_hh, bias_ih, bias_hh)]
    start = tuple(part.to(precision) for part in state)
    inputs = inputs.to(precision)
    if len(inputs) == 1:
        after = _step(cell, inputs[0], start, resets, weights)
        return after[0].unsqueeze(0).float(), tuple(part.float() for part in after)
    if resets is None or not bool(resets.any()):
        outputs, *last = _run(cell, inputs, start, weights)
    else:
        outputs, *last = _run_segments(cell, inputs, start, resets, weights)
    return outputs.float(), tuple(part.float() for part in last)


def _step(
    cell: str, inputs: Tensor, state: State, resets: Tensor | None, weights: list[Tensor]
) -> tuple[Tensor, ...]:
    """Take one step with inputs (B, E); returns the new state."""
    if resets is not None:
        state = tuple(part.masked_fill(resets[0].unsqueeze(1), 0.0) for part in state)
    after = _CELLS[cell](inputs, state if cell == "lstm" else state[0], *weights)
    return after if cell == "lstm" else (after,)


def _run(
    cell: str, inputs: Tensor | PackedSequence, state: State, weights: list[Tensor]
) -> tuple[Tensor, ...]:
    """Run one layer; returns outputs, in the packed order if inputs are, and each last state (B, H)."""
    stacked = [part.unsqueeze(0) for part in state]
    hx = tuple(stacked) if cell == "lstm" else stacked[0]
    layers, dropout, training, bidirectional = 1, 0.0, torch.is_grad_enabled(), False
    function = _FUNCTIONS[cell]
    if isinstance(inputs, PackedSequence):
        outputs, *last = function(
            inputs.data, inputs.batch_sizes, hx, weights, True, layers, dropout, training, bidirectional
        )
    else:
        outputs, *last = function(inputs, hx, weights, True, layers, dropout, training, bidirectional, False)
    return outputs, *(part.squeeze(0) for part in last)


def _run_segments(
    cell: str, inputs: Tensor, state: State, resets: Tensor, weights: list[Tensor]
) -> tuple[Tensor, ...]:
    steps, batch, _ = inputs.shape
    starts = resets.clone()
    starts[0] = True
    rows, times = starts.t().nonzero(as_tuple=True)  # segments in the order of rows, then of time
    first = rows * steps + times
    ends = torch.cat((first[1:], first.new_tensor([batch * steps])))
    lengths = ends - first

    by_row = inputs.transpose(0, 1).flatten(0, 1)  # (T, B, E) -> (B·T, E)
    packed = pack_sequence(list(torch.split(by_row, lengths.tolist())), enforce_sorted=False)
    carries_on = ((times == 0) & ~resets[0, rows]).unsqueeze(1)
    order = packed.sorted_indices
    segment_state = tuple((part[rows] * carries_on)[order] for part in state)  # (B, H) -> (S, H)
    data, *last = _run(cell, packed, segment_state, weights)

    padded, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True)
    within = torch.arange(padded.shape[1], device=padded.device) < lengths.unsqueeze(1)
    outputs = padded[within].view(batch, steps, -1).transpose(0, 1)  # (S, longest, H) -> (T, B, H)
    final = torch.cat((rows[1:] != rows[:-1], rows.new_ones(1, dtype=torch.bool)))
    return outputs, *(part[packed.unsorted_indices][final] for part in last)

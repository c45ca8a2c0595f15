"""One recurrent layer on the CPU: torch GEMMs around one fused pointwise pass a step.

The input projection of all steps is one GEMM before the loop, each step is one recurrent GEMM and one
compiled pass, and the weight gradients are one GEMM each after the loop. The mask of a reset is applied by
the step before it, when that writes the state the next step consumes.

The same inputs give the same bits in every run, as long as the number of torch threads stays the same.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqgen.kernels import pointwise

State = tuple[Tensor, ...]


class CellKernels(NamedTuple):
    """What distinguishes a cell: its gates and its pointwise passes (see `seqgen.kernels.pointwise`)."""

    forward: Callable[..., None]
    backward: Callable[..., None]
    has_cell_state: bool = False
    has_saved: bool = False
    splits_gradient: bool = False


CELLS = {
    "lstm": CellKernels(pointwise.lstm_forward, pointwise.lstm_backward, has_cell_state=True, has_saved=True),
    "gru": CellKernels(pointwise.gru_forward, pointwise.gru_backward, has_saved=True, splits_gradient=True),
    "rnn": CellKernels(pointwise.rnn_forward, pointwise.rnn_backward),
}


def recurrent_layer_stepwise(
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
    """Do as `seqgen.kernels.recurrent.recurrent_layer`, on a CPU.

    With bfloat16 each product is summed in float32 and rounded once; state and pointwise work stay float32.
    """
    hidden = state[0].float()
    cell_state = state[1].float() if CELLS[cell].has_cell_state else hidden.new_empty(0)
    outputs, *last = _RecurrentLayer.apply(  # type: ignore[no-untyped-call]
        cell, precision, resets, inputs, hidden, cell_state, weight_ih, weight_hh, bias_ih, bias_hh
    )
    return outputs, tuple(last[: len(state)])


def _multiply(left: Tensor, right: Tensor, precision: torch.dtype) -> Tensor:
    """Return left·right in float32, from operands rounded to `precision`."""
    return torch.mm(left.to(precision), right.to(precision)).float()


def _keep_mask(resets: Tensor | None, steps: int, batch: int) -> Tensor:
    keep = torch.ones(steps + 1, batch)
    if resets is not None:
        keep[:-1].masked_fill_(resets, 0.0)
    return keep


class _RecurrentLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        precision: torch.dtype,
        resets: Tensor | None,
        inputs: Tensor,
        hidden: Tensor,
        cell_state: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> tuple[Tensor, ...]:
        kernels = CELLS[cell]
        steps, batch, _ = inputs.shape
        size = weight_hh.shape[1]
        keep = _keep_mask(resets, steps, batch)
        gates = _multiply(inputs.reshape(steps * batch, -1), weight_ih.t(), precision).add_(bias_ih)
        gates = gates.view(steps, batch, -1)  # (T·B, G·H) -> (T, B, G·H)
        hidden_in = _state_history(hidden, keep, size)
        cell_in = _state_history(cell_state, keep, size) if kernels.has_cell_state else torch.empty(0, 0, 0)
        saved = torch.empty(steps, batch, size) if kernels.has_saved else torch.empty(0, 0, 0)
        outputs = torch.empty(steps, batch, size)

        recurrent_weight = weight_hh.to(precision).t().contiguous()
        arrays = (bias_hh.detach().contiguous(), hidden_in, cell_in, saved, keep, outputs)
        views = [array.numpy() for array in arrays]
        gate_view = gates.numpy()
        for t in range(steps):
            recurrent = _multiply(hidden_in[t], recurrent_weight, precision)
            kernels.forward(t, gate_view, recurrent.numpy(), *views)

        ctx.save_for_backward(inputs, weight_ih, weight_hh)
        ctx.kernels, ctx.precision = kernels, precision
        ctx.activations = (gates, hidden_in, cell_in, saved, keep)
        last = (hidden_in[-1].clone(), cell_in[-1].clone() if kernels.has_cell_state else torch.empty(0))
        return outputs, *last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.activations is None:
            raise RuntimeError("a recurrent layer overwrites what its gradient needs: call backward once")
        inputs, weight_ih, weight_hh = ctx.saved_tensors
        kernels, precision = ctx.kernels, ctx.precision
        gates, hidden_in, cell_in, saved, keep = ctx.activations
        ctx.activations = None
        steps, batch, size = d_outputs.shape

        # The passes turn `gates` into its own gradient, which is the recurrent product's too but for the GRU.
        d_recurrent = torch.empty_like(gates) if kernels.splits_gradient else gates
        d_hidden, d_cell = d_hidden.clone(), d_cell.clone().view(-1, size)
        d_outputs = d_outputs.contiguous()
        arrays = (gates, d_recurrent, hidden_in, cell_in, saved, keep, d_outputs, d_hidden, d_cell)
        views = [array.numpy() for array in arrays]
        recurrent_weight = weight_hh.to(precision).contiguous()
        for t in reversed(range(steps)):
            kernels.backward(t, *views)
            d_hidden.add_(_multiply(d_recurrent[t], recurrent_weight, precision))

        flat = gates.view(steps * batch, -1)
        flat_recurrent = d_recurrent.view(steps * batch, -1)
        needs_d_inputs = ctx.needs_input_grad[3]
        d_inputs = _multiply(flat, weight_ih, precision).view(inputs.shape) if needs_d_inputs else None
        d_weight_ih = _multiply(flat.t(), inputs.reshape(steps * batch, -1), precision)
        d_weight_hh = _multiply(flat_recurrent.t(), hidden_in[:-1].reshape(steps * batch, size), precision)
        kept = keep[0].unsqueeze(1)
        d_cell = d_cell * kept if kernels.has_cell_state else d_cell.view(-1)
        return (
            *(None, None, None, d_inputs, d_hidden * kept, d_cell),
            *(d_weight_ih, d_weight_hh, flat.sum(0), flat_recurrent.sum(0)),
        )


def _state_history(state: Tensor, keep: Tensor, size: int) -> Tensor:
    """Return (T+1, B, H) room for the state each step consumes, with the first step's filled in."""
    history = torch.empty(*keep.shape, size)
    torch.mul(state, keep[0].unsqueeze(1), out=history[0])
    return history

"""A stack of recurrent layers as one differentiable function, so that only operands pass between layers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqgen.kernels.dropout import Mask
from seqgen.kernels.layer import Layer, State
from seqgen.kernels.workspace import Workspace


def fused_stack(
    cell: str,
    inputs: Tensor,
    reads: Tensor | None,
    layers: Sequence[tuple[Tensor, ...]],
    state: Sequence[State],
    keep: Tensor,
    masks: Sequence[Mask],
    *,
    precision: torch.dtype,
    workspace: Workspace,
) -> tuple[Tensor, list[State]]:
    """Run all layers over all steps, differentiably.

    Args:
        cell: "lstm", "gru" or "rnn".
        inputs: (P, E), the distinct inputs; (T·B, E) where `reads` is None.
        reads: (T, B), the input each step reads, or None where each has its own.
        layers: Of each layer (weight_ih, weight_hh, bias_ih, bias_hh), of G·H rows each.
        state: Of each layer (h, c) or (h,), each (B, H).
        keep: (T + 1, B) float32, 0 where the state is reset before a step; the last row is 1.
        masks: Of each layer the dropout mask of its outputs.
        precision: float32 or bfloat16, of what GEMMs multiply.
        workspace: Memory to use.

    Returns:
        Outputs (T, B, H) in `precision` and the last state of each layer in float32.
    """
    tensors = (inputs, *(part for layer in state for part in layer), *(w for layer in layers for w in layer))
    differentiable = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    setting = _Setting(cell, reads, keep, masks, precision, workspace, differentiable)
    outputs, *last = _Stack.apply(setting, *tensors)  # type: ignore[no-untyped-call]
    return outputs, _by_layer(last, len(layers))


class _Setting(NamedTuple):
    cell: str
    reads: Tensor | None
    keep: Tensor
    masks: Sequence[Mask]
    precision: torch.dtype
    workspace: Workspace
    differentiable: bool


def _by_layer(parts: Sequence[Tensor], layers: int) -> list[tuple[Tensor, ...]]:
    each = len(parts) // layers
    return [tuple(parts[layer * each : (layer + 1) * each]) for layer in range(layers)]


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, setting: _Setting, inputs: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        count = len(setting.masks)
        state, weights = _by_layer(others[: -4 * count], count), _by_layer(others[-4 * count :], count)
        precision, workspace, reads = setting.precision, setting.workspace, setting.reads
        features = operands = inputs if reads is not None else inputs.to(precision)
        layers: list[Layer] = []
        last: list[Tensor] = []
        for own, start, mask in zip(weights, state, setting.masks, strict=True):
            layer = Layer(
                setting.cell, *own, keep=setting.keep, mask=mask, precision=precision, workspace=workspace
            )
            last += layer.forward(start, features, reads)
            layers.append(layer)
            features, reads = layer.passed_on, None
        outputs = workspace.lend(*features.shape, dtype=precision).copy_(features)
        if setting.differentiable:
            ctx.save_for_backward(operands)
            ctx.setting, ctx.layers = setting, layers
        else:
            for layer in layers:
                layer.release()
        return outputs.view(-1, setting.keep.shape[1], outputs.shape[1]), *last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor, *d_last: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.layers is None:
            raise RuntimeError("recurrent layers overwrite what their gradient needs: call backward once")
        layers, ctx.layers = ctx.layers, None
        (inputs,) = ctx.saved_tensors
        d_passed = d_outputs.flatten(0, 1)
        d_states: list[Tensor | None] = []
        d_weights: list[Tensor] = []
        for index, d_state in reversed(list(enumerate(_by_layer(d_last, len(layers))))):
            layer, below = layers[index], layers[index - 1].passed_on if index else inputs
            d_bias = layer.backward(d_passed, d_state)
            wanted = any(ctx.needs_input_grad[2 + index * len(d_state) :][: len(d_state)])
            d_states[:0] = layer.state_gradient() if wanted else [None] * len(d_state)
            reads = ctx.setting.reads if index == 0 else None
            d_passed, *of_matrices = layer.input_and_weight_gradients(
                below, reads, needs_inputs=index > 0 or ctx.needs_input_grad[1]
            )
            d_weights[:0] = [*of_matrices, *layer.bias_gradients(d_bias)]
            layer.release()
        d_inputs = None if d_passed is None else d_passed.float()
        return None, d_inputs, *d_states, *d_weights

"""Recurrent layers and stacks for training: one call each, whatever the machine has.

On a CPU, torch's GEMMs around compiled loops over time (`seqgen.kernels.layer`); on other devices, and where
numba is missing, torch's own recurrent layers (`seqgen.kernels.reference`).
"""

from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.kernels.dropout import drop, dropout_mask
from seqgen.kernels.reference import recurrent_layer_reference
from seqgen.kernels.workspace import Workspace

State = tuple[Tensor, ...]
LayerWeights = tuple[Tensor, Tensor, Tensor, Tensor]

HAS_NUMBA = find_spec("numba") is not None
"""Without numba, training on a CPU falls back to torch's own recurrent layers."""


class Implementation(StrEnum):
    """What runs the recurrent layers; the value is for people to read."""

    AMX = "compiled loops with bfloat16 products on AMX tiles"
    BFLOAT16 = "compiled loops with bfloat16 products"
    FLOAT32 = "compiled loops with float32 products"
    TORCH = "torch's recurrent layers"


def has_fast_bfloat16() -> bool:
    """Return whether bfloat16 GEMMs are faster than float32 on this CPU, which takes AMX tiles.

    AVX512-BF16 alone is no gain: on Emerald Rapids with AMX masked, torch's bfloat16 GEMMs reach 55 % of the
    speed of its float32 ones.
    """
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def choose_precision(device: torch.device, wanted: str = "auto") -> torch.dtype:
    """Return the type of GEMM operands for "auto", "float32" or "bfloat16"."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and has_fast_bfloat16() else torch.float32


def choose_implementation(device: torch.device, precision: torch.dtype) -> Implementation:
    """Return what `recurrent_stack` uses for tensors on a device."""
    if device.type != "cpu" or not HAS_NUMBA:
        return Implementation.TORCH
    if precision == torch.float32:
        return Implementation.FLOAT32
    from seqgen.kernels.engines import why_no_tiles

    return Implementation.AMX if why_no_tiles() is None else Implementation.BFLOAT16


def recurrent_layer(
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
    workspace: Workspace | None = None,
) -> tuple[Tensor, State]:
    """Run a layer over all steps, differentiably.

    Args:
        cell: "lstm", "gru" or "rnn" (tanh); weights are in torch's gate order.
        inputs: (T, B, E).
        state: (h, c) for lstm, (h,) otherwise; each (B, H) float32.
        resets: (T, B) bool; where True, the row's state is zero before that step.
        weight_ih: (G·H, E), with G = 4, 3, 1 gates.
        weight_hh: (G·H, H).
        bias_ih: (G·H,).
        bias_hh: (G·H,); the GRU's part for the candidate is inside the reset product, as in torch.
        precision: What GEMMs multiply, float32 or bfloat16. On a CPU all else is float32.
        workspace: Memory to use again in the next step; give the same object each time.

    Returns:
        The outputs (T, B, H) in float32 and the last state, shaped as `state`.
    """
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    if choose_implementation(inputs.device, precision) is Implementation.TORCH:
        return recurrent_layer_reference(cell, inputs, state, resets, *weights, precision=precision)
    from seqgen.kernels.layer import fused_layer

    return fused_layer(
        cell,
        inputs.flatten(0, 1),
        None,
        state,
        _keep(resets, *inputs.shape[:2]),
        *weights,
        precision=precision,
        workspace=workspace or Workspace(),
    )


def recurrent_stack(
    cell: str,
    token_ids: Tensor,
    embedding: Tensor,
    layers: Sequence[LayerWeights],
    state: Sequence[State],
    resets: Tensor | None,
    *,
    dropout: float = 0.0,
    input_dropout: float | None = None,
    seed: int = 0,
    training: bool = True,
    precision: torch.dtype = torch.float32,
    workspace: Workspace | None = None,
) -> tuple[Tensor, list[State]]:
    """Embed tokens and run all layers over them, differentiably.

    Args:
        cell: "lstm", "gru" or "rnn".
        token_ids: (T, B) integers.
        embedding: (V, E).
        layers: Of each layer (weight_ih, weight_hh, bias_ih, bias_hh), as in `recurrent_layer`.
        state: Of each layer (h, c) or (h,), each (B, H).
        resets: (T, B) bool; where True, all of the row's state is zero before that step.
        dropout: Share of units dropped between layers and on the output while training.
        input_dropout: The same for the embedding; as `dropout` when not given. At 0, the first layer
            multiplies each row of a small embedding once, not once a step: up to a quarter of all work saved.
        seed: Decides the masks; give another one each step.
        training: Whether to drop units.
        precision: What GEMMs multiply.
        workspace: Memory to use again in the next step; give the same object each time.

    Returns:
        Features (T, B, H) in float32 and the state after the last step.
    """
    workspace = workspace or Workspace()
    shares = [dropout if input_dropout is None else input_dropout, *[dropout] * len(layers)]
    masks = [dropout_mask(seed, site, share) for site, share in enumerate(shares)]
    dropping = [training and mask.threshold > 0 for mask in masks]
    last = []
    if not dropping[0] and _is_small(embedding, token_ids, precision):
        features, first_last = _first_layer_by_token(
            cell, token_ids, embedding, state[0], resets, layers[0], precision, workspace
        )
        features = drop(features, masks[1]) if dropping[1] else features
        last.append(first_last)
    else:
        features = functional.embedding(token_ids, embedding)  # (T, B) -> (T, B, E)
        features = drop(features, masks[0]) if dropping[0] else features
    for site in range(len(last), len(layers)):
        features, layer_last = recurrent_layer(
            cell, features, state[site], resets, *layers[site], precision=precision, workspace=workspace
        )
        features = drop(features, masks[site + 1]) if dropping[site + 1] else features
        last.append(layer_last)
    return features, last


def _is_small(embedding: Tensor, token_ids: Tensor, precision: torch.dtype) -> bool:
    """Return whether multiplying every row of the embedding takes less than the rows that are read."""
    compiled = choose_implementation(embedding.device, precision) is not Implementation.TORCH
    return compiled and 2 * embedding.shape[0] <= token_ids.numel()


def _first_layer_by_token(
    cell: str,
    token_ids: Tensor,
    embedding: Tensor,
    state: State,
    resets: Tensor | None,
    weights: LayerWeights,
    precision: torch.dtype,
    workspace: Workspace,
) -> tuple[Tensor, State]:
    from seqgen.kernels.layer import fused_layer

    keep = _keep(resets, *token_ids.shape)
    return fused_layer(
        cell, embedding, token_ids, state, keep, *weights, precision=precision, workspace=workspace
    )


def _keep(resets: Tensor | None, steps: int, batch: int) -> Tensor:
    """Return (T + 1, B): 0 where the state is reset before a step, else 1."""
    keep = torch.ones(steps + 1, batch)
    if resets is not None:
        keep[:-1].masked_fill_(resets, 0.0)
    return keep

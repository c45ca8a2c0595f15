"""Recurrent layers and stacks for training: one call each, whatever the machine has.

On a CPU, compiled steps around float32 or bfloat16 GEMMs (`seqgen.kernels.stepwise`); on other devices,
and where numba is missing, torch's own recurrent layers (`seqgen.kernels.reference`).
"""

from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.kernels.dropout import drop, dropout_mask
from seqgen.kernels.reference import recurrent_layer_reference

State = tuple[Tensor, ...]
LayerWeights = tuple[Tensor, Tensor, Tensor, Tensor]

HAS_NUMBA = find_spec("numba") is not None
"""Without numba, training on a CPU falls back to torch's own recurrent layers."""


class Implementation(StrEnum):
    """What runs the recurrent layers; the value is for people to read."""

    BFLOAT16 = "bfloat16 GEMMs with compiled steps"
    FLOAT32 = "float32 GEMMs with compiled steps"
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
    return Implementation.BFLOAT16 if precision == torch.bfloat16 else Implementation.FLOAT32


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
        precision: Type of the GEMM operands; state, sums and pointwise work are float32 on a CPU.

    Returns:
        The outputs (T, B, H) in float32 and the last state, shaped as `state`.
    """
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    if choose_implementation(inputs.device, precision) is Implementation.TORCH:
        return recurrent_layer_reference(cell, inputs, state, resets, *weights, precision=precision)
    from seqgen.kernels.stepwise import recurrent_layer_stepwise

    return recurrent_layer_stepwise(cell, inputs, state, resets, *weights, precision=precision)


def recurrent_stack(
    cell: str,
    token_ids: Tensor,
    embedding: Tensor,
    layers: Sequence[LayerWeights],
    state: Sequence[State],
    resets: Tensor | None,
    *,
    dropout: float = 0.0,
    seed: int = 0,
    training: bool = True,
    precision: torch.dtype = torch.float32,
) -> tuple[Tensor, list[State]]:
    """Embed tokens and run all layers over them, differentiably.

    Args:
        cell: "lstm", "gru" or "rnn".
        token_ids: (T, B) integers.
        embedding: (V, E).
        layers: Of each layer (weight_ih, weight_hh, bias_ih, bias_hh), as in `recurrent_layer`.
        state: Of each layer (h, c) or (h,), each (B, H).
        resets: (T, B) bool; where True, all of the row's state is zero before that step.
        dropout: Share of units dropped on the embedding, between layers and on the output while training.
        seed: Decides the masks; give another one each step.
        training: Whether to drop units.
        precision: Type of the GEMM operands.

    Returns:
        Features (T, B, H) in float32 and the state after the last step.
    """
    drops = training and dropout > 0
    features = functional.embedding(token_ids, embedding)  # (T, B) -> (T, B, E)
    features = drop(features, dropout_mask(seed, 0, dropout)) if drops else features
    last = []
    for site, (weights, layer_state) in enumerate(zip(layers, state, strict=True), start=1):
        features, layer_last = recurrent_layer(
            cell, features, layer_state, resets, *weights, precision=precision
        )
        features = drop(features, dropout_mask(seed, site, dropout)) if drops else features
        last.append(layer_last)
    return features, last

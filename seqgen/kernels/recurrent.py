"""Recurrent layers and stacks for training: one call each, whatever the machine has.

On a CPU, torch's GEMMs around compiled loops over time (`seqgen.kernels.layer`); on other devices, and where
numba is missing, torch's own recurrent layers (`seqgen.kernels.reference`).
"""

from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.kernels.dropout import NO_MASK, Mask, drop, dropout_mask, mask_values
from seqgen.kernels.reference import recurrent_layer_reference
from seqgen.kernels.workspace import Workspace

State = tuple[Tensor, ...]
LayerWeights = tuple[Tensor, ...]
"""weight_ih, weight_hh, bias_ih, bias_hh."""

HAS_NUMBA = find_spec("numba") is not None
"""Without numba, training on a CPU falls back to torch's own recurrent layers."""


class Implementation(StrEnum):
    """What runs an encoder's layers; the value is for people to read."""

    AMX = "compiled loops with bfloat16 products on AMX tiles"
    BFLOAT16 = "compiled loops with bfloat16 products"
    FLOAT32 = "compiled loops with float32 products"
    TORCH = "torch's recurrent layers"
    PRODUCTS = "torch's products"


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


def is_lone_step(steps: int, precision: torch.dtype) -> bool:
    """Return whether there is one step to take, as in sampling, for which loops over time gain nothing."""
    return steps == 1 and precision == torch.float32 and not torch.is_grad_enabled()


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
    from seqgen.kernels.stack import fused_stack

    outputs, (last,) = fused_stack(
        cell,
        inputs.flatten(0, 1),
        None,
        [weights],
        [state],
        _keep(resets, *inputs.shape[:2]),
        [NO_MASK],
        precision=precision,
        workspace=workspace or Workspace(),
    )
    return outputs.float(), last


class Dropout(NamedTuple):
    """Shares of what is dropped while training, each at least 0 and below 1.

    The names are those of AWD-LSTM (Merity et al. 2018).
    """

    inputs: float = 0.0
    """Of the units of embedded tokens."""
    hidden: float = 0.0
    """Of the units that pass between layers."""
    outputs: float = 0.0
    """Of the units of the features."""
    embedding: float = 0.0
    """Of the rows of the embedding: of the words of the vocabulary (Gal and Ghahramani 2016)."""
    weights: float = 0.0
    """Of the recurrent weights (DropConnect, Wan et al. 2013)."""
    locked: bool = False
    """Whether all time steps share the masks of units (variational dropout, Gal and Ghahramani 2016)."""

    def masks(self, seed: int, layers: int) -> list[Mask]:
        """Return the masks of the input and of each layer's output."""
        shares = [self.inputs, *[self.hidden] * (layers - 1), self.outputs]
        return [dropout_mask(seed, site, share, locked=self.locked) for site, share in enumerate(shares)]

    def of_weights(
        self, embedding: Tensor, recurrent: Sequence[Tensor], seed: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the embedding (V, E) without dropped words, and each layer's W_hh without dropped ones."""
        if self.embedding:
            words = dropout_mask(seed, _EMBEDDING_SITE, self.embedding)
            embedding = embedding * mask_values(embedding.shape[:1], words, embedding.device).unsqueeze(1)
        masks = [dropout_mask(seed, _WEIGHT_SITE + index, self.weights) for index in range(len(recurrent))]
        return embedding, [drop(weight, mask) for weight, mask in zip(recurrent, masks, strict=True)]


NO_DROPOUT = Dropout()
_EMBEDDING_SITE, _WEIGHT_SITE = 1 << 16, 1 << 17


def recurrent_stack(
    cell: str,
    token_ids: Tensor,
    embedding: Tensor,
    layers: Sequence[LayerWeights],
    state: Sequence[State],
    resets: Tensor | None,
    *,
    dropout: Dropout = NO_DROPOUT,
    seed: int = 0,
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
        dropout: What is dropped. With nothing of the inputs dropped, the first layer multiplies each row of a
            small embedding once, not once a step: up to a quarter of all work saved.
        seed: Decides the masks; give another one each step.
        precision: What GEMMs multiply.
        workspace: Memory to use again in the next step; give the same object each time. On a CPU it holds the
            features, which are therefore only good until the next call after the backward pass.

    Returns:
        Features (T, B, H), on a CPU in `precision`, and the state after the last step.
    """
    input_mask, *masks = dropout.masks(seed, len(layers))
    embedding, recurrent = dropout.of_weights(embedding, [weights[1] for weights in layers], seed)
    layers = [(w_ih, w_hh, *biases) for (w_ih, _, *biases), w_hh in zip(layers, recurrent, strict=True)]
    implementation = choose_implementation(embedding.device, precision)
    if implementation is Implementation.TORCH or is_lone_step(len(token_ids), precision):
        features = drop(functional.embedding(token_ids, embedding), input_mask)  # (T, B) -> (T, B, E)
        return _reference_stack(cell, features, layers, state, resets, masks, precision)
    from seqgen.kernels.stack import fused_stack

    if input_mask.threshold == 0 and 2 * embedding.shape[0] <= token_ids.numel():
        inputs, reads = embedding, token_ids
    else:
        inputs = drop(functional.embedding(token_ids, embedding), input_mask).flatten(0, 1)  # -> (T·B, E)
        reads = None
    return fused_stack(
        cell,
        inputs,
        reads,
        layers,
        state,
        _keep(resets, *token_ids.shape),
        masks,
        precision=precision,
        workspace=workspace or Workspace(),
    )


def _reference_stack(
    cell: str,
    features: Tensor,
    layers: Sequence[LayerWeights],
    state: Sequence[State],
    resets: Tensor | None,
    masks: Sequence[Mask],
    precision: torch.dtype,
) -> tuple[Tensor, list[State]]:
    last = []
    for weights, layer_state, mask in zip(layers, state, masks, strict=True):
        features, layer_last = recurrent_layer_reference(
            cell, features, layer_state, resets, *weights, precision=precision
        )
        features = drop(features, mask)
        last.append(layer_last)
    return features, last


def _keep(resets: Tensor | None, steps: int, batch: int) -> Tensor:
    """Return (T + 1, B): 0 where the state is reset before a step, else 1."""
    keep = torch.ones(steps + 1, batch)
    if resets is not None:
        keep[:-1].masked_fill_(resets, 0.0)
    return keep

"""Encoders that see the last N tokens and nothing before them: a fixed window, and a bag of words.

    window (Bengio et al. 2003):  h = tanh(sum over j of W_j e(x_j) + b), a matrix for each place j
    bow:                          h = tanh(W · mean over j of e(x_j) + b), one matrix: the order is lost

Further layers are tanh layers on h. Places before the beginning of a document hold NOTHING and add nothing.
"""

import math
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.dropout import drop
from seqgen.kernels.recurrent import NO_DROPOUT, Dropout, Implementation
from seqgen.networks.encoders import Encoder, State

NOTHING = -1


class DenseWeights(nn.Module):
    """The weights of one tanh layer."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(input_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.zeros(hidden_size))


class ContextEncoder(Encoder):
    """Tanh layers over the last N tokens.

    Args:
        layers: L.
        embedding_size: E.
        hidden_size: H.
        output_size: Units of the last layer, if not H.
        context: N, the newest token included.
        ordered: Whether each place has weights of its own; else the mean of all places is read.
        dropout: What is dropped.
    """

    def __init__(
        self,
        *,
        layers: int,
        embedding_size: int,
        hidden_size: int,
        output_size: int | None = None,
        context: int,
        ordered: bool,
        dropout: Dropout = NO_DROPOUT,
    ) -> None:
        self.output_size = hidden_size if output_size is None else output_size
        self.context, self.places = context, context if ordered else 1
        sizes = [self.places * embedding_size, *[hidden_size] * (layers - 1), self.output_size]
        super().__init__(DenseWeights(*pair) for pair in pairwise(sizes))
        self.dropout = dropout

    def initial_state(self, batch_size: int) -> State:
        """Return the state of B rows that have read nothing."""
        device = next(self.parameters()).device
        return [(torch.full((batch_size, self.context - 1), NOTHING, device=device),)]

    def forward(
        self,
        tokens: Tensor,
        state: State,
        resets: Tensor,
        *,
        embedding: Tensor,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> tuple[Tensor, State]:
        """Read T steps; see `Encoder.forward`."""
        dropout = self.dropout if self.training else NO_DROPOUT
        embedding, _ = dropout.of_weights(embedding, [], seed)
        input_mask, *masks = dropout.masks(seed, len(self))
        ((past,),) = state
        windows = windows_of(tokens, past, resets)  # (T, B, N)
        last = windows[-1, :, 1:]
        windows = windows.flatten(0, 1)  # (T, B, N) -> (T·B, N)
        shares = (windows != NOTHING).to(embedding.dtype)
        if self.places == 1:
            shares = shares / shares.sum(dim=1, keepdim=True)  # the newest token is always there
        first = cast(DenseWeights, self[0])
        if input_mask.threshold == 0 and 2 * embedding.shape[0] <= tokens.numel():
            sums = self._look_up(windows, shares, embedding, first.weight_ih, precision)
        else:
            vectors = functional.embedding(windows.clamp(min=0), embedding).view(*tokens.shape, -1)
            vectors = drop(vectors, input_mask).view(*windows.shape, -1)  # -> (T·B, N, E)
            sums = self._multiply(vectors * shares.unsqueeze(2), first.weight_ih, precision)
        features = torch.tanh(sums + first.bias_ih).view(*tokens.shape, -1)  # (T·B, H) -> (T, B, H)
        features = drop(features, masks[0])
        for layer, mask in zip(list(self)[1:], masks[1:], strict=True):
            weights = cast(DenseWeights, layer)
            sums = functional.linear(features.to(precision), weights.weight_ih.to(precision)).to(sums.dtype)
            features = drop(torch.tanh(sums + weights.bias_ih), mask)
        return features, [(last,)]

    def _look_up(
        self, windows: Tensor, shares: Tensor, embedding: Tensor, weight: Tensor, precision: torch.dtype
    ) -> Tensor:
        """Multiply each token of a small vocabulary with the weights of each place once, then add up rows."""
        by_place = weight.view(len(weight), self.places, -1).permute(1, 2, 0)  # (H, P·E) -> (P, E, H)
        table = embedding.to(precision) @ by_place.to(precision)  # -> (P, V, H)
        place = torch.arange(self.context, device=windows.device) % self.places
        rows = windows.clamp(min=0) + place * embedding.shape[0]
        table = table.to(embedding.dtype).flatten(0, 1)
        return functional.embedding_bag(rows, table, mode="sum", per_sample_weights=shares)

    def _multiply(self, vectors: Tensor, weight: Tensor, precision: torch.dtype) -> Tensor:
        """Multiply vectors (T·B, N, E) with the weights of their places, and add up."""
        joined = vectors.view(len(vectors), -1, self.places * vectors.shape[2]).sum(dim=1)  # -> (T·B, P·E)
        return functional.linear(joined.to(precision), weight.to(precision)).to(vectors.dtype)

    @staticmethod
    def implementation(device: torch.device, precision: torch.dtype) -> Implementation:
        """Return what computes the layers on a device."""
        return Implementation.PRODUCTS


def windows_of(tokens: Tensor, past: Tensor, resets: Tensor) -> Tensor:
    """Return the window of every step, oldest token first, (T, B, N).

    Args:
        tokens: (T, B).
        past: The N-1 tokens before them, (B, N-1), or NOTHING.
        resets: (T, B) bool; what lies before a reset is NOTHING to the steps from there on.
    """
    size = past.shape[1] + 1
    history = torch.cat([past.t(), tokens])
    documents = torch.cat([torch.zeros_like(past.t()), resets.long().cumsum(dim=0)])
    windows, owners = history.unfold(0, size, 1), documents.unfold(0, size, 1)  # (N-1 + T, B) -> (T, B, N)
    return torch.where(owners == owners[..., -1:], windows, NOTHING)


_ORDERED = {"window": True, "bow": False}


def sees_a_window(cell: str) -> bool:
    """Tell whether a cell is one of this module."""
    return cell in _ORDERED


def make_context_encoder(config: ModelConfig, dropout: Dropout) -> ContextEncoder:
    """Build the encoder of a configuration.

    Raises:
        ConfigError: If it asks for what only recurrent cells have.
    """
    options = {
        "mogrifier": config.mogrifier,
        "layer_norm": config.layer_norm,
        "weight_drop": config.weight_drop,
    }
    for name, value in options.items():
        if value:
            raise ConfigError(f"model.{name} is for lstm, gru and rnn: {config.cell} has no recurrence")
    return ContextEncoder(
        layers=config.layers,
        embedding_size=config.embedding_size,
        hidden_size=config.hidden_size,
        output_size=config.embedding_size if config.tied else None,
        context=config.context,
        ordered=_ORDERED[config.cell],
        dropout=dropout,
    )

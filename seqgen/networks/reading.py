"""Reading whole sequences of different lengths, from the beginning and, where wanted, from the end as well.

A second stack of layers reads each sequence backwards within its own length (Schuster and Paliwal 1997). The
two stacks meet only in their features, as in ELMo (Peters et al. 2018): so both are ordinary encoders, and a
language model can be the first of them. What lies beyond a sequence's length changes nothing.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.dropout import drop
from seqgen.kernels.recurrent import NO_DROPOUT, Dropout
from seqgen.networks.encoders import Encoder
from seqgen.networks.stepped import make_encoder


class Reading(NamedTuple):
    """What B sequences were read as.

    Attributes:
        features: (T, B, F), of both directions side by side; beyond a sequence's length they mean nothing.
        last: (B, F), each direction after its last token; zero for a sequence of no tokens.
        inside: (T, B) bool, where there is a token.
    """

    features: Tensor
    last: Tensor
    inside: Tensor


class SequenceReader(nn.Module):
    """One or two stacks of recurrent layers over whole sequences.

    Args:
        config: The encoder; its `embedding_size` is that of the vectors that tokens really have.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = make_encoder(replace(config, bidirectional=False))
        self.reverse = make_encoder(replace(config, bidirectional=False)) if config.bidirectional else None
        self.output_size = self.encoder.output_size * (2 if config.bidirectional else 1)

    def forward(
        self,
        tokens: Tensor,
        lengths: Tensor,
        *,
        embedding: Tensor,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> Reading:
        """Read sequences.

        Args:
            tokens: (T, B) int64, padded at the end.
            lengths: (B,) int64, at most T.
            embedding: (V, E).
            seed: Decides the dropout masks; give another one each step.
            precision: Of the matrix products.
        """
        steps = torch.arange(len(tokens), device=tokens.device).unsqueeze(1)
        inside = steps < lengths
        features = _run(self.encoder, tokens, embedding, seed, precision)
        last = _at(features, lengths - 1)
        if self.reverse is not None:
            places = reversed_places(len(tokens), lengths)
            backward = _run(self.reverse, tokens.gather(0, places), embedding, seed, precision)
            last = torch.cat([last, _at(backward, lengths - 1)], dim=1)  # -> (B, F)
            backward = backward.gather(0, places.unsqueeze(2).expand_as(backward))
            features = torch.cat([features, backward], dim=2)  # -> (T, B, F)
        return Reading(features, last * (lengths > 0).unsqueeze(1), inside)


def _run(encoder: Encoder, tokens: Tensor, embedding: Tensor, seed: int, precision: torch.dtype) -> Tensor:
    state = encoder.initial_state(tokens.shape[1])
    resets = torch.zeros_like(tokens, dtype=torch.bool)
    features, _ = encoder(tokens, state, resets, embedding=embedding, seed=seed, precision=precision)
    values: Tensor = features.float()
    return values


def _at(features: Tensor, places: Tensor) -> Tensor:
    """Return the features (T, B, F) of each sequence at its place (B,), as (B, F)."""
    return features[places.clamp(min=0), torch.arange(features.shape[1], device=features.device)]


def reversed_places(steps: int, lengths: Tensor) -> Tensor:
    """Return where each step reads from when sequences are turned round within their lengths, (T, B)."""
    places = torch.arange(steps, device=lengths.device).unsqueeze(1).expand(-1, len(lengths))
    return torch.where(places < lengths, lengths - 1 - places, places)


class BagReader(nn.Module):
    """Reads no order at all: the features of a token are its vector.

    Args:
        config: The embedding and what is dropped of it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.output_size = config.embedding_size
        self.dropout = Dropout(
            inputs=config.input_dropout,
            embedding=config.embedding_dropout,
            locked=config.locked_dropout,
        )

    def forward(
        self,
        tokens: Tensor,
        lengths: Tensor,
        *,
        embedding: Tensor,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> Reading:
        """Read sequences; see `SequenceReader.forward`. `last` is zero: a bag has no last token."""
        dropout = self.dropout if self.training else NO_DROPOUT
        embedding, _ = dropout.of_weights(embedding, [], seed)
        (mask, *_) = dropout.masks(seed, 1)
        features = drop(functional.embedding(tokens, embedding), mask)  # (T, B) -> (T, B, E)
        inside = torch.arange(len(tokens), device=tokens.device).unsqueeze(1) < lengths
        return Reading(features, features.new_zeros(features.shape[1:]), inside)


def make_reader(config: ModelConfig) -> SequenceReader | BagReader:
    """Build what reads the sequences of a configuration.

    Raises:
        ConfigError: If the cell cannot read a whole sequence, or not from both ends.
    """
    if config.cell == "window":
        raise ConfigError(
            f"--cell window has weights for {config.context} places, but whole texts have any number; "
            "use bow, rnn, gru or lstm"
        )
    if config.cell == "bow":
        if config.bidirectional:
            raise ConfigError("--bidirectional: a bag of words has no order to read from either end")
        return BagReader(config)
    return SequenceReader(config)

"""Encoders with a mogrifier, with layer normalisation inside their cells, or with both.

`seqgen.kernels.stepped` has the equations. Such layers are taken step by step, which is slower than those of
a `RecurrentEncoder`.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.dropout import drop
from seqgen.kernels.recurrent import NO_DROPOUT, Dropout
from seqgen.kernels.stepped import NONE, SteppedWeights, stepped_layer
from seqgen.networks.encoders import GATES, Encoder, RecurrentEncoder, RecurrentWeights, State
from seqgen.networks.windows import make_context_encoder, sees_a_window


def make_encoder(config: ModelConfig) -> Encoder:
    """Build the encoder that a configuration describes.

    Raises:
        ConfigError: If a rank is given for a mogrifier that is off, options of cells meet layers of unequal
            sizes, or options of recurrent cells meet another encoder.
    """
    rounds, rank = config.mogrifier, config.mogrifier_rank
    if rank and not rounds:
        raise ConfigError(f"model.mogrifier_rank = {rank}: of no effect without rounds; set model.mogrifier")
    dropout = Dropout(
        inputs=config.input_dropout,
        hidden=config.dropout,
        outputs=config.dropout,
        embedding=config.embedding_dropout,
        weights=config.weight_drop,
        locked=config.locked_dropout,
    )
    if sees_a_window(config.cell):
        return make_context_encoder(config, dropout)
    sizes = {
        "layers": config.layers,
        "embedding_size": config.embedding_size,
        "hidden_size": config.hidden_size,
    }
    if not (rounds or config.layer_norm):
        output_size = config.embedding_size if config.tied else config.hidden_size
        return RecurrentEncoder(config.cell, **sizes, output_size=output_size, dropout=dropout)
    if config.tied and config.embedding_size != config.hidden_size:
        raise ConfigError(
            "model.tied with a mogrifier or layer normalisation needs equal sizes: "
            f"set model.embedding_size={config.hidden_size}"
        )
    return SteppedEncoder(
        config.cell, **sizes, dropout=dropout, rounds=rounds, rank=rank, layer_norm=config.layer_norm
    )


class CellNorm(nn.Module):
    """The gains of a layer's normalisations, and for an LSTM the bias of the cell state's."""

    def __init__(self, cell: str, hidden_size: int) -> None:
        super().__init__()
        shown = hidden_size if cell == "lstm" else 0
        self.gain_ih = nn.Parameter(torch.ones(GATES[cell] * hidden_size))
        self.gain_hh = nn.Parameter(torch.ones(GATES[cell] * hidden_size))
        if shown:
            self.gain_c = nn.Parameter(torch.ones(shown))
            self.bias_c = nn.Parameter(torch.zeros(shown))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (gain_ih, gain_hh, gain_c, bias_c), the last two empty but for an LSTM."""
        return self.gain_ih, self.gain_hh, getattr(self, "gain_c", NONE), getattr(self, "bias_c", NONE)


class Mogrifier(nn.ModuleList):
    """Q and R of each round by turns, each a matrix or its two factors of low rank."""

    def __init__(self, *, rounds: int, rank: int, input_size: int, hidden_size: int) -> None:
        sizes = [(input_size, hidden_size), (hidden_size, input_size)]
        super().__init__(_factors(*sizes[number % 2], rank) for number in range(rounds))

    def tensors(self) -> tuple[tuple[Tensor, ...], ...]:
        """Return the factors of each round, the left one first."""
        return tuple(tuple(cast(nn.ParameterList, factors)) for factors in self)


def _factors(rows: int, columns: int, rank: int) -> nn.ParameterList:
    shapes = [(rows, rank), (rank, columns)] if rank else [(rows, columns)]
    bounds = [1 / math.sqrt(shape[1]) for shape in shapes]
    return nn.ParameterList(
        nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        for shape, bound in zip(shapes, bounds, strict=True)
    )


class SteppedEncoder(RecurrentEncoder):
    """A stack of recurrent layers whose cells have options.

    Args:
        cell: "lstm", "gru" or "rnn".
        layers: L.
        embedding_size: E.
        hidden_size: H.
        dropout: What is dropped.
        rounds: Of the mogrifier; 0 is none.
        rank: Of its matrices; 0 is full.
        layer_norm: Whether cells are normalised.
    """

    def __init__(
        self,
        cell: str,
        *,
        layers: int,
        embedding_size: int,
        hidden_size: int,
        dropout: Dropout = NO_DROPOUT,
        rounds: int = 0,
        rank: int = 0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(
            cell, layers=layers, embedding_size=embedding_size, hidden_size=hidden_size, dropout=dropout
        )
        for number, layer in enumerate(self):
            size = hidden_size if number else embedding_size
            layer.mogrifier = Mogrifier(rounds=rounds, rank=rank, input_size=size, hidden_size=hidden_size)
            if layer_norm:
                layer.norm = CellNorm(cell, hidden_size)

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
        """Read T steps; see `RecurrentEncoder.forward`."""
        last = []
        dropout = self.dropout if self.training else NO_DROPOUT
        embedding, recurrent = dropout.of_weights(embedding, [_recurrent(layer) for layer in self], seed)
        input_mask, *masks = dropout.masks(seed, len(self))
        features = drop(functional.embedding(tokens, embedding), input_mask)  # (T, B) -> (T, B, E)
        for number, layer in enumerate(self):
            features, layer_last = stepped_layer(
                self.cell,
                features,
                state[number],
                resets,
                _weights(layer, recurrent[number]),
                precision=precision,
                workspace=self.workspace,
            )
            features = drop(features, masks[number])
            last.append(layer_last)
        return features, last


def _recurrent(layer: nn.Module) -> Tensor:
    return cast(RecurrentWeights, layer).weight_hh


def _weights(layer: nn.Module, weight_hh: Tensor) -> SteppedWeights:
    own, norm = cast(RecurrentWeights, layer), getattr(layer, "norm", None)
    weight_ih, _, bias_ih, bias_hh = own.tensors()
    gains = norm.tensors() if isinstance(norm, CellNorm) else (NONE, NONE, NONE, NONE)
    rounds = cast(Mogrifier, layer.mogrifier).tensors()
    return SteppedWeights(weight_ih, weight_hh, bias_ih, bias_hh, *gains, rounds)

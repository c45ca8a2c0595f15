"""Encoders: token ids in, features out, state carried by the caller.

Every encoder has one API, so training, evaluation and sampling have one path:
`initial_state(batch_size)`, `forward(tokens, state, resets, ...) -> (features, state)` and `detach(state)`.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from seqgen.kernels.recurrent import (
    NO_DROPOUT,
    Dropout,
    Implementation,
    choose_implementation,
    recurrent_stack,
)
from seqgen.kernels.workspace import Workspace

State = list[tuple[Tensor, ...]]
"""Per layer: (h, c) for LSTM, (h,) for GRU and RNN; each (B, H) float32.

Of an encoder with a fixed context: the last N-1 token ids, ((B, N-1),).
"""

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


class Encoder(nn.ModuleList):
    """What every encoder is: a stack of layers whose features have `output_size` units."""

    output_size: int

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first token, for B rows."""
        raise NotImplementedError

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
        """Read T steps.

        Args:
            tokens: (T, B) int64.
            state: As `initial_state` or an earlier call returned it.
            resets: (T, B) bool; where True, a row forgets all it read before that step.
            embedding: (V, E).
            seed: Decides the dropout masks; give another one each step.
            precision: Of the matrix products; state and accumulation are float32.

        Returns:
            Features (T, B, H) and the state after the last step.
        """
        raise NotImplementedError

    @staticmethod
    def detach(state: State) -> State:
        """Cut the state from the graph that made it, so that backpropagation is truncated here."""
        return [tuple(part.detach() for part in layer) for layer in state]

    @staticmethod
    def implementation(device: torch.device, precision: torch.dtype) -> Implementation:
        """Return what computes the layers on a device."""
        raise NotImplementedError


class RecurrentWeights(nn.Module):
    """The weights of one recurrent layer, in torch's gate order (LSTM i, f, g, o; GRU r, z, n)."""

    def __init__(self, cell: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        rows = GATES[cell] * hidden_size
        bound = 1 / math.sqrt(hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.zeros(rows))
        self.bias_hh = nn.Parameter(torch.zeros(rows))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (weight_ih, weight_hh, bias_ih, bias_hh) as the kernels take them."""
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh


class RecurrentEncoder(Encoder):
    """A stack of LSTM, GRU or tanh RNN layers with dropout before, between and after them.

    The last layer has `output_size` units: those of the embedding where the output layer shares its matrix.
    """

    def __init__(
        self,
        cell: str,
        *,
        layers: int,
        embedding_size: int,
        hidden_size: int,
        output_size: int | None = None,
        dropout: Dropout = NO_DROPOUT,
    ) -> None:
        self.output_size = hidden_size if output_size is None else output_size
        sizes = [embedding_size, *[hidden_size] * (layers - 1), self.output_size]
        super().__init__(RecurrentWeights(cell, *pair) for pair in pairwise(sizes))
        self.cell = cell
        self.sizes = sizes[1:]
        self.dropout = dropout
        self.workspace = Workspace()

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state for B rows."""
        device = next(self.parameters()).device
        parts = 2 if self.cell == "lstm" else 1
        return [
            tuple(torch.zeros(batch_size, size, device=device) for _ in range(parts)) for size in self.sizes
        ]

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
        """Read T steps; see `Encoder.forward`. A reset zeroes a row's state."""
        return recurrent_stack(
            self.cell,
            tokens,
            embedding,
            [layer.tensors() for layer in self.children() if isinstance(layer, RecurrentWeights)],
            state,
            resets,
            dropout=self.dropout if self.training else NO_DROPOUT,
            seed=seed,
            precision=precision,
            workspace=self.workspace,
        )

    @staticmethod
    def implementation(device: torch.device, precision: torch.dtype) -> Implementation:
        """Return what computes the layers on a device."""
        return choose_implementation(device, precision)

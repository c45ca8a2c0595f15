"""Attention: how much each position of a source counts for a decoder's state (Bahdanau et al. 2015).

The scores are those that Luong et al. (2015) compare: `dot` q·k, `general` q·W k, and `additive`, which is
v·tanh(W q + U k) and Bahdanau's. Padding is masked before the softmax, so that its weight is exactly 0.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What a decoder looks at.

    Attributes:
        values: The features of the source, (B, S, H).
        keys: What queries are compared with, (B, S, K).
        mask: Where there is a token, not padding, (B, S) bool.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor

    def rows(self, chosen: Tensor) -> "Memory":
        """Return the memory of some rows, by their numbers."""
        return Memory(*(part[chosen] for part in self))


class Attention(nn.Module):
    """Dot-product attention: the score is q·k.

    Args:
        size: H, of queries and values.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def memory(self, values: Tensor, mask: Tensor) -> Memory:
        """Make keys of values (B, S, H), once for all steps of the decoder."""
        return Memory(values, self.keys(values), mask)

    def keys(self, values: Tensor) -> Tensor:
        """Return (B, S, K)."""
        return values

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compare queries (B, T, H) with keys (B, S, K): (B, T, S)."""
        return queries @ keys.transpose(1, 2)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return contexts (B, T, H) and the weights (B, T, S) of which they are means."""
        scores = self.scores(queries, memory.keys)
        weights = scores.masked_fill(~memory.mask.unsqueeze(1), -math.inf).softmax(2)
        return weights @ memory.values, weights


class GeneralAttention(Attention):
    """The score is q·W k."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.weight = _matrix(size, size)

    def keys(self, values: Tensor) -> Tensor:
        """Return W k, (B, S, H)."""
        return values @ self.weight.t()


class AdditiveAttention(GeneralAttention):
    """The score is v·tanh(W q + U k); `weight` is U."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.query = _matrix(size, size)
        self.bias = nn.Parameter(torch.zeros(size))
        self.vector = nn.Parameter(_matrix(1, size)[0].detach().clone())

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compare all with all: (B, T, 1, H) + (B, 1, S, H) -> (B, T, S)."""
        own = queries @ self.query.t() + self.bias
        return (own.unsqueeze(2) + keys.unsqueeze(1)).tanh() @ self.vector


def make_attention(kind: str, size: int) -> Attention | None:
    """Build the attention of a name; None where there is to be none."""
    kinds = {"dot": Attention, "general": GeneralAttention, "additive": AdditiveAttention}
    return None if kind == "none" else kinds[kind](size)


def _matrix(rows: int, columns: int) -> nn.Parameter:
    bound = 1 / math.sqrt(columns)
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))

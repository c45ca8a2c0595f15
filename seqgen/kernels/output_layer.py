"""The matrix products of an output layer, forward and backward, a part of the rows at a time.

torch's bfloat16 products reorder a transposed operand slowly, so what is read across is laid out first: the
weight once a call, the features once a part.

Sizes: R rows, H features, V vocabulary, W the width of a row of logits.
"""

from typing import Protocol

import torch
from torch import Tensor

from seqgen.kernels.transposing import add_transposed, transpose
from seqgen.kernels.workspace import Workspace


class OutputProducts(Protocol):
    """Products with one weight (V, H)."""

    dtype: torch.dtype

    def write_logits(self, features: Tensor, logits: Tensor) -> None:
        """Write (R, H) times the weight to (R, W); what is beyond V may be anything finite."""

    def write_d_features(self, d_logits: Tensor, d_features: Tensor) -> None:
        """Write the gradient of the features, (R, W) -> (R, H)."""

    def add_d_weight(self, d_logits: Tensor, features: Tensor, d_weight: Tensor, *, first: bool) -> None:
        """Add a part's gradient of the weight to (V, H) float32, or write it if it is the first."""

    def release(self) -> None:
        """Give the memory back."""


def output_products(
    weight: Tensor, width: int, precision: torch.dtype, workspace: Workspace
) -> OutputProducts:
    """Prepare products with a weight (V, H) in float32 or bfloat16."""
    if precision == torch.bfloat16:
        return _BFloat16Products(weight, width, workspace)
    return _Float32Products(weight)


class _Float32Products:
    dtype = torch.float32

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.detach()
        self._vocab = weight.shape[0]

    def write_logits(self, features: Tensor, logits: Tensor) -> None:
        torch.mm(features, self._weight.t(), out=logits[:, : self._vocab])
        logits[:, self._vocab :] = 0.0

    def write_d_features(self, d_logits: Tensor, d_features: Tensor) -> None:
        _multiply_into(d_features, d_logits[:, : self._vocab], self._weight)

    def add_d_weight(self, d_logits: Tensor, features: Tensor, d_weight: Tensor, *, first: bool) -> None:
        d_weight.addmm_(d_logits[:, : self._vocab].t(), features, beta=0.0 if first else 1.0)

    def release(self) -> None:
        pass


class _BFloat16Products:
    dtype = torch.bfloat16

    def __init__(self, weight: Tensor, width: int, workspace: Workspace) -> None:
        vocab, hidden = weight.shape
        self._workspace = workspace
        self._vocab, self._width = vocab, width
        self._weight = workspace.take(hidden, width, dtype=self.dtype)  # transposed
        self._weight[:, vocab:] = 0.0
        transpose(weight.detach(), self._weight)

    def write_logits(self, features: Tensor, logits: Tensor) -> None:
        torch.mm(features, self._weight, out=logits)

    def write_d_features(self, d_logits: Tensor, d_features: Tensor) -> None:
        _multiply_into(d_features, d_logits, self._weight.t())

    def add_d_weight(self, d_logits: Tensor, features: Tensor, d_weight: Tensor, *, first: bool) -> None:
        rows, hidden = features.shape
        if self._vocab <= hidden:
            part = torch.mm(d_logits.t(), features)[: self._vocab]  # (W, R) · (R, H) -> (V, H)
            _ = d_weight.copy_(part) if first else d_weight.add_(part)
            return
        across = self._workspace.take(hidden, rows, dtype=self.dtype)
        product = self._workspace.take(hidden, self._width, dtype=self.dtype)
        transpose(features, across)
        torch.mm(across, d_logits, out=product)  # (H, R) · (R, W) -> (H, W)
        add_transposed(product, d_weight, first=first)
        self._workspace.give(across, product)

    def release(self) -> None:
        self._workspace.give(self._weight)


def _multiply_into(out: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(torch.mm(left, right))

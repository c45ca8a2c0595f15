"""The output layer and its cross-entropy in one, which never holds the logits of a whole batch.

The gradients are computed with the loss, part by part: the logits of a part become their own gradient in
place and are multiplied on at once, so that nothing is kept or computed twice.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from seqgen.kernels.recurrent import HAS_NUMBA
from seqgen.kernels.workspace import Workspace

_BYTES_AT_ONCE = 1 << 27
"""Of logits. Smaller parts are slower: torch's products want many rows, and each part adds to all weights."""
_ROWS_AT_LEAST = 512
_ALIGNMENT = 32
"""Rows of logits are a multiple of this long, which products and vector registers like."""
_NOTHING_LEFT = -1e30


def linear_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    ignored: int = -1,
    smoothing: float = 0.0,
    spread: Tensor | None = None,
    divisor: int | None = None,
    precision: torch.dtype = torch.float32,
    workspace: Workspace | None = None,
) -> Tensor:
    """Return the mean cross-entropy in nats of `features · weight + bias`, differentiably.

    Label smoothing (Szegedy et al. 2016) is in the gradient, which is that of the cross-entropy with
    `smoothing` of each target spread over all V, and not in the value, which stays comparable.

    Args:
        features: (..., H), float32 or bfloat16; their gradient is of the same type.
        weight: (V, H).
        bias: (V,).
        targets: (...), the index of the right token, or `ignored`.
        ignored: Targets that do not count.
        smoothing: Share of each target that is spread, at least 0 and below 1.
        spread: (..., V) float32, the distributions that it is spread by; evenly if not given.
        divisor: What the sum is divided by; the number of targets that count when not given.
        precision: What GEMMs multiply, float32 or bfloat16.
        workspace: Memory to use again in the next step; give the same object each time.
    """
    features, targets = features.reshape(-1, features.shape[-1]), targets.reshape(-1)
    if spread is not None:
        spread = spread.reshape(-1, spread.shape[-1])
    if divisor is None:
        divisor = max(1, int((targets != ignored).sum()))
    if _is_by_torch(features):
        return _by_torch(features, weight, bias, targets, ignored, smoothing, spread, divisor, precision)
    needs = any(tensor.requires_grad for tensor in (features, weight, bias))
    scale = 1.0 / divisor if torch.is_grad_enabled() and needs else 0.0
    setting = _Setting(ignored, smoothing, spread, scale, precision, workspace or Workspace())
    total: Tensor = _LinearCrossEntropy.apply(setting, features, weight, bias, targets)  # type: ignore[no-untyped-call]
    return total / divisor if scale == 0.0 else total


def linear_losses(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    ignored: int = -1,
    precision: torch.dtype = torch.float32,
    workspace: Workspace | None = None,
) -> Tensor:
    """Return the cross-entropy of each target in nats, (...) float32, 0 where ignored; not differentiable.

    Arguments are those of `linear_cross_entropy`.
    """
    rows, goals = features.detach().reshape(-1, features.shape[-1]), targets.reshape(-1)
    if _is_by_torch(features):
        losses = _losses_by_torch(rows, weight, bias, goals, ignored, precision)
    else:
        setting = _Setting(ignored, 0.0, None, 0.0, precision, workspace or Workspace())
        losses = torch.from_numpy(_Pass(setting, weight, bias).run(rows, goals)[0]).float()
    return losses.view(targets.shape)


class _Setting(NamedTuple):
    ignored: int
    smoothing: float
    spread: Tensor | None
    scale: float
    precision: torch.dtype
    workspace: Workspace


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
    ) -> Tensor:
        losses, gradients = _Pass(setting, weight, bias).run(features, targets)
        ctx.save_for_backward(*gradients)
        return torch.tensor(losses.sum() * (setting.scale or 1.0), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.saved_tensors
        if float(d_loss) != 1.0:
            gradients = [gradient * d_loss for gradient in gradients]
        return (None, *gradients, None)


class _Pass:
    """One pass over rows of features: losses and, where the scale is not 0, gradients."""

    def __init__(self, setting: _Setting, weight: Tensor, bias: Tensor) -> None:
        self.setting, self.weight = setting, weight
        self.vocab = weight.shape[0]
        self.width = -(-self.vocab // _ALIGNMENT) * _ALIGNMENT
        padding = (0, self.width - self.vocab)
        self.bias = functional.pad(bias.detach(), padding, value=_NOTHING_LEFT).numpy()
        # A thread's row of logits in float32, and its share of the gradient of the bias.
        self.rooms = setting.workspace.take(2, torch.get_num_threads(), self.width)

    def run(self, features: Tensor, targets: Tensor) -> tuple[Any, tuple[Tensor, ...]]:
        """Return the loss of each row and the gradients of features, weight and bias."""
        from seqgen.kernels.output_layer import output_products

        setting, workspace = self.setting, self.setting.workspace
        count = len(features)
        rows = parts_of(count, rows_at_once(self.width, setting.precision))
        products = output_products(self.weight, self.width, setting.precision, workspace)
        logits = workspace.take(rows, self.width, dtype=products.dtype)
        losses, goals = np.empty(count), targets.contiguous().numpy()
        gradients: tuple[Tensor, ...] = ()
        if setting.scale:
            d_features = workspace.lend(*features.shape, dtype=features.dtype)
            d_weight = workspace.lend(*self.weight.shape)
            self.rooms[1].zero_()
        for first in range(0, count, rows):
            part = slice(first, min(first + rows, count))
            operands, own = self._operands(features[part], products.dtype)
            own_logits = logits[: part.stop - first]
            products.write_logits(operands, own_logits)
            self._softmax(own_logits, goals[part], self._spread(part), losses[part])
            if setting.scale:
                products.write_d_features(own_logits, d_features[part])
                products.add_d_weight(own_logits, operands, d_weight, first=first == 0)
            workspace.give(*own)
        if setting.scale and not count:
            d_weight.zero_()
        if setting.scale:
            gradients = (d_features, d_weight, self.rooms[1].sum(0)[: self.vocab].clone())
        workspace.give(logits, self.rooms)
        products.release()
        return losses, gradients

    def _operands(self, features: Tensor, dtype: torch.dtype) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return features in the type of the products, and what was taken from the workspace for it."""
        if features.dtype == dtype:
            return features, ()
        rounded = self.setting.workspace.take(*features.shape, dtype=dtype).copy_(features)
        return rounded, (rounded,)

    def _spread(self, part: slice) -> Any:
        """Return what targets of a part are spread by, in whole rows; no rows for evenly."""
        spread = self.setting.spread
        if spread is None:
            return np.empty((0, self.width), np.float32)
        return functional.pad(spread[part], (0, self.width - self.vocab)).numpy()

    def _softmax(self, logits: Tensor, goals: Any, spread: Any, losses: Any) -> None:
        from seqgen.kernels.softmax import softmax_rows
        from seqgen.kernels.team import run_together, share
        from seqgen.kernels.transposing import bits

        setting, values, (room, d_bias) = self.setting, bits(logits), self.rooms.numpy()
        threads = max(1, min(len(room), len(values) // 16))
        smoothing, scale = np.float32(setting.smoothing), np.float32(setting.scale)

        def work(thread: int, _barrier: object) -> None:
            rows = share(len(values), thread, threads)
            shares = smoothing, spread, scale
            own = room[thread], d_bias[thread]
            softmax_rows(values, self.vocab, self.bias, goals, setting.ignored, *shares, losses, *own, *rows)

        run_together(work, threads)


def rows_at_once(width: int, precision: torch.dtype) -> int:
    """Return how many rows of logits are held at most."""
    return max(_ROWS_AT_LEAST, _BYTES_AT_ONCE // (width * precision.itemsize))


def parts_of(count: int, most: int) -> int:
    """Return how many rows a part has when `count` are divided evenly into parts of at most so many."""
    return max(1, -(-count // -(-max(count, 1) // most)))


def _is_by_torch(features: Tensor) -> bool:
    return features.device.type != "cpu" or not HAS_NUMBA


def _logits_by_torch(features: Tensor, weight: Tensor, bias: Tensor, precision: torch.dtype) -> Tensor:
    return functional.linear(features.to(precision), weight.to(precision), bias.to(precision)).float()


def _by_torch(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    ignored: int,
    smoothing: float,
    spread: Tensor | None,
    divisor: int,
    precision: torch.dtype,
) -> Tensor:
    """Do the same with torch's own operations; a part's logits are computed again in the backward pass."""

    def summed(part: Tensor, goals: Tensor, spread: Tensor | None) -> Tensor:
        logits = _logits_by_torch(part, weight, bias, precision)
        plain = functional.cross_entropy(logits, goals, ignore_index=ignored, reduction="sum")
        if not smoothing:
            return plain
        if spread is None:
            smoothed = functional.cross_entropy(
                logits, goals, ignore_index=ignored, reduction="sum", label_smoothing=smoothing
            )
        else:
            counts = (goals != ignored).unsqueeze(1)
            towards = (counts * spread * functional.log_softmax(logits, dim=1)).sum()
            smoothed = (1 - smoothing) * plain - smoothing * towards
        return smoothed + (plain - smoothed).detach()

    rows = rows_at_once(weight.shape[0], torch.float32)
    if rows >= len(features):
        return summed(features, targets, spread) / divisor
    total = weight.new_zeros(())
    for first in range(0, len(features), rows):
        part = slice(first, first + rows)
        own = None if spread is None else spread[part]
        total = total + checkpoint(summed, features[part], targets[part], own, use_reentrant=False)
    return total / divisor


def _losses_by_torch(
    features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, ignored: int, precision: torch.dtype
) -> Tensor:
    rows = rows_at_once(weight.shape[0], torch.float32)
    parts = zip(torch.split(features, rows), torch.split(targets, rows), strict=True)
    with torch.no_grad():
        losses = [
            functional.cross_entropy(
                _logits_by_torch(part, weight, bias, precision),
                goals,
                ignore_index=ignored,
                reduction="none",
            )
            for part, goals in parts
        ]
    return torch.cat(losses)

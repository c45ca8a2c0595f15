"""The output layer and its cross-entropy in one, which never holds the logits of a whole batch.

The gradients are computed with the loss, part by part: the logits of a part become their own gradient in
place and are multiplied on at once, so that nothing is kept or computed twice.
"""

from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

_LOGITS_AT_ONCE = 1 << 22
_ROWS_AT_LEAST = 512
"""Parts of fewer rows would spend their time on reading and writing the weight's gradient."""


def linear_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    ignored: int = -1,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Return the mean cross-entropy in nats of `features · weight + bias`, differentiably.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,).
        targets: (...), the index of the right token, or `ignored`.
        ignored: Targets that do not count.
        precision: What GEMMs multiply, float32 or bfloat16.
    """
    features, targets = features.reshape(-1, features.shape[-1]), targets.reshape(-1)
    if features.device.type != "cpu" or find_spec("numba") is None:
        return _by_torch(features, weight, bias, targets, ignored, precision)
    needs = tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in (features, weight, bias))
    setting = _Setting(ignored, precision, any(needs))
    loss: Tensor = _LinearCrossEntropy.apply(setting, features, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss


class _Setting(NamedTuple):
    ignored: int
    precision: torch.dtype
    differentiable: bool


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
    ) -> Tensor:
        loss, gradients = _loss_and_gradients(setting, features, weight, bias, targets)
        ctx.save_for_backward(*gradients)
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.saved_tensors
        if float(d_loss) != 1.0:
            gradients = [gradient * d_loss for gradient in gradients]
        return (None, *gradients, None)


def _loss_and_gradients(
    setting: _Setting, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
) -> tuple[float, tuple[Tensor, ...]]:
    """Return the mean loss and, where they are wanted, the gradients of features, weight and bias."""
    from seqgen.kernels.lanes import LANES

    count, vocab = features.shape[0], weight.shape[0]
    width = -(-vocab // LANES) * LANES
    charged = max(1, int((targets != setting.ignored).sum()))
    rows = min(count, max(_ROWS_AT_LEAST, _LOGITS_AT_ONCE // width))
    logits = torch.empty(rows, width)
    left, right = features.to(setting.precision), weight.to(setting.precision)
    padded_bias = functional.pad(bias.detach(), (0, width - vocab)).numpy()
    gradients = tuple(map(torch.zeros_like, (features, weight, bias))) if setting.differentiable else ()
    total = 0.0
    for first in range(0, count, rows):
        part = slice(first, min(first + rows, count))
        _multiply_into(logits[: part.stop - first, :vocab], left[part], right.t())
        rest = logits[: part.stop - first]
        total += _softmax(rest, vocab, padded_bias, targets[part], setting.ignored, 1.0 / charged)
        if setting.differentiable:
            _add_gradients(gradients, part, rest[:, :vocab], left[part], right)
    return total / charged, gradients


def _multiply_into(out: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(torch.mm(left, right))


def _softmax(logits: Tensor, vocab: int, bias: Any, targets: Tensor, ignored: int, scale: float) -> float:
    """Turn logits into their gradient in place; returns the summed loss."""
    from seqgen.kernels.softmax import softmax_rows
    from seqgen.kernels.team import run_together, share

    values, goals, losses = logits.numpy(), targets.contiguous().numpy(), np.empty(len(logits))
    threads = max(1, min(torch.get_num_threads(), len(logits) // 16))

    def work(thread: int, _barrier: object) -> None:
        rows = share(len(values), thread, threads)
        softmax_rows(values, vocab, bias, goals, ignored, np.float32(scale), losses, *rows)

    run_together(work, threads)
    return float(losses.sum())


def _add_gradients(
    gradients: tuple[Tensor, ...], part: slice, d_logits: Tensor, features: Tensor, weight: Tensor
) -> None:
    d_features, d_weight, d_bias = gradients
    d_bias.add_(d_logits.sum(0))
    if features.dtype == d_logits.dtype:
        torch.mm(d_logits, weight, out=d_features[part])
        d_weight.addmm_(d_logits.t(), features)
    else:
        d_logits = d_logits.to(features.dtype)
        d_features[part] = torch.mm(d_logits, weight)
        d_weight.add_(torch.mm(d_logits.t(), features))


def _by_torch(
    features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, ignored: int, precision: torch.dtype
) -> Tensor:
    """Do the same with torch's own operations; a part's logits are computed again in the backward pass."""

    def summed(part: Tensor, goals: Tensor) -> Tensor:
        logits = functional.linear(part.to(precision), weight.to(precision), bias.to(precision))
        return functional.cross_entropy(logits.float(), goals, ignore_index=ignored, reduction="sum")

    rows = max(_ROWS_AT_LEAST, _LOGITS_AT_ONCE // weight.shape[0])
    charged = (targets != ignored).sum().clamp(min=1)
    if rows >= len(features):
        return summed(features, targets) / charged
    total = features.new_zeros(())
    for part, goals in zip(torch.split(features, rows), torch.split(targets, rows), strict=True):
        total = total + checkpoint(summed, part, goals, use_reentrant=False)
    return total / charged

"""Dropout whose mask is a function of (seed, site, step, row, unit): never stored, the same everywhere.

One 32-bit hash decides two neighbouring units: its low half the even one, its high half the odd one. A unit
is dropped where its half is below the probability in 1/65536 parts. The hash is MurmurHash3's finaliser.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_MULTIPLIER = 0x9E3779B1
_MIX_1, _MIX_2 = 0x85EBCA6B, 0xC2B2AE35
_WORD = 0xFFFFFFFF


class Mask(NamedTuple):
    """A dropout mask over (T, B, H): the seed of its hash, and the probability in 1/65536 parts."""

    seed: int
    threshold: int

    @property
    def scale(self) -> float:
        """What a kept unit is multiplied by, so that the expectation stays."""
        return 65536 / (65536 - self.threshold)


def dropout_mask(seed: int, site: int, probability: float) -> Mask:
    """Name the mask of one place in a network.

    Args:
        seed: Any integer; another one each training step.
        site: Which place: 0 the embedding, l + 1 the output of layer l.
        probability: Share of units dropped, at least 0 and below 1.
    """
    # SplitMix64 (Steele et al. 2014), so that neighbouring seeds and sites have unrelated masks.
    word = (seed * 0x9E3779B97F4A7C15 + site * 0xD1B54A32D192ED03) % (1 << 64)
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) % (1 << 64)
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) % (1 << 64)
    return Mask(word >> 32, min(65535, round(probability * 65536)))


def drop(values: Tensor, mask: Mask) -> Tensor:
    """Zero the masked units of (T, B, H) values and scale the others."""
    result: Tensor = _Drop.apply(values, mask)  # type: ignore[no-untyped-call]
    return result


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Mask) -> Tensor:
        ctx.mask = mask
        return _apply(values, mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _apply(gradient, ctx.mask), None


def _apply(values: Tensor, mask: Mask) -> Tensor:
    if values.device.type == "cpu" and values.dtype == torch.float32:
        try:
            from seqgen.kernels.masks import drop_units
        except ImportError:  # numba is not there
            pass
        else:
            dropped = torch.empty(values.shape)
            drop_units(
                values.contiguous().numpy(), np.uint32(mask.seed), np.uint32(mask.threshold), dropped.numpy()
            )
            return dropped
    return values * mask_values(values.shape, mask, values.device).to(values.dtype)


def mask_values(shape: torch.Size, mask: Mask, device: torch.device) -> Tensor:
    """Return the mask as numbers, (T, B, H): 0 where a unit is dropped, else the scale."""
    steps, batch, size = shape
    pairs = (size + 1) // 2
    t, pair, row = (torch.arange(n, device=device) for n in (steps, pairs, batch))
    word = ((t[:, None, None] * pairs + pair[:, None]) * batch + row) & _WORD  # (T, H/2, B)
    word = (word * _MULTIPLIER + mask.seed) & _WORD
    word = word ^ word >> 15
    word = (word * _MIX_1) & _WORD
    word = word ^ word >> 13
    word = (word * _MIX_2) & _WORD
    word = word ^ word >> 16
    halves = torch.stack((word & 0xFFFF, word >> 16), dim=2)  # (T, H/2, 2, B)
    halves = halves.flatten(1, 2)[:, :size].transpose(1, 2)  # -> (T, B, H)
    return torch.where(halves >= mask.threshold, mask.scale, 0.0)

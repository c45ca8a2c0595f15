"""Dropout whose mask is a function of (seed, site, place): never stored, the same everywhere.

A unit is dropped where a 32-bit hash of its place is below the probability in 2**-32 parts. The hash is
MurmurHash3's finaliser. The place is the index in the flattened array; a locked mask (variational dropout,
Gal and Ghahramani 2016) takes the index within the last two axes, so that all time steps share it.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_MULTIPLIER = 0x9E3779B1
_MIX_1, _MIX_2 = 0x85EBCA6B, 0xC2B2AE35
_WORD = 0xFFFFFFFF


class Mask(NamedTuple):
    """A dropout mask: the seed of its hash, the probability in 2**-32 parts, and whether steps share it."""

    seed: int
    threshold: int
    locked: bool = False

    @property
    def scale(self) -> float:
        """What a kept unit is multiplied by, so that the expectation stays."""
        return 2**32 / (2**32 - self.threshold)

    def period(self, shape: tuple[int, ...]) -> int:
        """Return after how many values of an array the mask repeats."""
        return max(1, math.prod(shape[-2:] if self.locked else shape))


NO_MASK = Mask(0, 0)


def dropout_mask(seed: int, site: int, probability: float, *, locked: bool = False) -> Mask:
    """Name the mask of one place in a network.

    Args:
        seed: Any integer; another one each training step.
        site: Which place, such as 0 for the embedding and l + 1 for the output of layer l.
        probability: Share of units dropped, at least 0 and below 1.
        locked: Whether all time steps share the mask.
    """
    # SplitMix64 (Steele et al. 2014), so that neighbouring seeds and sites have unrelated masks.
    word = (seed * 0x9E3779B97F4A7C15 + site * 0xD1B54A32D192ED03) % (1 << 64)
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) % (1 << 64)
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) % (1 << 64)
    return Mask(word >> 32, min(_WORD, round(probability * 2**32)), locked)


def drop(values: Tensor, mask: Mask) -> Tensor:
    """Zero the masked units and scale the others, differentiably."""
    if mask.threshold == 0:
        return values
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
            flat = values.detach().contiguous().view(-1).numpy()
            drop_units(flat, mask.seed, mask.threshold, mask.period(values.shape), dropped.view(-1).numpy())
            return dropped
    return values * mask_values(values.shape, mask, values.device).to(values.dtype)


def mask_values(shape: torch.Size, mask: Mask, device: torch.device) -> Tensor:
    """Return the mask as numbers of a shape: 0 where a unit is dropped, else the scale."""
    place = torch.arange(math.prod(shape), device=device) % mask.period(shape) & _WORD
    word = (place * _MULTIPLIER + mask.seed) & _WORD
    word = word ^ word >> 15
    word = (word * _MIX_1) & _WORD
    word = word ^ word >> 13
    word = (word * _MIX_2) & _WORD
    word = word ^ word >> 16
    return torch.where(word >= mask.threshold, mask.scale, 0.0).view(shape)

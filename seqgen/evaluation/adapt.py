"""Models that adapt to what they read: their losses, and their hyper-parameters chosen on held-out text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.data.batches import Segment
from seqgen.evaluation.cache import CacheConfig, interpolated, with_cache
from seqgen.evaluation.dynamic import SEGMENT, DynamicConfig, Update, read_dynamically
from seqgen.evaluation.losses import Losses, Reading, read_segments, total_score
from seqgen.networks.tasks import LanguageModel

Tokens = NDArray[np.unsignedinteger]

CACHE_TOKENS = 100_000
DYNAMIC_TOKENS = 20_000
"""How much of the held-out part decides about hyper-parameters, from its beginning."""

THETAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
MIXES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
RATES: dict[Update, tuple[float, ...]] = {
    "rms": (0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
    "sgd": (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
DECAYS = (0.0, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What a model does beyond predicting as it stands.

    Attributes:
        dynamic: How it learns from what it reads.
        scales: The gradients' scales that `dynamic` needs, from `gradient_scales`.
        cache: The cache that is mixed in.
    """

    dynamic: DynamicConfig | None = None
    scales: Sequence[Tensor] | None = field(default=None, repr=False)
    cache: CacheConfig | None = None

    @property
    def protocol(self) -> str:
        """The name of the protocol, such as `carried+dynamic`."""
        return "+".join(["carried", *self.record()])

    def record(self) -> dict[str, Any]:
        """Return the hyper-parameters by method."""
        parts = {"dynamic": self.dynamic, "cache": self.cache}
        return {name: part.record() for name, part in parts.items() if part}

    def read(self, model: LanguageModel, tokens: Tokens) -> Iterator[Reading]:
        """Read a stream in order, the cache left out."""
        if self.dynamic:
            return read_dynamically(model, tokens, self.dynamic, self.scales)
        return read_segments(model, tokens, [Segment(0, 0, len(tokens))])

    def losses(self, model: LanguageModel, tokens: Tokens) -> Iterator[Losses]:
        """Yield the losses of a stream, each token charged before anything is learnt from it."""
        readings = self.read(model, tokens)
        if self.cache:
            yield from with_cache(readings, tokens, self.cache)
        else:
            yield from ((reading.positions, reading.losses) for reading in readings)


def tune_dynamic(
    model: LanguageModel,
    tokens: Tokens,
    *,
    update: Update = "rms",
    segment: int = SEGMENT,
    scales: Sequence[Tensor] | None = None,
    rates: Sequence[float] = (),
    decays: Sequence[float] = (),
) -> DynamicConfig:
    """Choose the rate, then the decay, of the least loss on held-out text.

    Args:
        model: The model.
        tokens: Held-out text; DYNAMIC_TOKENS of it are read.
        update: See DynamicConfig.
        segment: See DynamicConfig.
        scales: From `gradient_scales`; needed by `rms`.
        rates: Candidates; those of RATES when empty.
        decays: Candidates; DECAYS when empty.
    """
    rates, decays = rates or RATES[update], decays or DECAYS

    def best(candidates: list[DynamicConfig]) -> DynamicConfig:
        if len(candidates) == 1:
            return candidates[0]
        return min(candidates, key=loss)

    def loss(config: DynamicConfig) -> float:
        adaptation = Adaptation(dynamic=config, scales=scales)
        losses = adaptation.losses(model, tokens[:DYNAMIC_TOKENS])
        return total_score(losses, protocol=adaptation.protocol).loss_nats

    def config(rate: float, decay: float) -> DynamicConfig:
        return DynamicConfig(update=update, segment=segment, rate=rate, decay=decay)

    rate = best([config(rate, decays[len(decays) // 2]) for rate in rates]).rate
    return best([config(rate, decay) for decay in (decays if rate else decays[:1])])


def tune_cache(
    model: LanguageModel,
    tokens: Tokens,
    *,
    size: int,
    after: Adaptation,
    thetas: Sequence[float] = (),
    mixes: Sequence[float] = (),
) -> CacheConfig:
    """Choose the θ and λ of the least loss on held-out text, which is read once.

    Args:
        model: The model.
        tokens: Held-out text; CACHE_TOKENS of it are read, DYNAMIC_TOKENS if the model learns from it.
        size: Of the cache.
        after: What else the model does.
        thetas: Candidates; THETAS when empty.
        mixes: Candidates; MIXES when empty.
    """
    thetas, mixes = thetas or THETAS, mixes or MIXES
    if len(thetas) == len(mixes) == 1:
        return CacheConfig(size=size, theta=thetas[0], mix=mixes[0])
    tokens = tokens[: DYNAMIC_TOKENS if after.dynamic else CACHE_TOKENS]
    total = torch.zeros(len(thetas), len(mixes), dtype=torch.float64)
    readings = after.read(model, tokens)
    for _, losses in interpolated(readings, tokens, size=size, thetas=thetas, mixes=mixes):
        total += losses.sum(2).cpu()
    row, column = divmod(int(total.argmin()), len(mixes))
    return CacheConfig(size=size, theta=thetas[row], mix=mixes[column])

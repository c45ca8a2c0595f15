"""A neural cache (Grave, Joulin and Usunier 2017): what was read lately is likelier to come again.

Beside each of the last N features the cache keeps the token that followed it. The better the present features
match past ones, the likelier are the tokens that followed those:

    p_cache(w) ∝ Σ_i exp(θ · f_t · f_i) [w_i = w],  i from t-N to t-1
    p(w) = (1 - λ) · p_model(w) + λ · p_cache(w)

As long as nothing is remembered, p is p_model. The cache outlives the documents of a stream, though the state
does not: the words of a book are those of its last chapter, too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.evaluation.losses import Losses, Reading

STEPS = 512
"""Most tokens whose features are compared with past ones in one product."""
SIMILARITIES_AT_ONCE = 1 << 23


@dataclass(frozen=True, kw_only=True)
class CacheConfig:
    """A cache.

    Attributes:
        size: How many past features it keeps, N.
        theta: Its flatness θ; at 0 it counts how often each token was seen lately.
        mix: Its share λ of the prediction, 0 to 1 (1 excluded).
    """

    size: int
    theta: float
    mix: float

    def record(self) -> dict[str, Any]:
        """Return the hyper-parameters by the names they have in the paper."""
        return {"size": self.size, "theta": self.theta, "lambda": self.mix}


class Cache:
    """The features lately read and the tokens that followed them, for several θ at once."""

    def __init__(self, size: int, thetas: Sequence[float]) -> None:
        self.size = size
        self.thetas = thetas
        self.steps = max(1, min(STEPS, SIMILARITIES_AT_ONCE // size))
        self._features: Tensor | None = None
        self._tokens = torch.zeros(0, dtype=torch.int64)

    def log_probs(self, features: Tensor, tokens: Tensor, fallback: Tensor) -> Tensor:
        """Return log p_cache of tokens, each from what precedes it alone, and remember them.

        Args:
            features: What precedes each token, (T, H).
            tokens: (T,).
            fallback: Their log-probabilities as long as the cache is empty, (T,).

        Returns:
            (K, T), with K values of θ.
        """
        parts = (torch.split(part, self.steps) for part in (features, tokens, fallback))
        return torch.cat([self._read(*part) for part in zip(*parts, strict=True)], dim=1)

    def _read(self, features: Tensor, tokens: Tensor, fallback: Tensor) -> Tensor:
        past = features[:0] if self._features is None else self._features
        keys = torch.cat([past, features])  # (M + T, H)
        followers = torch.cat([self._tokens.to(tokens.device), tokens])
        place = torch.arange(len(keys), device=keys.device)
        now = place[len(past) :].unsqueeze(1)  # (T, 1)
        visible = (place < now) & (place >= now - self.size)  # (T, M + T)
        right = visible & (followers == tokens.unsqueeze(1))
        similarity = (features @ keys.t()).masked_fill_(~visible, -torch.inf)
        gap = similarity.sub_(similarity.amax(1, keepdim=True)).masked_fill_(~visible, 0.0)  # at most 0
        self._features, self._tokens = keys[-self.size :], followers[-self.size :]
        result = []
        for theta in self.thetas:
            weights = gap.mul(theta).exp_()
            share = (weights * right).sum(1).log_() - (weights * visible).sum(1).log_()
            result.append(torch.where(share.isnan(), fallback, share))
        return torch.stack(result)


def interpolate(losses: Tensor, log_probs: Tensor, mixes: Sequence[float]) -> Tensor:
    """Mix a model's losses (T,) with a cache's log-probabilities (K, T), in the log domain.

    Returns:
        Losses in nats, (K, M, T), for M values of λ.
    """
    mix = torch.tensor(mixes, dtype=torch.float64, device=losses.device).unsqueeze(1)
    return -torch.logaddexp(torch.log1p(-mix) - losses, mix.log() + log_probs.unsqueeze(1))


def interpolated(
    readings: Iterable[Reading],
    tokens: NDArray[np.unsignedinteger],
    *,
    size: int,
    thetas: Sequence[float],
    mixes: Sequence[float],
) -> Iterator[tuple[Reading, Tensor]]:
    """Yield what a model read, in order, beside the losses with a cache, (K, M, N) for each θ and λ."""
    cache = Cache(size, thetas)
    for reading in readings:
        features = reading.features.float()
        losses = torch.from_numpy(reading.losses).to(features.device)
        targets = torch.from_numpy(tokens[reading.positions].astype(np.int64)).to(features.device)
        log_probs = cache.log_probs(features, targets, -losses)
        yield reading, interpolate(losses.double(), log_probs.double(), mixes)


def with_cache(
    readings: Iterable[Reading], tokens: NDArray[np.unsignedinteger], config: CacheConfig
) -> Iterator[Losses]:
    """Yield positions and losses of what a model reads in order, a cache mixed in."""
    grid = {"thetas": [config.theta], "mixes": [config.mix]}
    for reading, losses in interpolated(readings, tokens, size=config.size, **grid):
        yield reading.positions, losses[0, 0].float().cpu().numpy()

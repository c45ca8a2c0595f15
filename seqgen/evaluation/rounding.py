"""What rounding a model's weights to int8, as sampling on a CPU does, costs against float32."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.config import ModelConfig
from seqgen.kernels.decode import Decoder

FEWEST_TOKENS = 80
_ROWS = 8
"""Stretches of the text that are read side by side, each from a fresh state."""
_WORK = 20_000_000_000
"""About how many multiplications are spent, so that a large model takes seconds too."""


@dataclass(frozen=True, kw_only=True)
class RoundingCost:
    """Measured on the same tokens, nats per token.

    Attributes:
        tokens: How many were read.
        protocol: In what stretches.
        kl_nats: Mean Kullback-Leibler divergence of the rounded model's predictions from the exact ones.
        kl_nats_99th_percentile: The same at the token where 1 % are worse.
        loss_nats_exact: Loss with float32 weights.
        loss_nats_rounded: Loss with int8 weights.
        same_likeliest: Share of places where both find the same token likeliest.
    """

    tokens: int
    protocol: str
    kl_nats: float
    kl_nats_99th_percentile: float
    loss_nats_exact: float
    loss_nats_rounded: float
    same_likeliest: float

    def record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            name: float(f"{value:.7g}") if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def rounding_cost(
    weights: Mapping[str, NDArray[np.float32]],
    model: ModelConfig,
    tokens: NDArray[np.integer[Any]],
    *,
    most: int = 4_000,
) -> RoundingCost:
    """Let the exact and the rounded model read the beginning of a text.

    Args:
        weights: By parameter name.
        model: The configuration they were trained with.
        tokens: The text; a large model reads less than `most` of them.
        most: The most tokens to read.

    Raises:
        ValueError: If there are fewer than FEWEST_TOKENS.
    """
    size = sum(array.size for array in weights.values())
    if len(tokens) < FEWEST_TOKENS:
        raise ValueError(f"{len(tokens)} tokens are too few; at least {FEWEST_TOKENS} are needed")
    steps = min(len(tokens), most, max(_WORK // (2 * size), FEWEST_TOKENS)) // _ROWS
    text = np.asarray(tokens[: steps * _ROWS], np.int64).reshape(_ROWS, steps).T  # (T, B)
    exact, rounded = (
        _log_probabilities(Decoder(weights, cell=model.cell, exact=is_exact, context=model.context), text)
        for is_exact in (True, False)
    )
    divergences = (np.exp(exact) * (exact - rounded)).sum(axis=-1)
    losses = [-np.take_along_axis(found, text[..., None], axis=-1).mean() for found in (exact, rounded)]
    return RoundingCost(
        tokens=text.size,
        protocol=f"windows:{steps}",
        kl_nats=float(divergences.mean()),
        kl_nats_99th_percentile=float(np.quantile(divergences, 0.99)),
        loss_nats_exact=float(losses[0]),
        loss_nats_rounded=float(losses[1]),
        same_likeliest=float((exact.argmax(axis=-1) == rounded.argmax(axis=-1)).mean()),
    )


def _log_probabilities(decoder: Decoder, text: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log-probability of every token after those before it, (T, B) -> (T, B, V)."""
    state = decoder.start(range(text.shape[1]))
    state.draws.token[1:] = text[-1, :-1]  # each stretch goes on where the one before ends
    rows = []
    for column in text:
        logits = decoder.logits(state).astype(np.float64)
        rows.append(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
        state.draws.token[:] = column
    return np.array(rows)

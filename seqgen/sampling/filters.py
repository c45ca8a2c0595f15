"""How a token is chosen, step by step, in numpy: the definition that the compiled sampler is tested against.

In this order:
  1. bias: added to the logits; minus infinity forbids a token (`<unk>` always).
  2. temperature: divides the logits; 0 takes the likeliest token and ends here.
  3. top-k (Fan, Lewis and Dauphin 2018, "Hierarchical neural story generation"): the k likeliest tokens stay.
  4. top-p, or nucleus (Holtzman et al. 2020, "The curious case of neural text degeneration"): the likeliest
     of those that are left stay, as few as together hold the share p of what is left.
  5. the draw: the first token, in order of ids, at which the running sum of the probabilities exceeds a
     uniform number; the number is a function of seed, sequence and step (`seqgen.kernels.philox`).

Both filters are thresholds on the probability: of equally likely tokens at the border, all stay, so that the
order of the vocabulary has no say.
"""

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]


def probabilities(
    logits: NDArray[np.floating],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    bias: NDArray[np.floating] | None = None,
) -> Probabilities:
    """Return the distribution a token is drawn from.

    Args:
        logits: What the network gives, (V,).
        temperature: Above 0 sharper below 1, flatter above; 0 puts all on the first likeliest token.
        top_k: How many tokens stay; 0 keeps all.
        top_p: The share of probability that stays; 1 keeps all.
        bias: Added to the logits, (V,).

    Returns:
        Probabilities, (V,), which add up to 1.
    """
    scores = logits.astype(np.float64) + (0.0 if bias is None else bias)
    if temperature == 0:
        chosen = np.zeros(len(scores))
        chosen[scores.argmax()] = 1.0
        return chosen
    weights = np.exp((scores - scores.max()) / temperature)
    weights = keep_top_k(weights / weights.sum(), top_k) if top_k else weights / weights.sum()
    return keep_top_p(weights, top_p) if top_p < 1 else weights


def keep_top_k(shares: Probabilities, top_k: int) -> Probabilities:
    """Keep the `top_k` likeliest tokens and those equal to the last of them."""
    threshold = np.sort(shares)[::-1][:top_k][-1]
    return _keep(shares, shares >= threshold)


def keep_top_p(shares: Probabilities, top_p: float) -> Probabilities:
    """Keep as few of the likeliest tokens as hold the share `top_p`, and those equal to the last of them."""
    falling = np.sort(shares)[::-1]
    last = int(np.searchsorted(falling.cumsum(), top_p))
    return _keep(shares, shares >= falling[min(last, len(falling) - 1)])


def _keep(shares: Probabilities, kept: NDArray[np.bool_]) -> Probabilities:
    left: Probabilities = np.where(kept, shares, 0.0)
    left /= left.sum()
    return left


def draw(shares: Probabilities, uniform: float) -> int:
    """Return the token at which the running sum of the probabilities exceeds `uniform`, in [0, 1)."""
    running = shares.cumsum()
    return min(
        int(np.searchsorted(running, uniform * running[-1], side="right")), int(shares.nonzero()[0][-1])
    )

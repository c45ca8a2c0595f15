"""How a token is chosen, step by step, in numpy: the definition that the compiled sampler is tested against.

In this order:
  1. repetition penalty (Keskar et al. 2019, "CTRL"): the log-probability of a token that was there before is
     multiplied. The paper divides the logit instead, which depends on a constant that a network may add.
  2. frequency penalty (of OpenAI's interface, in no paper): taken off once for each time a token was there.
  3. bias: added to the logits; minus infinity forbids a token (`<unk>` always).
  4. the constraint (`seqgen.sampling.automata`): what may not follow is forbidden. If it concludes, EOS,
     where it may follow, takes over the probability of that.
  5. no repeated n-grams (Paulus, Xiong and Socher 2018, "A deep reinforced model for abstractive
     summarization"): a token is forbidden that would make a run of n tokens come again; but not the last one
     that is left.
  6. temperature: divides the scores, counted from the largest; 0 takes the likeliest token and ends here. It
     may change from step to step along a line, or differ from token to token.
  7. top-k (Fan, Lewis and Dauphin 2018, "Hierarchical neural story generation"): the k likeliest tokens stay.
  8. top-p, or nucleus (Holtzman et al. 2020, "The curious case of neural text degeneration"): the likeliest
     of those that are left stay, as few as together hold the share p of what is left.
  9. min-p (Nguyen et al. 2025, "Turning up the heat: min-p sampling for creative and coherent LLM outputs"):
     tokens stay that have at least a share of the likeliest one's probability.
 10. typical (Meister et al. 2023, "Locally typical sampling"): tokens whose surprisal is nearest to the
     entropy of what is left stay, as few as together hold a share of it.
 11. the draw: the first token, in order of ids, at which the running sum of the probabilities exceeds a
     uniform number; the number is a function of seed, sequence and step (`seqgen.kernels.philox`).

All filters from 7 on are thresholds: of equals at the border, all stay, so that the order of the vocabulary
has no say.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EOS = 0
Probabilities = NDArray[np.float64]


def probabilities(
    logits: NDArray[np.floating],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    bias: NDArray[np.floating] | None = None,
    min_p: float = 0.0,
    typical: float = 1.0,
    repetition: float = 1.0,
    frequency: float = 0.0,
    window: int = 0,
    ngram: int = 0,
    seen: Sequence[int] = (),
    allowed: NDArray[np.bool_] | None = None,
    concludes: bool = False,
    relative: NDArray[np.floating] | None = None,
) -> Probabilities:
    """Return the distribution a token is drawn from.

    Args:
        logits: What the network gives, (V,).
        temperature: Above 0 sharper below 1, flatter above; 0 puts all on the first likeliest token.
        top_k: How many tokens stay; 0 keeps all.
        top_p: The share of probability that stays; 1 keeps all.
        bias: Added to the logits, (V,).
        min_p: The share of the likeliest one's probability from which tokens stay; 0 keeps all.
        typical: The share of probability that stays, most typical tokens first; 1 keeps all.
        repetition: Multiplies the log-probability of tokens already seen; 1 changes nothing.
        frequency: Taken off for each time a token was seen; 0 changes nothing.
        window: How many of the last tokens these two look at; 0 is all.
        ngram: No run of so many tokens comes twice; 0 allows it.
        seen: The tokens before, the prompt's included.
        allowed: What the constraint allows, (V,).
        concludes: Whether EOS takes over the probability of the rest, where it is allowed.
        relative: Divides the temperature for each token, (V,).

    Returns:
        Probabilities, (V,), which add up to 1.
    """
    scores = penalise(logits.astype(np.float64), seen[-window:] if window else seen, repetition, frequency)
    scores += 0.0 if bias is None else bias
    if allowed is not None:
        if concludes and allowed[EOS]:
            scores[EOS] = np.logaddexp.reduce(scores[~allowed], initial=scores[EOS])
        scores[~allowed] = -np.inf
    if ngram:
        forbid_repeats(scores, seen, ngram)
    if temperature == 0:
        chosen = np.zeros(len(scores))
        chosen[scores.argmax()] = 1.0
        return chosen
    weights = np.exp((scores - scores.max()) / temperature * (1.0 if relative is None else relative))
    weights = keep_top_k(weights / weights.sum(), top_k) if top_k else weights / weights.sum()
    weights = keep_top_p(weights, top_p) if top_p < 1 else weights
    weights = _keep(weights, weights >= min_p * weights.max())
    return keep_typical(weights, typical) if typical < 1 else weights


def penalise(
    logits: NDArray[np.float64], seen: Sequence[int], repetition: float, frequency: float
) -> NDArray[np.float64]:
    """Return log-probabilities with penalties on the tokens that were seen."""
    scores: NDArray[np.float64] = logits - logits.max()
    scores -= np.log(np.exp(scores).sum())
    counts = np.bincount(np.asarray(seen, np.int64), minlength=len(scores))
    scores[counts > 0] *= repetition
    scores -= frequency * counts
    return scores


def forbid_repeats(scores: NDArray[np.float64], seen: Sequence[int], ngram: int) -> None:
    """Set the scores to -inf of tokens that would make a run of `ngram` tokens come again."""
    size = ngram - 1
    recent = list(seen[len(seen) - size :])
    for start in range(len(seen) - size):
        if list(seen[start : start + size]) == recent and np.isfinite(scores).sum() > 1:
            scores[seen[start + size]] = -np.inf


def keep_top_k(shares: Probabilities, top_k: int) -> Probabilities:
    """Keep the `top_k` likeliest tokens and those equal to the last of them."""
    threshold = np.sort(shares)[::-1][:top_k][-1]
    return _keep(shares, shares >= threshold)


def keep_top_p(shares: Probabilities, top_p: float) -> Probabilities:
    """Keep as few of the likeliest tokens as hold the share `top_p`, and those equal to the last of them."""
    falling = np.sort(shares)[::-1]
    last = int(np.searchsorted(falling.cumsum(), top_p))
    return _keep(shares, shares >= falling[min(last, len(falling) - 1)])


def keep_typical(shares: Probabilities, typical: float) -> Probabilities:
    """Keep as few of the most typical tokens as hold a share, and those equal to the last of them."""
    surprisal = -np.log(shares, where=shares > 0, out=np.full(len(shares), -np.inf))
    entropy = (shares * np.where(shares > 0, surprisal, 0)).sum()
    strangeness = np.where(shares > 0, np.abs(surprisal - entropy), np.inf)
    order = strangeness.argsort(kind="stable")
    last = int(np.searchsorted(shares[order].cumsum(), typical))
    return _keep(shares, strangeness <= strangeness[order[min(last, len(order) - 1)]])


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

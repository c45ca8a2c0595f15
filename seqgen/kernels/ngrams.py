"""Interpolation of next-token counts over contexts of growing length, and the estimation of its weights.

All arrays are (T, C): T tokens, C contexts of each, shortest first. `totals` holds how often a context was
seen (0: never, it has no say), `hits` how often the token followed, `buckets` which weight it has.
"""

from typing import Any

import numpy as np

from seqgen.kernels.jit import compiled


@compiled
def blend(totals: Any, hits: Any, buckets: Any, weights: Any, floor: float, probs: Any) -> None:
    """Write the probability of each token to `probs`, (T,): p_k = λ · hits / totals + (1 - λ) · p_(k-1)."""
    for row in range(len(totals)):
        prob = floor
        for column in range(totals.shape[1]):
            if totals[row, column] > 0:
                weight = weights[buckets[row, column]]
                prob = weight * hits[row, column] / totals[row, column] + (1 - weight) * prob
        probs[row] = prob


@compiled
def expect(
    totals: Any, hits: Any, buckets: Any, weights: Any, floor: float, chosen: Any, reached: Any
) -> float:
    """Add up, bucket by bucket, how often its contexts were asked and how often they answered.

    The E-step of EM: for every token, the posterior of which context it was drawn from.

    Args:
        totals: See above.
        hits: See above.
        buckets: See above.
        weights: λ of each bucket.
        floor: The probability of each token before any context is known.
        chosen: Has the posteriors that a context of the bucket produced the token added to it.
        reached: Has those that it or a shorter one did added to it.

    Returns:
        The sum of the log-probabilities of the tokens.
    """
    columns = totals.shape[1]
    mixed = np.empty(columns + 1)
    log_likelihood = 0.0
    for row in range(len(totals)):
        mixed[0] = floor
        for column in range(columns):
            mixed[column + 1] = mixed[column]
            if totals[row, column] > 0:
                weight = weights[buckets[row, column]]
                share = hits[row, column] / totals[row, column]
                mixed[column + 1] = weight * share + (1 - weight) * mixed[column]
        log_likelihood += np.log(mixed[columns])
        left = 1.0
        for column in range(columns - 1, -1, -1):
            if totals[row, column] > 0:
                bucket = buckets[row, column]
                share = weights[bucket] * hits[row, column] / totals[row, column]
                mine = left * share / mixed[column + 1]
                chosen[bucket] += mine
                reached[bucket] += left
                left -= mine
    return log_likelihood

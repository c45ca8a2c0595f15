"""From logits to a token, compiled: penalties, filters, then the inverse of the distribution function.

Weights are sums of multiples of 2**-40 of the likeliest one's, added as integers: exact in any order, so that
the loops are vectorised and a draw is the same on every processor. What weighs less is never drawn.

A filter is a threshold on the weights, found by bisection over the bit patterns of float32 (positive floats
are ordered as their bits are): exact, without sorting, and equal weights share their fate. The filters and
their order are described, with a plain version, in `seqgen.sampling.filters`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.exponential import exp
from seqgen.kernels.jit import compiled, float_bits, float_from_bits

ZERO, ONE = np.float32(0), np.float32(1)
UNIT = np.float32(2**40)  # in which weights, at most 1, are counted
HALF_BITS = 20
HALF_UNIT = np.float32(2**HALF_BITS)
BLOCK = 1024  # weights that are counted together; the halves of their units fit in 31 bits
NO_BITS, ONE_BITS = np.int32(0), np.int32(0x3F800000)  # of the float32 values 0 and 1
LEAST, MOST = np.int32(-(2**31)), np.int32(2**31 - 1)
FORBIDDEN = np.float32(-np.inf)
ALIKE = np.zeros(0, np.float32)
BROKEN = -2  # drawn in place of a token when the logits are not numbers


class DrawRule(NamedTuple):
    """How tokens are drawn.

    Attributes:
        temperature: Divides the scores of the first token; 0 takes the likeliest token.
        top_k: How many of the likeliest tokens stay; 0 keeps all.
        top_p: The share of probability that stays, in (0, 1]; 1 keeps all.
        seed: The key of the random numbers.
        bias: Added to the logits (V,); -inf forbids a token.
        min_p: Tokens less likely than this share of the likeliest one's probability go; 0 keeps all.
        typical: The share of probability that stays, most typical tokens first, in (0, 1]; 1 keeps all.
        repetition: Multiplies the log-probability of tokens already there; 1 changes nothing.
        frequency: Taken from a token's score each time it is already there; 0 changes nothing.
        window: How many of the last tokens these two look at; 0 is all.
        ngram: No run of so many tokens comes twice; 0 allows it.
        slope: What each step adds to the temperature, for `slope_steps` steps.
        slope_steps: After these the temperature stays.
        relative: Divides the temperature for each token, (V,); ALIKE if it is the same for all.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: np.uint64
    bias: NDArray[np.float32]
    min_p: float = 0.0
    typical: float = 1.0
    repetition: float = 1.0
    frequency: float = 0.0
    window: int = 0
    ngram: int = 0
    slope: float = 0.0
    slope_steps: int = 0
    relative: NDArray[np.float32] = ALIKE

    @property
    def looks_back(self) -> bool:
        """Whether a draw depends on the tokens before it."""
        return self.repetition != 1 or self.frequency != 0 or self.ngram > 0


@compiled
def log_sum(logits: Any, weights: Any) -> Any:
    """Return the logarithm of the sum of e**logits, or NaN if they are not finite.

    Args:
        logits: What the network gives, (V,).
        weights: Room for V float32 values.
    """
    least, top = extremes(logits)
    if np.isnan(least) or not np.isfinite(top):
        return np.nan
    for i in range(len(logits)):
        weights[i] = exp(logits[i] - top)
    return top + np.log(units(weights) / UNIT)


@compiled
def score(logits: Any, rule: Any, seen: Any, log_total: Any, scores: Any) -> None:
    """Write the logits, changed by what was said before and by the bias, to `scores`, (V,).

    Args:
        logits: What the network gives, (V,).
        rule: A DrawRule.
        seen: The tokens before, (T,).
        log_total: Of the logits, from `log_sum`.
        scores: Written.
    """
    for i in range(len(logits)):
        scores[i] = logits[i]
    first = len(seen) - rule.window if 0 < rule.window < len(seen) else 0
    if rule.repetition != 1.0:
        for i in range(first, len(seen)):
            token = seen[i]
            scores[token] = log_total + rule.repetition * (logits[token] - log_total)
    if rule.frequency != 0.0:
        for i in range(first, len(seen)):
            scores[seen[i]] -= rule.frequency
    for i in range(len(logits)):
        scores[i] += rule.bias[i]


@compiled
def forbid_repeats(seen: Any, ngram: Any, scores: Any) -> None:
    """Set the scores to -inf of tokens that would make a run of `ngram` tokens come again.

    The last token that is left is never forbidden.
    """
    size = ngram - 1
    recent = len(seen) - size
    left = 0
    for i in range(len(scores)):
        left += scores[i] > FORBIDDEN
    for start in range(recent):
        same = 0
        while same < size and seen[start + same] == seen[recent + same]:
            same += 1
        if same == size and left > 1 and scores[seen[start + size]] > FORBIDDEN:
            scores[seen[start + size]] = FORBIDDEN
            left -= 1


@compiled
def draw_token(scores: Any, rule: Any, step: Any, uniform: Any) -> Any:
    """Draw one token.

    Args:
        scores: From `score`, (V,); not all -inf. Overwritten.
        rule: A DrawRule.
        step: How many tokens were drawn before.
        uniform: A number in [0, 1).
    """
    temperature = rule.temperature + rule.slope * min(np.int64(step), rule.slope_steps)
    if temperature > 0.0:
        _weigh(scores, temperature, rule)
        return _invert(scores, uniform)
    return _likeliest(scores)


@compiled
def extremes(values: Any) -> Any:
    """Return the least and the largest value; one of them is NaN if any is.

    Compared are integers, which unlike floats may be compared in any order.
    """
    least, top = MOST, LEAST
    for i in range(len(values)):
        rank = _in_order(float_bits(values[i]))
        least = rank if rank < least else least
        top = rank if rank > top else top
    return float_from_bits(_in_order(least)), float_from_bits(_in_order(top))


@compiled
def _in_order(bits: Any) -> Any:
    """Flip what follows the sign of a negative float32, so that integers are ordered as floats; and back."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled
def _likeliest(scores: Any) -> Any:
    """Return the token of the largest score, the first one of equals."""
    best = 0
    for i in range(1, len(scores)):
        if scores[i] > scores[best]:
            best = i
    return best


@compiled
def _weigh(weights: Any, temperature: Any, rule: Any) -> None:
    """Turn scores into e**(score / temperature), relative to the largest, and 0 where filtered out."""
    sharpness = np.float32(1.0 / temperature)
    _, top = extremes(weights)
    if len(rule.relative):
        for i in range(len(weights)):
            weights[i] = exp((weights[i] - top) * (sharpness * rule.relative[i]))
    else:
        for i in range(len(weights)):
            weights[i] = exp((weights[i] - top) * sharpness)
    if 0 < rule.top_k < len(weights):
        _drop_below(weights, weights, _top_k_threshold(weights, rule.top_k))
    if rule.top_p < 1.0:
        _drop_below(weights, weights, _share_threshold(weights, weights, rule.top_p))
    if rule.min_p > 0.0:
        _drop_below(weights, weights, np.float32(rule.min_p))
    if rule.typical < 1.0:
        typicality = _typicality(weights)
        _drop_below(typicality, weights, _share_threshold(typicality, weights, rule.typical))


@compiled
def _typicality(weights: Any) -> Any:
    """Return e**-|surprisal - entropy| of each weight, and 0 where that is never drawn, (V,)."""
    total = units(weights) / UNIT
    entropy = 0.0
    for i in range(len(weights)):
        if weights[i] * UNIT >= ONE:
            share = weights[i] / total
            entropy -= share * np.log(share)
    expected = np.float32(total * np.exp(-entropy))
    typicality = np.zeros(len(weights), np.float32)
    for i in range(len(weights)):
        if weights[i] * UNIT >= ONE:
            typicality[i] = min(weights[i] / expected, expected / weights[i])
    return typicality


@compiled
def _drop_below(ranks: Any, weights: Any, threshold: Any) -> None:
    """Set the weights to 0 whose ranks do not reach a threshold."""
    for i in range(len(weights)):
        weights[i] = weights[i] if ranks[i] >= threshold else ZERO


@compiled
def _top_k_threshold(weights: Any, top_k: Any) -> Any:
    """Return the largest threshold that at least `top_k` weights reach: the k-th largest weight."""
    low, high = NO_BITS, ONE_BITS
    while low < high:
        middle = np.int32(low + (high - low + 1) // 2)
        reached = 0
        for i in range(len(weights)):
            reached += float_bits(weights[i]) >= middle
        low, high = _narrow(weights, low, middle, high, reached >= top_k)
    return float_from_bits(low)


@compiled
def _share_threshold(ranks: Any, weights: Any, share: Any) -> Any:
    """Return the largest threshold on the ranks whose survivors hold at least a share of all weight."""
    needed = share * units(weights)
    low, high = NO_BITS, ONE_BITS
    while low < high:
        middle = np.int32(low + (high - low + 1) // 2)
        enough = _units_from(ranks, weights, float_from_bits(middle)) >= needed
        low, high = _narrow(ranks, low, middle, high, enough)
    return float_from_bits(low)


@compiled
def _narrow(weights: Any, low: Any, middle: Any, high: Any, enough: Any) -> Any:
    """Halve a bracket around a threshold, and draw it in to the nearest weight, as the threshold is one."""
    if enough:
        low = high
        for i in range(len(weights)):
            bits = float_bits(weights[i])
            above = bits if bits >= middle else high
            low = above if above < low else low
    else:
        high = low
        for i in range(len(weights)):
            bits = float_bits(weights[i])
            below = bits if bits < middle else low
            high = below if below > high else high
    return low, high


@compiled
def _units_from(ranks: Any, weights: Any, threshold: Any) -> Any:
    """Count the units of all weights whose ranks reach a threshold."""
    total: Any = 0
    for first in range(0, len(weights), BLOCK):
        stop = min(first + BLOCK, len(weights))
        total += _units_of_block(ranks[first:stop], weights[first:stop], threshold)
    return total


@compiled
def _units_of_block(ranks: Any, weights: Any, threshold: Any) -> Any:
    """Count the same of at most BLOCK weights; vectors hold twice as many halves as units."""
    high, low = np.int32(0), np.int32(0)
    for i in range(len(weights)):
        halves = (weights[i] if ranks[i] >= threshold else ZERO) * HALF_UNIT
        whole = np.int32(halves)
        high = np.int32(high + whole)
        low = np.int32(low + np.int32((halves - np.float32(whole)) * HALF_UNIT))
    return (np.int64(high) << HALF_BITS) + np.int64(low)


@compiled
def units(weights: Any) -> Any:
    """Count the units of all weights."""
    return _units_from(weights, weights, ZERO)


@compiled
def _invert(weights: Any, uniform: Any) -> Any:
    """Return the first token at which the running sum of the weights exceeds `uniform` of their total."""
    left = np.int64(uniform * units(weights))
    for first in range(0, len(weights), BLOCK):
        block = weights[first : min(first + BLOCK, len(weights))]
        in_block = _units_of_block(block, block, ZERO)
        if in_block > left:
            return first + _place(block, left)
        left -= in_block
    return _last(weights)


@compiled
def _place(weights: Any, target: Any) -> Any:
    """Return the first place at which the running sum of the weights exceeds a target; there is one."""
    place = 0
    passed = np.int64(weights[0] * UNIT)
    while passed <= target:
        place += 1
        passed += np.int64(weights[place] * UNIT)
    return place


@compiled
def _last(weights: Any) -> Any:
    """Return the last token that can be drawn, for a uniform number that rounding took to 1."""
    last = 0
    for i in range(len(weights)):
        if weights[i] * UNIT >= ONE:
            last = i
    return last

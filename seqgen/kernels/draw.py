"""From logits to a token, compiled: temperature, top-k, top-p, then the inverse of the distribution function.

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
NO_BITS, ONE_BITS = np.int32(0), np.int32(0x3F800000)  # of the float32 values 0 and 1
LEAST = np.int32(-(2**31))
BROKEN = -2  # drawn in place of a token when the logits are not numbers


class DrawRule(NamedTuple):
    """How tokens are drawn.

    Attributes:
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: How many of the likeliest tokens stay; 0 keeps all.
        top_p: The share of probability that stays, in (0, 1]; 1 keeps all.
        seed: The key of the random numbers.
        bias: Added to the logits before anything else (V,); -inf forbids a token.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: np.uint64
    bias: NDArray[np.float32]


@compiled
def draw_token(logits: Any, rule: Any, uniform: Any, weights: Any) -> Any:
    """Draw one token.

    Args:
        logits: What the network gives, (V,).
        rule: A DrawRule.
        uniform: A number in [0, 1).
        weights: Room for V float32 values.

    Returns:
        The token and its log-probability (nats) under the network alone, without bias or filters;
        BROKEN and 0 if the logits are not finite.
    """
    top = _largest(logits)
    numbers = 0
    for i in range(len(logits)):
        numbers += logits[i] <= top
        weights[i] = exp(logits[i] - top)
    if numbers < len(logits) or np.isinf(top):
        return BROKEN, 0.0
    log_total = top + np.log(_units_from(weights, ZERO) / UNIT)
    if rule.temperature > 0.0:
        _weigh(logits, rule, weights)
        token = _invert(weights, uniform)
    else:
        token = _likeliest(logits, rule.bias)
    return token, logits[token] - log_total


@compiled
def _largest(values: Any) -> Any:
    """Return the largest value, comparing as integers, which unlike floats may be compared in any order."""
    top = LEAST
    for i in range(len(values)):
        rank = _in_order(float_bits(values[i]))
        top = rank if rank > top else top
    return float_from_bits(_in_order(top))


@compiled
def _in_order(bits: Any) -> Any:
    """Flip what follows the sign of a negative float32, so that integers are ordered as floats; and back."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled
def _likeliest(logits: Any, bias: Any) -> Any:
    """Return the token of the largest biased logit, the first one of equals."""
    best = 0
    for i in range(1, len(logits)):
        if logits[i] + bias[i] > logits[best] + bias[best]:
            best = i
    return best


@compiled
def _weigh(logits: Any, rule: Any, weights: Any) -> None:
    """Set weights to e**((logit + bias) / temperature), relative to the largest, and 0 where filtered out."""
    sharpness = np.float32(1.0 / rule.temperature)
    for i in range(len(logits)):
        weights[i] = logits[i] + rule.bias[i]
    top = _largest(weights)
    for i in range(len(logits)):
        weights[i] = exp((weights[i] - top) * sharpness)
    if 0 < rule.top_k < len(weights):
        _drop_below(weights, _top_k_threshold(weights, rule.top_k))
    if rule.top_p < 1.0:
        _drop_below(weights, _top_p_threshold(weights, rule.top_p))


@compiled
def _drop_below(weights: Any, threshold: Any) -> None:
    for i in range(len(weights)):
        weights[i] = weights[i] if weights[i] >= threshold else ZERO


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
def _top_p_threshold(weights: Any, top_p: Any) -> Any:
    """Return the largest threshold whose survivors hold at least the share `top_p` of all weight."""
    needed = top_p * _units_from(weights, ZERO)
    low, high = NO_BITS, ONE_BITS
    while low < high:
        middle = np.int32(low + (high - low + 1) // 2)
        enough = _units_from(weights, float_from_bits(middle)) >= needed
        low, high = _narrow(weights, low, middle, high, enough)
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
def _units_from(weights: Any, threshold: Any) -> Any:
    """Count the units of all weights that reach a threshold."""
    units: Any = 0
    for i in range(len(weights)):
        units += np.int64((weights[i] if weights[i] >= threshold else ZERO) * UNIT)
    return units


@compiled
def _invert(weights: Any, uniform: Any) -> Any:
    """Return the first token at which the running sum of the weights exceeds `uniform` of their total."""
    target = np.int64(uniform * _units_from(weights, ZERO))
    passed: Any = 0
    for i in range(len(weights)):
        passed += np.int64(weights[i] * UNIT)
        if passed > target:
            return i
    return _last(weights)


@compiled
def _last(weights: Any) -> Any:
    """Return the last token that can be drawn, for a uniform number that rounding took to 1."""
    last = 0
    for i in range(len(weights)):
        if weights[i] * UNIT >= ONE:
            last = i
    return last

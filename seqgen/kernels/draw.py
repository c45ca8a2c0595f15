"""From logits to a token, compiled: temperature, top-k, top-p, then the inverse of the distribution function.

A filter is a threshold on the weights, found by bisection over the bit patterns of float32 (positive floats
are ordered as their bits are): exact, without sorting, and equal weights share their fate. The filters and
their order are described, with a plain version, in `seqgen.sampling.filters`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.exponential import exp
from seqgen.kernels.jit import compiled, float_bits, float_from_bits

ZERO = np.float32(0)
NEGLIGIBLE = np.float32(-80.0)  # e**-80 is beyond the reach of a 53-bit uniform number
UPPER_BITS = np.int32(0x40000000)  # the float32 2.0; weights are at most 1
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
        logits: What the network gives, (V,); overwritten.
        rule: A DrawRule.
        uniform: A number in [0, 1).
        weights: Room for V float32 values.

    Returns:
        The token and its log-probability (nats) under the network alone, without bias or filters;
        BROKEN and 0 if the logits are not finite.
    """
    top = largest(logits)
    total = 0.0
    broken = not (abs(top) < np.inf)
    for i in range(len(logits)):
        broken |= not (logits[i] <= top)
        weights[i] = exp(logits[i] - top)
    if broken:
        return BROKEN, 0.0
    for i in range(len(logits)):
        total += weights[i]
    log_total = top + np.log(total)
    if rule.temperature > 0.0:
        _weigh(logits, rule, weights)
        token = _invert(weights, uniform)
    else:
        token = _likeliest(logits, rule.bias)
    return token, logits[token] - log_total


@compiled
def largest(values: Any) -> Any:
    """Return the largest value."""
    top = values[0]
    for i in range(1, len(values)):
        top = max(top, values[i])
    return top


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
    """Set weights to e**((logit + bias) / temperature) over its largest value, 0 where filtered out."""
    sharpness = np.float32(1.0 / rule.temperature)
    top = logits[0] + rule.bias[0]
    for i in range(1, len(logits)):
        top = max(top, logits[i] + rule.bias[i])
    for i in range(len(logits)):
        scaled = (logits[i] + rule.bias[i] - top) * sharpness
        weights[i] = exp(scaled) if scaled > NEGLIGIBLE else ZERO
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
    low, high = np.int32(0), UPPER_BITS
    while low < high:
        middle = np.int32(low + (high - low + 1) // 2)
        threshold = float_from_bits(middle)
        reached = 0
        for i in range(len(weights)):
            reached += weights[i] >= threshold
        if reached >= top_k:
            low = middle
        else:
            high = np.int32(middle - 1)
    return float_from_bits(low)


@compiled
def _top_p_threshold(weights: Any, top_p: Any) -> Any:
    """Return the largest threshold whose survivors hold at least the share `top_p` of all weight."""
    needed = top_p * _sum_from(weights, ZERO)
    low, high = np.int32(0), float_bits(largest(weights))
    while low < high:
        middle = np.int32(low + (high - low + 1) // 2)
        if _sum_from(weights, float_from_bits(middle)) >= needed:
            low = middle
        else:
            high = np.int32(middle - 1)
    return float_from_bits(low)


@compiled
def _sum_from(weights: Any, threshold: Any) -> Any:
    """Sum the weights that reach a threshold, in four interleaved float64 sums for speed."""
    a = b = c = d = np.float64(0)
    whole = len(weights) // 4 * 4
    for i in range(0, whole, 4):
        a += weights[i] if weights[i] >= threshold else ZERO
        b += weights[i + 1] if weights[i + 1] >= threshold else ZERO
        c += weights[i + 2] if weights[i + 2] >= threshold else ZERO
        d += weights[i + 3] if weights[i + 3] >= threshold else ZERO
    for i in range(whole, len(weights)):
        a += weights[i] if weights[i] >= threshold else ZERO
    return (a + b) + (c + d)


@compiled
def _invert(weights: Any, uniform: Any) -> Any:
    """Return the first token at which the running sum of the weights exceeds `uniform` of their total."""
    total = 0.0
    for i in range(len(weights)):
        total += weights[i]
    target = uniform * total
    passed = 0.0
    chosen = 0
    for i in range(len(weights)):
        if weights[i] > ZERO:
            chosen = i
            passed += weights[i]
            if passed > target:
                break
    return chosen

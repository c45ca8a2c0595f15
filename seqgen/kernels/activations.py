"""Sigmoid, hyperbolic tangent and exponential of a vector register, without branches or tables.

tanh is the odd rational function of degree 9 / 8 with the least relative error on [-8, 8] (fitted by Lawson's
reweighted least squares), clamped outside, where tanh is within 2.3e-7 of ±1. In float32 both functions are
within 4e-7 of the exact value, tanh also relative to it. exp is within 4e-7 of its own size: 2 to a whole
power times a polynomial of degree 6 fitted likewise. NaN passes through.
"""

from typing import Any

import numpy as np

from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import at_least, at_most, fused, times_power_of_two

_LIMIT = np.float32(8.0)
_P = tuple(
    map(np.float32, (9.999999936e-01, 1.344449607e-01, 3.571595741e-03, 2.189462341e-05, 1.523036198e-08))
)
_Q = tuple(
    map(np.float32, (1.000000000e00, 4.677782339e-01, 2.616443430e-02, 3.411288244e-04, 8.522424335e-07))
)
_E = tuple(
    map(
        np.float32,
        (
            1.0,
            6.931472057e-01,
            2.402264689e-01,
            5.550328777e-02,
            9.618488958e-03,
            1.339993122e-03,
            1.534581165e-04,
        ),
    )
)
_HALF = np.float32(0.5)
_LOG2_E, _LOG2_E_REST = np.float32(1.44269502162933349609375), np.float32(1.9259629911e-8)
_ROUNDING = np.float32(1.5 * 2**23)
"""Adding it leaves the nearest integer in the low bits of the sum."""
_LARGEST = np.float32(87.0)


@compiled
def _tanh_ratio(x: Any) -> Any:
    """Return the numerator and the denominator, at most 250, of tanh."""
    x = at_least(-_LIMIT, at_most(_LIMIT, x))
    s = x * x
    above = fused(s, fused(s, fused(s, fused(s, _P[4], _P[3]), _P[2]), _P[1]), _P[0])
    below = fused(s, fused(s, fused(s, fused(s, _Q[4], _Q[3]), _Q[2]), _Q[1]), _Q[0])
    return x * above, below


@compiled
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of lanes."""
    above, below = _tanh_ratio(x)
    return above / below


@compiled
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)) of lanes."""
    return fused(_HALF, tanh(_HALF * x), _HALF)


@compiled
def two_sigmoids(x: Any, y: Any) -> Any:
    """Return sigmoid(x) and sigmoid(y) at the price of one division."""
    above_x, below_x = _tanh_ratio(_HALF * x)
    above_y, below_y = _tanh_ratio(_HALF * y)
    half = _HALF / (below_x * below_y)
    return fused(above_x * below_y, half, _HALF), fused(above_y * below_x, half, _HALF)


@compiled
def lstm_gates(i: Any, f: Any, g: Any, o: Any) -> Any:
    """Return sigmoid(i), sigmoid(f), tanh(g) and sigmoid(o) at the price of one division."""
    above_i, below_i = _tanh_ratio(_HALF * i)
    above_f, below_f = _tanh_ratio(_HALF * f)
    above_g, below_g = _tanh_ratio(g)
    above_o, below_o = _tanh_ratio(_HALF * o)
    first, second = below_i * below_f, below_g * below_o
    half = _HALF / (first * second)
    half_first, half_second = half * second, half * first  # half of 1 / first, half of 1 / second
    return (
        fused(above_i * below_f, half_first, _HALF),
        fused(above_f * below_i, half_first, _HALF),
        (above_g * below_o) * (half_second + half_second),
        fused(above_o * below_g, half_second, _HALF),
    )


@compiled
def exp(x: Any) -> Any:
    """Return e**x of lanes, which are held within ±87 so that nothing overflows."""
    x = at_least(-_LARGEST, at_most(_LARGEST, x))
    shifted = fused(x, _LOG2_E, _ROUNDING)
    whole = shifted - _ROUNDING
    part = fused(x, _LOG2_E_REST, fused(x, _LOG2_E, np.float32(-1.0) * whole))
    power = fused(part, fused(part, fused(part, _E[6], _E[5]), _E[4]), _E[3])
    return times_power_of_two(fused(part, fused(part, fused(part, power, _E[2]), _E[1]), _E[0]), shifted)

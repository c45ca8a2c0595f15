"""The exponential of float32, and sigmoid and tanh by it, so that compilers can vectorise loops over them.

2**(whole + part) = 2**whole * 2**part: the first factor goes into the exponent bits, the second is a
polynomial. Only correctly rounded operations in a fixed order: the same bits on every processor.
"""

from typing import Any

import numpy as np

from seqgen.kernels.jit import compiled, float_bits, float_from_bits, fma

LOG2_E = np.float32(1.44269502162933349609375)  # log2(e) rounded to float32 ...
LOG2_E_REST = np.float32(1.9259629911e-8)  # ... and what the rounding lost
ROUNDING = np.float32(1.5 * 2**23)  # adding it leaves an integer in the low bits of the sum
# Minimax polynomial of 2**f on [-1/2, 1/2], highest power first; relative error 2e-9 before rounding.
C6, C5, C4, C3, C2, C1, C0 = np.array(
    [1.53458114e-4, 1.33999312e-3, 9.61848896e-3, 5.55032878e-2, 0.240226469, 0.693147206, 1.0], np.float32
)
LARGEST = np.float32(87.0)
ONE, TWO = np.float32(1), np.float32(2)


@compiled
def exp(x: Any) -> Any:
    """Return e**x to 2e-7 of itself; x is held within ±87, so that nothing overflows."""
    x = min(max(x, -LARGEST), LARGEST)
    shifted = fma(x, LOG2_E, ROUNDING)
    whole = shifted - ROUNDING
    part = fma(x, LOG2_E_REST, fma(x, LOG2_E, -whole))
    power = fma(C6, part, C5)
    power = fma(power, part, C4)
    power = fma(power, part, C3)
    power = fma(power, part, C2)
    power = fma(power, part, C1)
    power = fma(power, part, C0)
    # The integer's low bits, moved into the exponent's place, multiply by 2**whole.
    return float_from_bits(np.int32(float_bits(power) + np.int32(float_bits(shifted) << np.int32(23))))


@compiled
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e**-x)."""
    return ONE / (ONE + exp(-x))


@compiled
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent to 2e-7, in absolute terms."""
    return ONE - TWO / (ONE + exp(TWO * x))

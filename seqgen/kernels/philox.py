"""Uniform random numbers that are a function of their place: (seed, sequence number, step).

Philox-4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): the key
is the seed, the counter is the step and the sequence number. No draw depends on how many were made before
it, so a batch of any size, a second thread or another device sees the same numbers.
"""

from typing import Any

import numpy as np

from seqgen.kernels.jit import compiled

LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
ROUNDS = 10


def philox(seed: Any, sequence: Any, step: Any) -> Any:
    """Return the first 64 of the 128 random bits at a counter; works on uint64 values and arrays alike."""
    key_0, key_1 = seed & LOW, seed >> WORD
    c0, c1, c2, c3 = step & LOW, step >> WORD, sequence & LOW, sequence >> WORD
    for _ in range(ROUNDS):
        product_0, product_1 = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1 = (product_1 >> WORD) ^ c1 ^ key_0, product_1 & LOW
        c2, c3 = (product_0 >> WORD) ^ c3 ^ key_1, product_0 & LOW
        key_0, key_1 = (key_0 + WEYL_0) & LOW, (key_1 + WEYL_1) & LOW
    return (c0 << WORD) | c1


_philox = compiled(philox)


@compiled
def uniform(seed: Any, sequence: Any, step: Any) -> Any:
    """Return the float64 in [0, 1) at a place, for kernels; all arguments are uint64."""
    return np.float64(_philox(seed, sequence, step) >> np.uint64(11)) * 2.0**-53


def uniforms(seed: int, sequences: Any, steps: Any) -> Any:
    """Return the same numbers as `uniform` as an array, for sequences and steps that broadcast."""
    places = np.broadcast_arrays(np.asarray(sequences, np.uint64), np.asarray(steps, np.uint64))
    bits = philox(np.full(places[0].shape, seed, np.uint64), *places)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

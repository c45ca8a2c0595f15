import numpy as np
import pytest

from seqgen.kernels.philox import philox, uniform, uniforms

# From the file kat_vectors of Random123, the authors' implementation: philox4x32, 10 rounds.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), 0x6627E8D5E169C58D),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, 0x408F276D41C83B0E),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), 0xD16CFE0994FDCCEB),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_bits_are_those_of_the_authors(counter, key, expected):
    words = [key[0] | key[1] << 32, counter[2] | counter[3] << 32, counter[0] | counter[1] << 32]
    seed, sequence, step = (np.array([word], np.uint64) for word in words)
    assert int(philox(seed, sequence, step)[0]) == expected


def test_compiled_numbers_equal_those_of_numpy():
    steps = np.arange(50)
    expected = uniforms(2**63 + 5, 3, steps)
    found = [uniform(np.uint64(2**63 + 5), np.uint64(3), np.uint64(step)) for step in steps]
    assert found == expected.tolist()


def test_numbers_are_uniform_and_below_one():
    numbers = uniforms(1, np.arange(100)[:, None], np.arange(1000)).ravel()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, 50, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 85.35  # chi-squared, 49 degrees of freedom, 99.9 %


def test_neighbouring_seeds_sequences_and_steps_are_unrelated():
    lines = [uniforms(1, 0, np.arange(10_000)), uniforms(2, 0, np.arange(10_000))]
    lines += [uniforms(1, 1, np.arange(10_000)), uniforms(1, 0, np.arange(1, 10_001))]
    correlations = np.corrcoef(lines)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.04  # four standard deviations

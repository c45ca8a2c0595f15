"""Batches of whole sequences: those of a batch are of similar lengths, so that little of it is padding."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqgen.data.batches import Integers

BATCHES_IN_POOL = 32
"""Sequences are sorted by length within so many batches, so that chance still decides who meets whom."""
PADDING = 0


def bucketed_batches(
    lengths: Integers, batch_size: int, random: np.random.Generator | None = None
) -> list[Integers]:
    """Return which sequences each batch of an epoch holds; every sequence is in exactly one.

    Args:
        lengths: The tokens of each sequence, (N,).
        batch_size: Sequences a batch; the last one may hold fewer.
        random: Shuffles sequences and batches; without it batches are sorted by length from end to end.
    """
    if random is None:
        order, pool = np.arange(len(lengths)), max(1, len(lengths))
    else:
        order, pool = random.permutation(len(lengths)), batch_size * BATCHES_IN_POOL
    batches = []
    for start in range(0, len(order), pool):
        members = order[start : start + pool]
        members = members[np.argsort(lengths[members], kind="stable")]
        batches += [members[first : first + batch_size] for first in range(0, len(members), batch_size)]
    if random is not None:
        batches = [batches[place] for place in random.permutation(len(batches))]
    return batches


def padded(sequences: Sequence[NDArray[np.unsignedinteger]]) -> tuple[Integers, Integers]:
    """Return tokens (T, B), PADDING after the end of each sequence, and their lengths (B,).

    T is at least 1, so that a batch of nothing but empty sequences has a shape to compute with.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    tokens = np.full((max(1, int(lengths.max(initial=0))), len(sequences)), PADDING, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        tokens[: len(sequence), row] = sequence
    return tokens, lengths

"""The distributions of n-gram models at places of the very text they were counted in, each place left out."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled

Integers = NDArray[np.integer[Any]]


class Counts(NamedTuple):
    """What follows every context, for contexts of 0, 1, ... K tokens, one length after the other.

    Attributes:
        contexts: The numbers of the contexts of each place, (N, K + 1).
        starts: Where the followers of each context begin, and of the last one end, (C + 1,).
        followers: A token and how often it follows, (F, 2).
    """

    contexts: NDArray[np.int32]
    starts: NDArray[np.int32]
    followers: NDArray[np.int32]


@compiled
def _agreement(tokens: Integers, one: int, other: int, most: int) -> int:
    """Return how many tokens before two places are the same, counted back from them; at most `most`."""
    for length in range(min(most, one, other)):
        if tokens[one - 1 - length] != tokens[other - 1 - length]:
            return length
    return int(min(most, one, other))


@compiled
def count_contexts(
    tokens: Integers,
    places: Integers,
    vocab_size: int,
    contexts: NDArray[np.int32],
    starts: NDArray[np.int32],
    followers: NDArray[np.int32],
) -> tuple[int, int]:
    """Number the contexts of all lengths and count what follows each, as `Counts` has it.

    Places whose contexts agree lie side by side, so that a context is a stretch of them.

    Args:
        tokens: (N,).
        places: All of them in the lexicographic order of what precedes them, read backwards, (N,).
        vocab_size: V.
        contexts: To be filled, (N, K + 1).
        starts: The same, with room for one more than there are contexts.
        followers: The same, with room for all pairs of a context and what follows it.

    Returns:
        How many contexts there are, and how many pairs.
    """
    count, lengths = contexts.shape
    agreements = np.zeros(count, np.int8)
    followed = np.empty(count, np.int32)
    for p in range(count):
        followed[p] = tokens[places[p]]
        if p:
            agreements[p] = _agreement(tokens, places[p - 1], places[p], lengths)
    times = np.zeros(vocab_size, np.int32)
    found = pairs = 0
    for length in range(lengths):
        begin = pairs
        for p in range(count):
            if p == 0 or agreements[p] < length:
                starts[found] = begin = pairs
                found += 1
            contexts[places[p], length] = found - 1
            times[followed[p]] += 1
            if times[followed[p]] == 1:
                followers[pairs, 0] = followed[p]
                pairs += 1
            if p == count - 1 or agreements[p + 1] < length:
                for f in range(begin, pairs):
                    followers[f, 1] = times[followers[f, 0]]
                    times[followers[f, 0]] = 0
    starts[found] = pairs
    return found, pairs


@compiled
def left_out_rows(
    data: Counts,
    tokens: Integers,
    places: NDArray[np.int64],
    strength: np.float32,
    lengths: int,
    rows: NDArray[np.float32],
    first: int,
    stop: int,
) -> None:
    """Write the distribution at each place that all other places make likely.

    From the shortest context to the longest, p = (count + s · d · p of the shorter) / (n + s · d): the
    interpolation of Witten and Bell (1991) with a strength s. The place itself is counted neither among the n
    tokens that follow the context nor among the d kinds of them.

    Args:
        data: Counted in `tokens`.
        tokens: (N,).
        places: (R,), in `tokens`; below 0 the row is left as it is.
        strength: s, how much shorter contexts weigh.
        lengths: How many lengths of contexts to use, from 0 on.
        rows: Even distributions, which become those of the places, (R, V).
        first: Row to begin with.
        stop: Row to stop before.
    """
    for r in range(first, stop):
        place = places[r]
        if place < 0:
            continue
        row, own = rows[r], tokens[place]
        for length in range(lengths):
            context = data.contexts[place, length]
            begin, end = data.starts[context], data.starts[context + 1]
            total, kinds = -1, end - begin
            for f in range(begin, end):
                total += data.followers[f, 1]
                if data.followers[f, 0] == own and data.followers[f, 1] == 1:
                    kinds -= 1
            if total == 0:
                break  # nor is a longer one found elsewhere
            shorter = strength * np.float32(kinds)
            share = np.float32(1) / (np.float32(total) + shorter)
            for v in range(len(row)):
                row[v] *= shorter * share
            for f in range(begin, end):
                row[data.followers[f, 0]] += share * np.float32(data.followers[f, 1])
            row[own] -= share

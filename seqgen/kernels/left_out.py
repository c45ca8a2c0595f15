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
    starts: NDArray[np.int64]
    followers: NDArray[np.int32]


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
                continue
            shorter = strength * np.float32(kinds)
            share = np.float32(1) / (np.float32(total) + shorter)
            for v in range(len(row)):
                row[v] *= shorter * share
            for f in range(begin, end):
                row[data.followers[f, 0]] += share * np.float32(data.followers[f, 1])
            row[own] -= share

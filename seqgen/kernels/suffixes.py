"""Searches in a suffix array: ranges of suffixes that begin alike, longest suffixes of a text that occur.

`text` is (N,) token ids, `order` (N,) the starts of its suffixes in lexicographic order, where the end of the
text comes before any token. A range [low, high) of `order` holds the suffixes that begin with one pattern. A
query is int64; a token of it that the text cannot hold is negative.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled

EOS = 0
_END = -1
NOWHERE = -2
"""Stands in a query for a token that matches nothing."""


class Match(NamedTuple):
    """The longest suffix that occurs of what each of B sequences holds so far, of up to M - 1 tokens.

    Attributes:
        recent: The last tokens of each, oldest first, (B, M).
        length: Of the suffix, (B,).
        low: Where its occurrences begin in the suffix array, (B,), and `high` where they end.
        high: See `low`.
    """

    recent: NDArray[np.int64]
    length: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def no_match(batch: int, longest: int, suffixes: int) -> Match:
    """Return where sequences stand that hold nothing yet.

    Args:
        batch: B.
        longest: How many tokens a suffix may have.
        suffixes: How many there are in the suffix array.
    """
    return Match(
        recent=np.full((batch, longest + 1), NOWHERE),
        length=np.zeros(batch, np.int64),
        low=np.zeros(batch, np.int64),
        high=np.full(batch, suffixes),
    )


@compiled
def _bound(text: Any, order: Any, low: int, high: int, depth: int, token: int, after: bool) -> int:
    """Return the first of a range whose token at `depth` is not before `token`, or is behind it."""
    while low < high:
        middle = (low + high) >> 1
        place = np.int64(order[middle]) + depth
        found = np.int64(text[place]) if place < len(text) else np.int64(_END)
        if found < token or (after and found == token):
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def narrow(text: Any, order: Any, low: int, high: int, depth: int, token: int) -> tuple[int, int]:
    """Return the part of a range of suffixes equal up to `depth` that goes on with `token`."""
    first = _bound(text, order, low, high, depth, token, False)
    if first == high or order[first] + depth >= len(text) or text[order[first] + depth] != token:
        return first, first
    return first, _bound(text, order, first, high, depth, token, True)


@compiled
def _matches(text: Any, place: int, query: Any, start: int, stop: int) -> bool:
    if place + stop - start > len(text):
        return False
    step = 0
    while start + step < stop and text[place + step] == query[start + step]:
        step += 1
    return start + step == stop


@compiled
def find(text: Any, order: Any, query: Any, start: int, stop: int) -> tuple[int, int]:
    """Return the range of the suffixes that begin with `query[start:stop]` (Manber and Myers 1993).

    What both ends of the search have in common with the pattern is not compared again.
    """
    low, high = 0, len(order)
    below = above = matched = 0
    while low < high:
        middle = (low + high) >> 1
        shared = min(below, above)
        place = np.int64(order[middle]) + shared
        while start + shared < stop and place < len(text) and text[place] == query[start + shared]:
            shared += 1
            place += 1
        if start + shared < stop and (place == len(text) or text[place] < query[start + shared]):
            low, below = middle + 1, shared
        else:
            high, above, matched = middle, shared, shared
    if matched < stop - start or high == len(order):
        return low, low
    step = 1
    while low + step < len(order) and _matches(text, order[low + step], query, start, stop):
        step *= 2
    first, last = low + step // 2, min(low + step, len(order))
    while first < last:
        middle = (first + last) >> 1
        if _matches(text, order[middle], query, start, stop):
            first = middle + 1
        else:
            last = middle
    return low, last


@compiled
def _shortened(text: Any, order: Any, query: Any, start: int, stop: int) -> tuple[int, int, int]:
    """Find the least s above `start` for which `query[s:stop]` occurs; return it and its range."""
    failed, step = start, 1
    while True:
        tried = min(start + step, stop)
        low, high = find(text, order, query, tried, stop)
        if low < high or tried == stop:
            break
        failed, step = tried, step * 2
    while failed + 1 < tried:
        middle = (failed + tried) >> 1
        first, last = find(text, order, query, middle, stop)
        if first < last:
            tried, low, high = middle, first, last
        else:
            failed = middle
    return tried, low, high


@compiled
def longest_suffixes(
    text: Any,
    order: Any,
    query: Any,
    first: int,
    stop: int,
    state: Any,
    starts: Any,
    lows: Any,
    highs: Any,
    hits: Any,
) -> None:
    """Find, before each token of `query[first:stop]`, the longest suffix of what precedes it that occurs.

    An EOS begins a new document: what is before it is out of reach.

    Args:
        text: See above.
        order: See above.
        query: All that is read, (M,).
        first: Where to go on.
        stop: Where to stop.
        state: (3,): start, low and high before `first`; left as they are before `stop`.
        starts: Receives where the suffix before each token begins, (stop - first,).
        lows: Receives the range of its occurrences, as `highs` does.
        highs: See `lows`.
        hits: Receives how many of the occurrences go on with the token.
    """
    start, low, high = state[0], state[1], state[2]
    for place in range(first, stop):
        token = query[place]
        row = place - first
        starts[row], lows[row], highs[row] = start, low, high
        below, above = narrow(text, order, low, high, place - start, token)
        hits[row] = above - below
        if token == EOS:
            start = place
            below, above = narrow(text, order, 0, len(order), 0, token)
        if below < above:
            low, high = below, above
        else:
            start, low, high = _shortened(text, order, query, start, place + 1)
    state[0], state[1], state[2] = start, low, high


@compiled
def follow(text: Any, order: Any, match: Any, row: int, token: int) -> None:
    """Go on with a token in a sequence of a Match."""
    recent = match.recent[row]
    size = len(recent)
    for place in range(1, size):
        recent[place - 1] = recent[place]
    recent[size - 1] = token
    length, low, high = match.length[row], match.low[row], match.high[row]
    if length + 1 < size:
        low, high = narrow(text, order, low, high, length, token)
    if length + 1 == size or low == high:
        start, low, high = _shortened(text, order, recent, size - 1 - length, size)
        length = size - 1 - start
    match.length[row], match.low[row], match.high[row] = length + 1, low, high


@compiled
def pattern_ranges(
    text: Any, order: Any, query: Any, first: int, stop: int, longest: int, lows: Any, highs: Any
) -> None:
    """Find the occurrences of `query[s:s + k]` for every s from `first` to `stop` and k up to `longest`.

    A pattern may begin or end with EOS, but holds none within.

    Args:
        text: See above.
        order: See above.
        query: All that is read.
        first: The first s.
        stop: The end of s, and of the patterns.
        longest: The largest k.
        lows: Receives the ranges, (stop - first, longest + 1), as `highs` does; those without suffixes are
            left as they are.
        highs: See `lows`.
    """
    for start in range(first, stop):
        low, high = 0, len(order)
        for length in range(longest + 1):
            lows[start - first, length], highs[start - first, length] = low, high
            place = start + length
            if length == longest or place == stop or (length > 1 and query[place - 1] == EOS):
                break
            low, high = narrow(text, order, low, high, length, query[place])
            if low == high:
                break


@compiled
def count_successors(
    text: Any, order: Any, lows: Any, highs: Any, depths: Any, totals: Any, distinct: Any
) -> None:
    """Count the tokens that follow the occurrences of patterns, and how many distinct ones there are.

    Args:
        text: See above.
        order: See above.
        lows: The ranges of the patterns, (P,), as `highs`.
        highs: See `lows`.
        depths: Their lengths, (P,).
        totals: Receives how many occurrences are followed by a token, (P,).
        distinct: Receives how many different tokens follow, (P,).
    """
    for row in range(len(lows)):
        low, high, depth = lows[row], highs[row], depths[row]
        if low < high and order[low] + depth == len(text):
            low += 1  # an occurrence at the very end comes first, and has no successor
        totals[row] = high - low
        found = 0
        while low < high:
            low = past(text, order, low, high, depth)
            found += 1
        distinct[row] = found


@compiled
def past(text: Any, order: Any, low: int, high: int, depth: int) -> int:
    """Return where the suffixes of a range end that have the same token at `depth` as its first."""
    token = np.int64(text[order[low] + depth])
    step = 1
    while low + step < high and text[order[low + step] + depth] == token:
        step *= 2
    behind: int = _bound(text, order, low + step // 2, min(low + step, high), depth, token, True)
    return behind


@compiled
def add_successors(text: Any, order: Any, low: int, high: int, depth: int, weight: float, probs: Any) -> None:
    """Add to `probs`, (V,), the weighted shares of the tokens that follow the occurrences of a pattern."""
    if low < high and order[low] + depth == len(text):
        low += 1
    total = high - low
    while low < high:
        behind = past(text, order, low, high, depth)
        probs[text[order[low] + depth]] += weight * (behind - low) / total
        low = behind

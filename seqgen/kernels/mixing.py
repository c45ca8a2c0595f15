"""An unbounded n-gram model mixed into the network's predictions while tokens are drawn.

What `seqgen.data.ngrams` computes of a whole text is kept up to date here token by token: the occurrences of
the last 0, 1, 2 ... tokens, each a part of those of one token less before the last draw, and those of the
longest suffix. Contexts are then blended from the longest down, so that each adds its successors only.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.copying import ANY_COPY
from seqgen.kernels.jit import compiled
from seqgen.kernels.suffixes import EOS, Match, follow, narrow, no_match, past

LONGEST_MATCH = 1023
"""A context of more tokens counts as the last so many of them."""


class NgramMix(NamedTuple):
    """An n-gram model and its share.

    Attributes:
        text: Token ids, (N,), read-only.
        order: Where its suffixes begin, in lexicographic order, (N,), read-only.
        share: Of the n-gram model in every prediction, from 0 to 1.
        base: The probabilities without any context, (V,).
        weights: λ of the classes of contexts: by length, count, and mean count of successors.
        lengths: Where classes of lengths beyond the longest short context begin, ascending.
        times: Where the classes of counts begin.
        means: Where those of mean counts begin.
        shorts: How many tokens the longest short context has.
    """

    text: NDArray[np.unsignedinteger]
    order: NDArray[np.signedinteger]
    share: float
    base: NDArray[np.float64]
    weights: NDArray[np.float64]
    lengths: NDArray[np.int64]
    times: NDArray[np.int64]
    means: NDArray[np.float64]
    shorts: int


NO_MIX = NgramMix(
    text=ANY_COPY.text,
    order=ANY_COPY.order,
    share=0.0,
    base=np.zeros(0),
    weights=np.zeros((0, 0, 0)),
    lengths=np.zeros(0, np.int64),
    times=np.zeros(0, np.int64),
    means=np.zeros(0),
    shorts=0,
)


class Trail(NamedTuple):
    """The contexts of B sequences in an n-gram model's text, and room to compute in.

    Attributes:
        ranges: Where the occurrences of the last 0, 1, 2 ... tokens begin and end in the suffix array,
            (B, C, 2); begin and end are equal where there are none.
        match: Those of the longest suffix.
        successors: Tokens that follow a context, (V,), and `counts` how often.
        counts: See `successors`.
        probs: What the n-gram model makes of them, (V,).
    """

    ranges: NDArray[np.int64]
    match: Match
    successors: NDArray[np.int64]
    counts: NDArray[np.int64]
    probs: NDArray[np.float64]


def start_trail(mix: NgramMix, batch: int) -> Trail:
    """Return the contexts of sequences that hold nothing yet."""
    vocab, suffixes = len(mix.base), len(mix.order)
    ranges = np.zeros((batch, mix.shorts + 1, 2), np.int64)
    ranges[:, 0, 1] = suffixes
    match = no_match(batch, LONGEST_MATCH if mix.share else 0, suffixes)
    return Trail(ranges, match, np.zeros(vocab, np.int64), np.zeros(vocab, np.int64), np.zeros(vocab))


@compiled
def follow_contexts(mix: Any, trail: Any, row: int, token: int) -> None:
    """Go on with a token; EOS begins a new document, in which nothing is known of the one before."""
    ranges, match = trail.ranges[row], trail.match
    if token == EOS:
        ranges[1:] = 0
        match.length[row], match.low[row], match.high[row] = 0, 0, len(mix.order)
    for length in range(len(ranges) - 1, 0, -1):
        low, high = ranges[length - 1, 0], ranges[length - 1, 1]
        if low < high:
            low, high = narrow(mix.text, mix.order, low, high, length - 1, token)
        ranges[length, 0], ranges[length, 1] = low, high
    follow(mix.text, mix.order, match, row, token)


@compiled
def read_contexts(mix: Any, trail: Any, tokens: Any) -> None:
    """Go on with tokens that were given, in a Trail of one sequence."""
    for token in tokens:
        follow_contexts(mix, trail, 0, token)


@compiled
def mix_in(mix: Any, trail: Any, row: int, logits: Any, log_total: float) -> None:
    """Turn logits into the log-probabilities of the mixture, in place, (V,).

    Args:
        mix: An NgramMix.
        trail: The contexts.
        row: Of the sequence.
        logits: What the network gives.
        log_total: The logarithm of the sum of their exponentials.
    """
    ranges, match, probs = trail.ranges[row], trail.match, trail.probs
    probs[:] = 0.0
    left = 1.0
    if match.length[row] > mix.shorts:
        left = _blend(mix, trail, match.low[row], match.high[row], match.length[row], left)
    for length in range(mix.shorts, 0, -1):
        left = _blend(mix, trail, ranges[length, 0], ranges[length, 1], length, left)
    for v in range(len(logits)):
        ngram = probs[v] + left * mix.base[v]
        network = np.exp(np.float64(logits[v]) - log_total)
        logits[v] = np.log((1.0 - mix.share) * network + mix.share * ngram)


@compiled
def _blend(mix: Any, trail: Any, low: int, high: int, depth: int, left: float) -> Any:
    """Add the share of one context to the probabilities, and return what is left for shorter ones."""
    text, order = mix.text, mix.order
    if low < high and order[low] + depth == len(text):
        low += 1  # nothing follows at the very end
    total = high - low
    if total == 0:
        return left
    distinct = 0
    while low < high:
        behind = past(text, order, low, high, depth)
        trail.successors[distinct] = text[order[low] + depth]
        trail.counts[distinct] = behind - low
        distinct += 1
        low = behind
    length = min(depth, mix.shorts + 1 + np.searchsorted(mix.lengths, depth, side="right"))
    times = np.searchsorted(mix.times, total, side="right")
    means = np.searchsorted(mix.means, total / distinct, side="right")
    weight = mix.weights[length, times, means]
    for number in range(distinct):
        trail.probs[trail.successors[number]] += left * weight * trail.counts[number] / total
    return left * (1.0 - weight)

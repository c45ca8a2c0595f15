"""How well a corpus can be guessed from the few tokens before: a yardstick that takes half a second."""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.integer]
Codes = NDArray[np.int64]

_MOST_TOKENS = 1_000_000
_MOST_SCORED = 100_000


def ngram_loss(train: Ids, valid: Ids, *, vocab_size: int, order: int = 5) -> float:
    """Return the cross-entropy of the best n-gram model in nats a token, on at most 100,000 tokens.

    A model of some order interpolates all orders from its own down to the uniform distribution, with the
    weights of Witten and Bell (1991, "The zero-frequency problem", method C). Counts are of at most the first
    million tokens.

    Args:
        train: What is counted, (N,), at least one token.
        valid: What is scored, (M,); where it is empty, the counted tokens themselves.
        vocab_size: V; the order is lowered where V to its power is beyond 64 bits.
        order: The highest order that is tried.
    """
    train = train[:_MOST_TOKENS].astype(np.int64)
    scored = (valid if len(valid) else train)[:_MOST_SCORED].astype(np.int64)
    while order > 1 and vocab_size**order >= 1 << 63:
        order -= 1
    losses = []
    probability: NDArray[np.float64] = np.full(len(scored), 1.0 / vocab_size)
    for length in range(1, order + 1):
        counted, counts = np.unique(_codes(train, length, vocab_size), return_counts=True)
        contexts, begins = np.unique(counted // vocab_size, return_index=True)
        totals = np.add.reduceat(counts, begins)
        kinds = np.diff(begins, append=len(counted))
        codes = _codes(scored, length, vocab_size)
        count = _look_up(counted, counts, codes)
        total = _look_up(contexts, totals, codes // vocab_size)
        kind = _look_up(contexts, kinds, codes // vocab_size)
        known = total > 0
        longest = probability[length - 1 :]  # the first tokens have no context this long
        longest[known] = ((count + kind * longest) / np.maximum(total + kind, 1))[known]
        losses.append(float(-np.log(probability).mean()))
    return min(losses)


def _codes(tokens: Ids, length: int, vocab_size: int) -> Codes:
    """Number the n-grams of a stream, (N,) -> (N - length + 1,); code // V lacks the last token."""
    codes: Codes = np.zeros(max(0, len(tokens) - length + 1), dtype=np.int64)
    for place in range(length):
        codes = codes * vocab_size + tokens[place : len(codes) + place]
    return codes


def _look_up(keys: Codes, values: Ids, wanted: Codes) -> NDArray[np.int64]:
    """Return the values of sorted keys, 0 where there is none."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)

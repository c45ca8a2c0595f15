"""An n-gram model of a text that predicts each of its tokens as if that one had not been counted.

A network that is taught a little of these distributions overfits less: they tell which other tokens the text
itself makes likely at a place. Malagutti et al. (2024, "The role of n-gram smoothing in the age of neural
networks") teach networks smoothed n-gram models; leaving a token out is our way of smoothing them, and
chooses how long contexts are.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqgen.data.suffixes import sort_suffixes
from seqgen.errors import ConfigError
from seqgen.kernels.left_out import Counts, count_contexts, left_out_rows
from seqgen.kernels.team import run_together, share
from seqgen.runtime import cpu_count

LONGEST = 8
"""Tokens of a context."""
STRENGTH = np.float32(4)
"""How much shorter contexts weigh: tinyshakespeare's tokens, left out, are likelier than under 1 to 3."""
MOST_TOKENS = 20_000_000
MOST_KINDS = 2_000
_SAMPLE = 20_000
"""Tokens by which the length of contexts is chosen."""
_ROWS_A_THREAD = 256


class LeftOutNgrams:
    """The model; contexts reach across the edges of documents, which are tokens like others.

    Args:
        tokens: The text, (N,).
        vocab_size: V.

    Raises:
        ConfigError: If the text or the vocabulary is too large to hold distributions over it.
    """

    def __init__(self, tokens: NDArray[np.unsignedinteger], vocab_size: int) -> None:
        if len(tokens) > MOST_TOKENS or vocab_size > MOST_KINDS:
            raise ConfigError(
                f"--ngram-smoothing: for up to {MOST_TOKENS:,} tokens of {MOST_KINDS:,} kinds, and there are "
                f"{len(tokens):,} of {vocab_size:,}; leave it out"
            )
        self._tokens, self._vocab = np.asarray(tokens, np.int32), vocab_size
        self._data = _count(self._tokens, vocab_size)

    @cached_property
    def longest(self) -> int:
        """The length of contexts, up to LONGEST, under which left-out tokens are likeliest."""
        sample = np.unique(np.linspace(0, len(self._tokens) - 1, _SAMPLE).astype(np.int64))
        own = self._tokens[sample]
        losses = []
        for longest in range(LONGEST + 1):
            rows = self._rows(sample, longest)
            losses.append(-np.log(np.maximum(rows[np.arange(len(sample)), own], 1e-9)).mean())
        return int(np.argmin(losses))

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the distributions at places in the text, (...) -> (..., V); even where one is below 0."""
        return self._rows(places.reshape(-1), self.longest).reshape(*places.shape, self._vocab)

    def _rows(self, places: NDArray[np.int64], longest: int) -> NDArray[np.float32]:
        rows = np.full((len(places), self._vocab), 1 / self._vocab, np.float32)

        def work(thread: int, _barrier: object) -> None:
            part = share(len(places), thread, threads)
            left_out_rows(self._data, self._tokens, places, STRENGTH, longest + 1, rows, *part)

        threads = max(1, min(cpu_count(), len(places) // _ROWS_A_THREAD))
        run_together(work, threads)
        return rows


def _count(tokens: NDArray[np.int32], vocab_size: int) -> Counts:
    """Number the contexts of every length and count what follows each."""
    count = len(tokens)
    # What precedes a place, read backwards, is a suffix of the text read backwards; before the first is none.
    order = sort_suffixes(tokens[::-1].astype(np.uint32))
    places = np.concatenate([[0], count - order[order > 0]]).astype(np.int32)
    most = (LONGEST + 1) * count
    contexts = np.empty((count, LONGEST + 1), np.int32)
    starts, followers = np.empty(most + 1, np.int32), np.empty((most, 2), np.int32)
    found, pairs = count_contexts(tokens, places, vocab_size, contexts, starts, followers)
    # What was not written of the room for them has no memory yet, and never will.
    return Counts(contexts, starts[: found + 1], followers[:pairs])

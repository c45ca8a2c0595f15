"""The unbounded n-gram model: what followed the same tokens in the training part, however many they are.

As in infini-gram (Liu et al. 2024) any context is looked up in a suffix array. There a context that was seen
decides alone; here the contexts of every length are interpolated, from none up to LONGEST_CONTEXT tokens and,
beyond those, the longest suffix that was seen at all:

    p_k(w) = λ · count(context, w) / count(context) + (1 - λ) · p_(k-1)(w)

λ depends on the length of the context, on how often it was seen and on how often each token after it was seen
on average, in classes (Jelinek and Mercer 1980; Chen and Goodman 1998). The weights of the classes are those
that make held-out text likeliest, by EM; a class that is not met there has the weight of Witten and Bell
(1991). On tinyshakespeare that beat discounts and continuation counts in the manner of Kneser and Ney.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.data.suffixes import Places, SuffixArray, Tokens, close_documents
from seqgen.data.tokenizers import EOS_ID
from seqgen.kernels import ngrams, suffixes
from seqgen.kernels.copying import read_only
from seqgen.kernels.mixing import NgramMix

LONGEST_CONTEXT = 12
"""Tokens of the longest context that is used beside the longest that was seen."""
FITTED_TOKENS = 200_000
"""How much held-out text decides about the weights, from its beginning."""

_COLUMNS = LONGEST_CONTEXT + 2
_TIMES = np.array([2, 4, 8, 16, 32, 64, 128, 256, 1024])
_MEANS = np.array([1.25, 1.75, 2.5, 4, 8, 16, 64])
_LONGER = np.array([16, 24, 32, 64])
_LENGTHS = LONGEST_CONTEXT + 1 + len(_LONGER) + 1
_CLASSES = (_LENGTHS, len(_TIMES) + 1, len(_MEANS) + 1)
_WITTEN_BELL = 8.0
_PRIOR = 10.0
"""How many tokens of held-out text the weight of Witten and Bell counts as."""
_EM_STEPS = 30
_CHUNK = 1 << 15
_SHARE_STEP = 1e-5


class Contexts(NamedTuple):
    """What is known of T tokens from C contexts each, shortest first; every array is (T, C).

    Attributes:
        lows: Where the occurrences of the context begin in the suffix array, and `highs` where they end.
        highs: See `lows`.
        depths: The length of the context.
        totals: How many occurrences are followed by a token; 0 where the context has no say.
        hits: How many are followed by the token that came.
        buckets: The class of the context, which has a weight.
    """

    lows: NDArray[np.int64]
    highs: NDArray[np.int64]
    depths: NDArray[np.int64]
    totals: NDArray[np.int64]
    hits: NDArray[np.int64]
    buckets: NDArray[np.int64]

    @property
    def evidence(self) -> tuple[NDArray[np.int64], ...]:
        """What the kernels take."""
        return self.totals, self.hits, self.buckets


@dataclass(frozen=True)
class NgramModel:
    """An unbounded n-gram model.

    Attributes:
        suffixes: Of the training part.
        vocab_size: V; before anything is known every token has the probability 1/V.
        weights: λ of every class of contexts.
    """

    suffixes: SuffixArray
    vocab_size: int
    weights: NDArray[np.float64] = field(default_factory=lambda: default_weights(), repr=False)

    def probabilities(self, tokens: Tokens, documents: Places) -> NDArray[np.float64]:
        """Return the probability of every token of a stream, from what its document holds before it.

        Args:
            tokens: The stream, (N,).
            documents: Start offsets of its documents and the end, (D + 1,).
        """
        parts = [np.zeros(0)]
        for contexts in self._read(tokens, documents):
            probs = np.empty(len(contexts.totals))
            ngrams.blend(*contexts.evidence, self.weights, 1 / self.vocab_size, probs)
            parts.append(probs)
        return np.concatenate(parts)

    def fitted(self, tokens: Tokens, documents: Places) -> "NgramModel":
        """Return the model with the weights under which held-out text is likeliest.

        Args:
            tokens: The text; FITTED_TOKENS of it are read.
            documents: Its documents.
        """
        stop = min(len(tokens), FITTED_TOKENS)
        read = [
            contexts.evidence
            for contexts in self._read(tokens[:stop], np.append(documents[documents < stop], stop))
        ]
        weights, defaults = self.weights, default_weights()
        for _ in range(_EM_STEPS):
            chosen, reached = np.zeros(len(weights)), np.zeros(len(weights))
            for evidence in read:
                ngrams.expect(*evidence, weights, 1 / self.vocab_size, chosen, reached)
            weights = (chosen + _PRIOR * defaults) / (reached + _PRIOR)
        return replace(self, weights=weights)

    def cross_fitted(self, tokens: Tokens, documents: Places) -> NDArray[np.float64]:
        """Return the probability of every token of a text, with weights fitted on the other half of it."""
        half = len(tokens) // 2
        first = self.fitted(tokens[:half], np.append(documents[documents < half], half))
        second = self.fitted(tokens[half:], np.append(0, documents[documents > half] - half))
        probs = second.probabilities(tokens, documents)
        probs[half:] = first.probabilities(tokens, documents)[half:]
        return probs

    def distribution(self, history: Tokens) -> NDArray[np.float64]:
        """Return the probabilities of what may come next, (V,).

        Args:
            history: What precedes it in its document, oldest token first.
        """
        query = np.concatenate([[EOS_ID], history, [EOS_ID]]).astype(np.int64)
        last, state = len(query) - 1, self._initial_state()
        self._longest(query, 0, last, state)
        contexts = self._look_up(query, last, last + 1, state)
        probs = np.full(self.vocab_size, 1 / self.vocab_size)
        for low, high, depth, total, _, bucket in zip(*(array[0] for array in contexts), strict=True):
            if total:
                probs *= 1 - self.weights[bucket]
                suffixes.add_successors(*self._array, low, high, depth, self.weights[bucket], probs)
        return probs

    def mix(self, share: float) -> NgramMix:
        """Return what the sampling loop needs to give this model a share of every prediction."""
        begin = np.zeros(1, dtype=np.int64)
        end, (total, distinct) = begin + len(self.suffixes.order), np.zeros((2, 1), dtype=np.int64)
        suffixes.count_successors(*self._array, begin, end, begin, total, distinct)
        base = np.full(self.vocab_size, 1 / self.vocab_size)
        if total[0]:
            weight = self.weights[_classes(begin, total, distinct)[0]]
            base *= 1 - weight
            suffixes.add_successors(*self._array, 0, end[0], 0, weight, base)
        return NgramMix(
            text=read_only(self.suffixes.text),
            order=read_only(self.suffixes.order),
            share=share,
            base=base,
            weights=self.weights.reshape(_CLASSES),
            lengths=_LONGER,
            times=_TIMES,
            means=_MEANS,
            shorts=LONGEST_CONTEXT,
        )

    @property
    def _array(self) -> tuple[Tokens, NDArray[np.signedinteger]]:
        return self.suffixes.text, self.suffixes.order

    def _initial_state(self) -> NDArray[np.int64]:
        return np.array([0, 0, len(self.suffixes.order)])

    def _read(self, tokens: Tokens, documents: Places) -> Iterator[Contexts]:
        """Yield what is known of the tokens of a stream, some thousands at a time."""
        text, added = close_documents(tokens, documents)
        query = np.concatenate([[EOS_ID], text]).astype(np.int64)
        charged = np.ones(len(query), dtype=bool)
        charged[0] = charged[added + 1] = False
        state = self._initial_state()
        for first in range(0, len(query), _CHUNK):
            stop = min(first + _CHUNK, len(query))
            contexts = self._look_up(query, first, stop, state)
            yield Contexts(*(array[charged[first:stop]] for array in contexts))

    def _look_up(self, query: Places, first: int, stop: int, state: NDArray[np.int64]) -> Contexts:
        columns = [*self._short_contexts(query, first, stop), self._longest(query, first, stop, state)]
        lows, highs, depths, hits = (np.stack(arrays, axis=1) for arrays in zip(*columns, strict=True))
        totals, distinct = np.zeros_like(lows), np.zeros_like(lows)
        for column in range(_COLUMNS):
            asked = np.flatnonzero(highs[:, column] > lows[:, column])
            ranges = np.stack([array[asked, column] for array in (lows, highs, depths)])
            ranges, back = np.unique(ranges, axis=1, return_inverse=True)
            counts = np.zeros((2, ranges.shape[1]), dtype=np.int64)
            suffixes.count_successors(*self._array, *ranges, *counts)
            totals[asked, column], distinct[asked, column] = counts[:, back.ravel()]
        return Contexts(lows, highs, depths, totals, hits, _classes(depths, totals, distinct))

    def _short_contexts(self, query: Places, first: int, stop: int) -> Iterator[tuple[Places, ...]]:
        """Yield range, length and hits of the contexts of every length up to LONGEST_CONTEXT."""
        begin = max(first - LONGEST_CONTEXT, 0)
        lows, highs = (np.zeros((stop - begin, LONGEST_CONTEXT + 2), dtype=np.int64) for _ in range(2))
        suffixes.pattern_ranges(*self._array, query, begin, stop, LONGEST_CONTEXT + 1, lows, highs)
        places = np.arange(first, stop)
        after_eos = query[places - 1] == EOS_ID
        for length in range(LONGEST_CONTEXT + 1):
            starts = places - length
            known = starts >= 0
            if length > 1:
                known &= ~after_eos  # nothing is known of a document before it begins
            rows = np.where(known, starts - begin, 0)
            low, high = (np.where(known, array[rows, length], 0) for array in (lows, highs))
            hits = np.where(known, highs[rows, length + 1] - lows[rows, length + 1], 0)
            yield low, high, np.full(len(places), length), hits

    def _longest(self, query: Places, first: int, stop: int, state: NDArray[np.int64]) -> tuple[Places, ...]:
        """Return range, length and hits of the longest context seen, where it is longer than the others."""
        starts, lows, highs, hits = (np.zeros(stop - first, dtype=np.int64) for _ in range(4))
        suffixes.longest_suffixes(*self._array, query, first, stop, state, starts, lows, highs, hits)
        depths = np.arange(first, stop) - starts
        longer = depths > LONGEST_CONTEXT
        return np.where(longer, lows, 0), np.where(longer, highs, 0), depths, np.where(longer, hits, 0)


def default_weights() -> NDArray[np.float64]:
    """Return the weights of Witten and Bell (1991), with a constant that suits texts, for every class."""
    means = np.append(1.0, _MEANS)  # count(context) over distinct successors, at the least
    weights = np.broadcast_to(means / (means + _WITTEN_BELL), _CLASSES)
    return weights.ravel()


def _classes(depths: Places, totals: Places, distinct: Places) -> Places:
    """Number the classes of contexts, (T, C)."""
    lengths = np.minimum(depths, LONGEST_CONTEXT + 1 + np.searchsorted(_LONGER, depths, side="right"))
    times = np.searchsorted(_TIMES, totals, side="right")
    means = np.searchsorted(_MEANS, totals / np.maximum(distinct, 1), side="right")
    return np.asarray(np.ravel_multi_index((lengths, times, means), _CLASSES), dtype=np.int64)


def best_share(losses_nats: NDArray[np.floating], probabilities: NDArray[np.float64]) -> float:
    """Return the W under which tokens are likeliest.

    Their log-likelihood is concave in W. Bisection finds where its slope Σ r / (1 + W·r) changes its sign,
    with r = p_ngram / p_network - 1.

    Args:
        losses_nats: Of the network, (N,).
        probabilities: What the n-gram model gives the same tokens, (N,).
    """
    ratios = np.expm1(np.log(probabilities) + losses_nats.astype(np.float64))
    low, high = 0.0, 1.0
    while high - low > _SHARE_STEP:
        middle = (low + high) / 2
        if (ratios / (1 + middle * ratios)).sum() > 0:
            low = middle
        else:
            high = middle
    return round((low + high) / 2, 4)

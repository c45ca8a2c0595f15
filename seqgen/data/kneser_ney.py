"""Interpolated Kneser-Ney of fixed order (Kneser and Ney 1995), with three discounts (Chen and Goodman 1999).

    p_k(w) = (a(context w) - D) / a(context) + γ(context) · p_(k-1)(w),    p_0(w) = 1 / V

a is the count for n-grams of the highest order and for those that begin a document, and for shorter ones the
number of different tokens before them. D depends on whether a is 1, 2 or more; γ shares out what was taken.

An n-gram is numbered by its place among the sorted codes (number of all but its last token) · V + last token,
so that a context is looked up for all tokens of a text at once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.data.suffixes import Places, Tokens, close_documents
from seqgen.data.tokenizers import EOS_ID

ORDERS = {"char": 8, "byte": 8, "note": 5, "word": 4, "subword": 4}
"""The order that is used unless one is given, by level."""

_ABSENT = -1
_FALLBACK = (0.5, 1.0, 1.5)
"""The discounts where there are too few n-grams to estimate them."""

Floats = NDArray[np.float64]


class Order(NamedTuple):
    """The n-grams of one length: G of them, with C contexts of one token less.

    Attributes:
        codes: What numbers them, ascending, (G,).
        kept: Their adjusted counts less the discounts, over those of all with their context, (G,).
        left: What their context leaves to shorter ones, (C,); 1 for one without successors.
    """

    codes: Places
    kept: Floats
    left: Floats


@dataclass(frozen=True)
class KneserNey:
    """An n-gram model.

    Attributes:
        orders: From one token up.
        vocab_size: V.
    """

    orders: tuple[Order, ...]
    vocab_size: int

    @property
    def size(self) -> int:
        """How many n-grams are stored."""
        return sum(len(order.codes) for order in self.orders)

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return sum(array.nbytes for order in self.orders for array in order)

    def probabilities(self, tokens: Tokens, documents: Places) -> Floats:
        """Return the probability of every token of a stream, from what its document holds before it.

        Args:
            tokens: The stream, (N,).
            documents: Start offsets of its documents and the end, (D + 1,).
        """
        text, charged = _charged(tokens, documents)
        probs = np.full(len(text), 1 / self.vocab_size)
        contexts = np.zeros(len(text), np.int64)  # numbers of the n-grams that end before each token
        known = np.ones(len(text), dtype=bool)  # also an EOS that is not charged begins a document
        for length, order in enumerate(self.orders):
            numbers = _find(order.codes, contexts * self.vocab_size + text, known)
            asked = np.flatnonzero(known)
            left, found = order.left[contexts[asked]], numbers[asked]
            probs[asked] = left * probs[asked] + np.where(found < 0, 0.0, order.kept[found])
            contexts, known = _longer(text, numbers, length, charged)
        return probs[charged]

    def distribution(self, history: Tokens) -> Floats:
        """Return the probabilities of what may come next, (V,).

        Args:
            history: What precedes it in its document, oldest token first.
        """
        rows = np.zeros((self.vocab_size, len(history) + 1), np.uint32)
        rows[:, :-1], rows[:, -1] = history, np.arange(self.vocab_size)
        ends = np.arange(self.vocab_size + 1) * rows.shape[1]
        return self.probabilities(rows.ravel(), ends)[ends[1:] - 1]


def count_ngrams(tokens: Tokens, documents: Places, *, order: int, vocab_size: int) -> KneserNey:
    """Return the model of a text.

    Args:
        tokens: The text, (N,).
        documents: Start offsets of its documents and the end, (D + 1,).
        order: How many tokens the longest n-grams have.
        vocab_size: V.

    Raises:
        ValueError: If the order is below 1.
    """
    if order < 1:
        raise ValueError(f"order {order}: at least 1")
    text, charged = _charged(tokens, documents)
    contexts, known = np.zeros(len(text), np.int64), np.ones(len(text), dtype=bool)
    levels: list[_Counted] = []
    sizes, shorter = [1], np.zeros(0, np.int64)
    for length in range(order):
        ends = np.flatnonzero(known)
        codes, first, inverse = np.unique(
            contexts[ends] * vocab_size + text[ends], return_index=True, return_inverse=True
        )
        if not len(codes):
            break  # no document is as long
        numbers = np.full(len(text), _ABSENT)
        numbers[ends] = inverse.ravel()
        counts = np.bincount(numbers[ends[charged[ends]]], minlength=len(codes))
        begins = ends[first] - length
        levels.append(_Counted(codes, counts, (length > 0) & (text[begins] == EOS_ID)))
        if length:
            levels[-2].adjust(shorter[ends[first]])
        shorter = numbers
        sizes.append(len(codes))
        contexts, known = _longer(text, numbers, length, charged)
    contexts_of_each = zip(levels, sizes[:-1], strict=True)
    return KneserNey(
        tuple(level.discounted(count, vocab_size) for level, count in contexts_of_each), vocab_size
    )


@dataclass
class _Counted:
    """The n-grams of one length with their counts, and whether each begins a document."""

    codes: Places
    counts: Places
    initial: NDArray[np.bool_]

    def adjust(self, suffixes: Places) -> None:
        """Count what is before each n-gram instead: `suffixes` holds its number once for each longer one."""
        before = np.bincount(suffixes, minlength=len(self.counts))
        self.counts = np.where(self.initial, self.counts, before)

    def discounted(self, contexts: int, vocab_size: int) -> Order:
        discounts = np.array([0.0, *_discounts(self.counts)])[np.minimum(self.counts, 3)]
        owners = self.codes // vocab_size
        totals = np.bincount(owners, self.counts, minlength=contexts)
        taken = np.bincount(owners, discounts, minlength=contexts)
        left = np.divide(taken, totals, out=np.ones(contexts), where=totals > 0)
        return Order(self.codes, (self.counts - discounts) / np.maximum(totals, 1)[owners], left)


def _discounts(counts: Places) -> tuple[float, ...]:
    """Estimate the discounts of n-grams that were counted once, twice or more (Chen and Goodman 1999)."""
    once, twice, thrice, often = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (once and twice and thrice and often):
        return _FALLBACK
    share = once / (once + 2 * twice)
    found = (
        1 - 2 * share * twice / once,
        2 - 3 * share * thrice / twice,
        3 - 4 * share * often / thrice,
    )
    return tuple(
        discount if 0 < discount < count else fallback
        for count, discount, fallback in zip((1, 2, 3), found, _FALLBACK, strict=True)
    )


def _charged(tokens: Tokens, documents: Places) -> tuple[Places, NDArray[np.bool_]]:
    """Return a text with an EOS before each document, and which of it are the tokens of the stream."""
    closed, added = close_documents(tokens, documents)
    text = np.concatenate([[EOS_ID], closed]).astype(np.int64)
    charged = np.ones(len(text), dtype=bool)
    charged[0] = charged[added + 1] = False
    return text, charged


def _longer(
    text: Places, numbers: Places, length: int, charged: NDArray[np.bool_]
) -> tuple[Places, NDArray[np.bool_]]:
    """Return the numbers of the contexts of one token more before each token, and where there is one.

    A context may begin with EOS, but holds none within: it then belongs to another document.
    """
    contexts = np.append(_ABSENT, numbers[:-1])
    known = charged & (contexts != _ABSENT)
    if length > 0:
        known &= np.append(EOS_ID, text[:-1]) != EOS_ID
    return contexts, known


def _find(codes: Places, wanted: Places, known: NDArray[np.bool_]) -> Places:
    """Return the numbers of codes where they are known, else _ABSENT."""
    numbers = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(known & (codes[numbers] == wanted), numbers, _ABSENT)

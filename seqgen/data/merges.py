"""Merges of note tokens: frequent pairs, each as one token (Gage 1994, Sennrich et al. 2016).

The library that learns and applies them reads text, so every id stands for one character. No merge reaches
over a bar line, where an encoding has bars: a merged token may begin a bar, but none has one inside.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import UNK_ID, Ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Merge = tuple[int, int, int]
"""The ids of a pair, and of the token that it becomes."""
JOINT = "+"
"""Between the names of what a merged token is made of."""

_FIRST = 0x10000  # beyond the surrogates, which no text may hold
_LEAST_COUNT = 2
_SINGLE = frozenset({0, 1})  # EOS and unknown tokens stay by themselves


class Merges:
    """Merges that were learned, in their order.

    Args:
        merges: In the order in which they are applied.
        size: Of the vocabulary.
    """

    def __init__(self, merges: Sequence[Merge], size: int) -> None:
        self._merges = merges
        self._size = size

    @cached_property
    def parts(self) -> list[tuple[int, ...]]:
        """What each id is made of; of itself, if it is not merged."""
        parts: list[tuple[int, ...]] = [(number,) for number in range(self._size)]
        for left, right, merged in self._merges:
            parts[merged] = parts[left] + parts[right]
        return parts

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer
        from tokenizers.models import BPE

        texts = [_text(np.array(part)) for part in self.parts]
        pairs = [(texts[left], texts[right]) for left, right, _ in self._merges]
        return Tokenizer(BPE({text: number for number, text in enumerate(texts)}, pairs))

    def apply(self, ids: Ids) -> Ids:
        """Return ids with all pairs merged."""
        return np.array(self._tokenizer.encode(_text(ids)).ids, dtype=np.uint32)

    def undo(self, ids: NDArray[np.unsignedinteger]) -> tuple[Ids, NDArray[np.int64]]:
        """Return what ids are made of, (M,), and the place in `ids` that each came from, (M,)."""
        lengths = np.array([len(part) for part in self.parts])
        starts = np.cumsum(lengths) - lengths
        flat = np.array([number for part in self.parts for number in part], dtype=np.uint32)
        counts = lengths[ids]
        places = np.repeat(np.arange(len(ids)), counts)
        inside = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return flat[starts[ids][places] + inside], places


def learn_merges(
    tunes: Iterable[Ids], count: int, *, size: int, begins_bar: NDArray[np.bool_]
) -> list[Merge]:
    """Merge the most frequent pair, so many times; fewer if no pair occurs twice.

    Args:
        tunes: The ids of every tune to learn from.
        count: How many tokens to add.
        size: Of the vocabulary; the first token to be added gets this id.
        begins_bar: Whether an id begins a bar, (V,).
    """
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    alphabet = [number for number in range(size) if number not in _SINGLE]
    trainer = BpeTrainer(
        vocab_size=len(alphabet) + count,
        min_frequency=_LEAST_COUNT,
        initial_alphabet=[chr(_FIRST + number) for number in alphabet],
        show_progress=False,
    )
    tokenizer = Tokenizer(BPE())
    tokenizer.train_from_iterator((_bars(ids, begins_bar) for ids in tunes), trainer)
    known = {chr(_FIRST + number): number for number in range(size)}
    merges = []
    for left, right in json.loads(tokenizer.to_str())["model"]["merges"]:
        merged = known.setdefault(left + right, len(known))
        merges.append((known[left], known[right], merged))
    return merges


def _bars(ids: Ids, begins_bar: NDArray[np.bool_]) -> list[str]:
    """Return the text of every bar; unknown tokens are cut out."""
    unknown = ids == UNK_ID
    cuts = np.flatnonzero(begins_bar[ids] | unknown | np.append(False, unknown[:-1])).tolist()
    text = _text(ids)
    pieces = (text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
    return [piece for piece in pieces if piece and piece[0] != chr(_FIRST + UNK_ID)]


def _text(ids: NDArray[np.integer]) -> str:
    return (ids.astype("<u4") + np.uint32(_FIRST)).astype("<u4").tobytes().decode("utf-32-le")


def merged_names(names: Sequence[str], merges: Iterable[Merge]) -> Iterator[str]:
    """Yield the names of the tokens that merges add, such as Pitch_60+Duration_1.0.12."""
    known = list(names)
    for left, right, merged in merges:
        if merged == len(known):
            known.append(f"{known[left]}{JOINT}{known[right]}")
            yield known[-1]

"""How much of a text is copied: for every place in it the longest stretch that the training part holds.

A match never crosses the edge of a document, and a symbol that is not in the vocabulary matches nothing.
Notes are compared by intervals, so a transposed copy is one (see `seqgen.music.intervals`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from seqgen.data.index import TokenIndex
from seqgen.data.notes import NoteTokenizer
from seqgen.data.suffixes import (
    Places,
    SuffixArray,
    Tokens,
    close_documents,
    ensure_suffixes,
    sort_suffixes,
)
from seqgen.data.tokenizers import Tokenizer
from seqgen.kernels.suffixes import NOWHERE, longest_suffixes
from seqgen.music.intervals import UNKNOWN, IntervalReader

UNITS = {"char": "characters", "byte": "bytes", "note": "notes", "word": "words", "subword": "tokens"}
LEAST = {"char": 32, "byte": 32, "note": 10, "word": 8, "subword": 12}
"""From which length on a match counts as a copy, by level: few matches by chance are as long."""

_CHUNK = 1 << 24


class Place(NamedTuple):
    """A place in the training part: the number of a document, its title if it has one, and the line.

    Documents and lines count from 1; `offset` is how many tokens of the document come before.
    """

    document: int
    offset: int
    title: str
    line: int


class Copy(NamedTuple):
    """A stretch of `length` symbols from `start` that also stands in the training part, at `source`."""

    start: int
    length: int
    source: int


@dataclass(frozen=True)
class Novelty:
    """What was found for S symbols: characters, words, notes ..., ends of documents left out.

    Attributes:
        places: Where each symbol stands in the tokens that were read, (S,).
        lengths: The length of the longest match that begins with it, (S,); 0 if it occurs nowhere.
        sources: Where that match stands in the text of the suffix array, (S,); -1 for none.
    """

    places: Places
    lengths: Places
    sources: Places

    @cached_property
    def maximal(self) -> list[Copy]:
        """The matches that are not a part of one that begins earlier, in order."""
        ends = np.arange(len(self.lengths)) + self.lengths
        starts = np.flatnonzero((ends > np.append(0, ends[:-1])) & (self.lengths > 0))
        columns = (starts, self.lengths[starts], self.sources[starts])
        return [Copy(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def longest(self, count: int, *, least: int = 1) -> list[Copy]:
        """Return the longest matches of at least that length, longest first, none overlapping another."""
        chosen: list[Copy] = []
        for copy in sorted(self.maximal, key=lambda copy: (-copy.length, copy.start)):
            if len(chosen) == count or copy.length < least:
                break
            if all(copy.start >= c.start + c.length or c.start >= copy.start + copy.length for c in chosen):
                chosen.append(copy)
        return chosen

    def cover(self, least: int) -> Places:
        """Return the length of the longest match of at least `least` that each symbol is in, (S,), else 0."""
        cover = np.zeros(len(self.lengths), dtype=np.int64)
        for copy in sorted(self.maximal, key=lambda copy: copy.length):
            if copy.length >= least:
                cover[copy.start : copy.start + copy.length] = copy.length
        return cover

    def share(self, least: int) -> float:
        """Return the share of symbols that are in matches of at least that length; 0 of none."""
        return float(np.mean(self.cover(least) > 0)) if len(self.lengths) else 0.0


@dataclass(frozen=True)
class Originals:
    """The training part of an index, in which copies are looked for.

    Attributes:
        suffixes: Of its symbols: token ids, or for notes ranks of their intervals.
        read: Turns token ids into symbols that compare with those, and says where each stands.
        places: Where each symbol stands in the closed text of the index; None where symbols are tokens.
    """

    index: TokenIndex
    suffixes: SuffixArray
    read: Callable[[Tokens], tuple[Places, Places]]
    places: Places | None = None

    def compare(self, tokens: Tokens, documents: Places) -> Novelty:
        """Find for every symbol of a stream of documents the longest match that begins with it."""
        text, added = close_documents(tokens, documents)
        query, places = self.read(text)
        size = len(query) + 1
        starts, lows, highs, hits = (np.zeros(size, dtype=np.int64) for _ in range(4))
        state = np.array([0, 0, len(self.suffixes.order)])
        query = np.append(query, NOWHERE)
        array = (self.suffixes.text, self.suffixes.order)
        longest_suffixes(*array, query, 0, size, state, starts, lows, highs, hits)
        symbols = np.flatnonzero(query[:-1] != 0)
        ends = np.searchsorted(starts, symbols, side="right") - 1  # the last that a match from here reaches
        lengths = ends - symbols
        found = lengths > 0
        ends = np.where(found, ends, 0)
        order = self.suffixes.order
        first = order[lows[ends[found]]] + (symbols - starts[ends])[found]
        sources = np.full(len(symbols), -1, dtype=np.int64)
        sources[found] = first
        places = places[symbols]
        return Novelty(places - np.searchsorted(added, places), lengths, sources)

    def coordinates(self, sources: Places) -> tuple[Places, Places]:
        """Return the documents, from 0, that places in the text of the suffix array are in.

        Returns:
            The numbers of the documents and how many tokens of theirs come before, both -1 where it is.
        """
        stream = sources if self.places is None else self.places[sources]
        stream = self.suffixes.stream_places(stream)
        documents = self.index.documents("train")
        numbers = np.searchsorted(documents, stream, side="right") - 1
        nowhere = sources < 0
        return np.where(nowhere, -1, numbers), np.where(nowhere, -1, stream - documents[numbers])

    def locate(self, sources: Sequence[int]) -> list[Place]:
        """Tell where places in the text of the suffix array are: document, title, line."""
        numbers, offsets = self.coordinates(np.array(sources, dtype=np.int64))
        begins = np.asarray(self.index.documents("train"))[numbers]
        lines = self._lines(begins, begins + offsets)
        titles = self.index.titles("train")
        return [
            Place(number + 1, offset, titles[number] if titles else "", line)
            for number, offset, line in zip(numbers.tolist(), offsets.tolist(), lines, strict=True)
        ]

    def _lines(self, begins: Places, places: Places) -> list[int]:
        """Count the line ends between the beginning of each document and a place in it, and one."""
        tokenizer, tokens = self.index.tokenizer, self.index.tokens("train")
        if tokenizer.modality == "music":
            return [1] * len(places)
        breaks = {
            number: count
            for number in range(1, len(tokenizer.tokens))
            if (count := _breaks(tokenizer, number))
        }
        lines = []
        for begin, place in zip(begins.tolist(), places.tolist(), strict=True):
            spans = (tokens[at : min(at + _CHUNK, place)] for at in range(begin, place, _CHUNK))
            counts = (
                count * int(np.count_nonzero(span == number))
                for span in spans
                for number, count in breaks.items()
            )
            lines.append(1 + sum(counts))
        return lines


def _breaks(tokenizer: Tokenizer, number: int) -> int:
    return str(tokenizer.decode([number])).count("\n")


def open_originals(index: TokenIndex, *, notify: Callable[[str], None] = lambda message: None) -> Originals:
    """Make the training part of an index ready to look for copies of it.

    Args:
        index: The index. Its suffix array is made if it has none; that of intervals, which notes need, is
            made every time.
        notify: Called with one line if the suffix array has to be made and kept.
    """
    tokenizer = index.tokenizer
    if tokenizer.level != "note":
        unknown = tokenizer.unk_id

        def read(tokens: Tokens) -> tuple[Places, Places]:
            query = tokens.astype(np.int64)
            if unknown is not None:
                query[query == unknown] = NOWHERE
            return query, np.arange(len(query))

        return Originals(index, ensure_suffixes(index, notify=notify), read)
    read_intervals = _interval_reader(tokenizer)
    text, added = close_documents(index.tokens("train"), index.documents("train"))
    codes, places = read_intervals(text)
    known = np.unique(np.append(codes, 0))  # EOS first
    ranks = np.searchsorted(known, codes).astype(np.uint32)

    def read_notes(tokens: Tokens) -> tuple[Places, Places]:
        codes, places = read_intervals(tokens)
        ranks = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        return np.where((known[ranks] == codes) & (codes != UNKNOWN), ranks, NOWHERE), places

    return Originals(index, SuffixArray(ranks, sort_suffixes(ranks), added), read_notes, places)


def _interval_reader(tokenizer: Tokenizer) -> Callable[[Tokens], tuple[Places, Places]]:
    """Return what reads the notes of a text; several may stand at the place of one merged token."""
    if not isinstance(tokenizer, NoteTokenizer) or tokenizer.merges is None:
        return IntervalReader(tokenizer.tokens).read
    undo, parts = tokenizer.merges.undo, tokenizer.merges.parts
    names = zip(tokenizer.tokens, parts, strict=True)
    reader = IntervalReader([name if len(part) == 1 else "" for name, part in names])

    def read(tokens: Tokens) -> tuple[Places, Places]:
        single, origins = undo(tokens)
        codes, places = reader.read(single)
        return codes, origins[places]

    return read

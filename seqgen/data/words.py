"""Words: text cut so that its tokens, one after the other, are the text again.

A token is a word, a punctuation mark or a line end, each with the one space before it, if any; other white
space makes tokens of its own. Words keep inner apostrophes (don't), a Han character is a word, and marks such
as ... and -- are one token. Text that was split at spaces already, as WikiText-2 is, is cut at white space
alone, so that each of its words (@-@, U.S., <unk>) stays whole.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from seqgen.data.tokenizers import (
    REPLACEMENT,
    UNK_ID,
    Ids,
    StreamDecoder,
    TokenStream,
    VocabTokenizer,
    as_text,
    prepare,
)

if TYPE_CHECKING:
    from seqgen.data.tokenizers import Content

HAN = "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
APOSTROPHES = "'’"
REPEATED = ".-=*#~!?"
"""Marks of which a run is one token; all of them ASCII."""

_RUNS = "|".join(re.escape(mark) + "+" for mark in REPEATED)
_ASCII_WORDS = re.compile(rf" ?(?:\w+(?:'\w+)*|\n|{_RUNS}|[^\w\s])|[^\S\n]+")
_SPACED = re.compile(r" ?(?:\S+|\n)|[^\S\n]+")
_MARKS_END = 0x1F000
_LATE_MARKS = "\U000e0100-\U000e01ef"


@lru_cache(maxsize=1)
def word_class() -> str:
    r"""Return what words are made of, Han included, as a character class without brackets.

    Python's `\w` lacks combining marks, without which Hindi or Thai words would fall to pieces.
    """
    marks = [point for point in range(0x300, _MARKS_END) if unicodedata.category(chr(point))[0] == "M"]
    return r"\w" + _as_ranges(marks) + _LATE_MARKS


def _as_ranges(points: list[int]) -> str:
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@lru_cache(maxsize=1)
def _any_words() -> re.Pattern[str]:
    word = f"(?:[{word_class()}](?<![{HAN}]))+"
    mark = rf"[^{word_class()}\s]"
    return re.compile(rf" ?(?:{word}(?:[{APOSTROPHES}]{word})*|\n|[{HAN}]|{_RUNS}|{mark})|[^\S\n]+")


def cut_words(text: str, scheme: str) -> list[str]:
    """Cut a text into tokens that add up to it; `scheme` is `words` or `spaces`."""
    if scheme == "spaces":
        return _SPACED.findall(text)
    return (_ASCII_WORDS if text.isascii() else _any_words()).findall(text)


def is_split_at_spaces(text: str) -> bool:
    """Tell whether a tool has put spaces around punctuation, as in `the end , he said .`."""
    apart = len(re.findall(r"\s[,.](?=\s)", text))
    joined = len(re.findall(r"\w[,.](?=\s)", text))
    return apart >= 20 and apart > 9 * joined


class WordTokenizer(VocabTokenizer):
    """One id a word; what is not in the vocabulary is `<unk>`, together with the space before it."""

    @property
    def scheme(self) -> str:
        """`words` or `spaces`: where texts are cut."""
        return str(self.vocab.options["words"])

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens) if number > UNK_ID}

    @cached_property
    def _surface(self) -> list[str]:
        return ["", REPLACEMENT, *self.tokens[2:]]

    def encode(self, content: "Content") -> Ids:
        """Return the id of every token of the normalised text."""
        tokens = cut_words(prepare(as_text(content), self.vocab.options), self.scheme)
        known = self._ids
        return np.array([known.get(token, UNK_ID) for token in tokens], dtype=np.uint32)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text; an `<unk>` shows as U+FFFD."""
        return "".join([self._surface[i] for i in ids])

    def stream(self) -> StreamDecoder:
        """Begin to decode id by id."""
        return TokenStream(self._surface)

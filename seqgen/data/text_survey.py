"""A text corpus looked over before any training: what it is made of, and what in it looks like a mistake."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from seqgen.data.blocks import Block, pieces
from seqgen.data.corpus import Corpus
from seqgen.data.readers import UnreadableError

_LENGTHS = (20, 50, 100, 200, 1000, 5000)
"""Where the classes of the histogram of line lengths, in characters, end."""
_KINDS = {"L": "letters", "M": "marks", "N": "digits", "P": "punctuation", "S": "symbols", "Z": "spaces"}
_RARE = 5
"""Characters that appear fewer times are rare: a model learns nothing about them."""
_WORTH_TELLING = 20
"""Characters a line must have for its coming again to be told."""


@dataclass
class TextSurvey:
    """What a text is made of.

    Attributes:
        chars: How often each character appears; line ends do not count.
        places: Where each character appears first.
        longest: The length of the longest line, and its place.
        lengths: How many lines there are of each length in characters.
        repeats: For each hash of a line that is not short, its first place, its text and its count.
        unnormalized: The places of lines that normalisation to NFC changes.
    """

    corpus: Corpus
    documents: int = 0
    line_count: int = 0
    empty: int = 0
    longest: tuple[int, str] = (0, "")
    chars: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    repeats: dict[bytes, list[Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    unnormalized: list[str] = field(default_factory=list)

    def read_line(self, line: str, place: str) -> None:
        """Take one line, without its line end, into account."""
        self.line_count += 1
        self.empty += not line.strip()
        self.longest = max(self.longest, (len(line), place), key=lambda found: found[0])
        self.lengths[len(line)] += 1
        for char in set(line) - self.places.keys():
            self.places[char] = place
        self.chars.update(line)
        if not unicodedata.is_normalized("NFC", line):
            self.unnormalized.append(place)
        if len(line.strip()) >= _WORTH_TELLING:
            digest = blake2b(line.strip().encode(), digest_size=8).digest()
            self.repeats.setdefault(digest, [place, line.strip(), 0])[2] += 1

    def faults(self) -> list[str]:
        """Say what looks like a mistake, with the place where it is first met."""
        return [*self._odd_characters(), *self._normalization()]

    def _odd_characters(self) -> Iterator[str]:
        for char, count in self.chars.items():
            what = _oddness(char)
            if what:
                yield f"{self.places[char]}: {what} (U+{ord(char):04X}), {_times(count)}"

    def _normalization(self) -> Iterator[str]:
        if self.unnormalized:
            yield (
                f"{self.unnormalized[0]}: characters in parts that NFC joins, in {len(self.unnormalized):,} "
                "lines; seqgen joins them unless told --normalize none"
            )

    def repeated(self) -> list[tuple[str, str, int]]:
        """Return place, text and count of the lines that come again, the most frequent first."""
        again = [(place, text, count) for place, text, count in self.repeats.values() if count > 1]
        return sorted(again, key=lambda found: (-found[2], found[0]))

    def rare(self) -> list[str]:
        """Return the characters that appear too seldom to be learnt."""
        return [char for char, count in self.chars.items() if count < _RARE]

    def histograms(self) -> dict[str, dict[str, int]]:
        """Return how many lines there are of each length, and characters of each kind."""
        kinds: Counter[str] = Counter()
        for char, count in self.chars.items():
            kinds[_KINDS.get(unicodedata.category(char)[0], "others")] += count
        return {
            "characters a line": _classes(self.lengths),
            "kinds of characters": dict(kinds.most_common()),
            "characters": {_shown(char): count for char, count in self.chars.most_common()},
        }

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        repeated = self.repeated()
        return {
            **self.corpus.report(),
            "documents": self.documents,
            "lines": self.line_count,
            "empty_lines": self.empty,
            "characters": self.chars.total(),
            "distinct_characters": len(self.chars),
            "rare_characters": [_shown(char) for char in self.rare()],
            "longest_line": {"characters": self.longest[0], "place": self.longest[1]},
            "faults": self.faults(),
            "repeated_lines": sum(count - 1 for _, _, count in repeated),
            "repeated": [{"place": place, "text": text, "times": count} for place, text, count in repeated],
            "histograms": self.histograms(),
        }


def survey_text(corpus: Corpus) -> TextSurvey:
    """Read every line of a text corpus; what cannot be read is noted in the corpus.

    Raises:
        CorpusError: If nothing is left.
    """
    survey = TextSurvey(corpus)
    for source in list(corpus.sources):
        try:
            _read(survey, source.name, corpus.blocks(source))
        except UnreadableError as error:
            corpus.drop(source, error)
    corpus.require_content(survey.documents)
    return survey


def _read(survey: TextSurvey, name: str, blocks: Iterator[Block]) -> None:
    number, held = 1, ""
    for block in blocks:
        for index, piece in enumerate(pieces(block)):
            if index or block.begins:
                survey.documents += 1
                if held:
                    survey.read_line(held, f"{name}:{number}")
                    number, held = number + 1, ""
            *lines, held = (held + piece.decode()).split("\n")
            for line in lines:
                survey.read_line(line, f"{name}:{number}")
                number += 1
    if held:
        survey.read_line(held, f"{name}:{number}")


def _oddness(char: str) -> str | None:
    """Say what is suspicious about a character, None if nothing is."""
    if char == "\ufffd":
        return "a replacement character: the text was once read in a wrong encoding"
    if char == "\ufeff":
        return "a byte order mark within the text"
    category = unicodedata.category(char)
    if category == "Cc" and char != "\t":
        return "a control character"
    return {"Co": "a private character", "Cn": "an unassigned character"}.get(category)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _shown(char: str) -> str:
    return char if char.isprintable() and char != " " else f"U+{ord(char):04X}"


def _classes(lengths: Mapping[int, int]) -> dict[str, int]:
    ends = (0, *_LENGTHS)
    names = [
        "0",
        *(f"{low + 1}-{high}" for low, high in zip(ends, _LENGTHS, strict=False)),
        f"{ends[-1] + 1}-",
    ]
    counts = dict.fromkeys(names, 0)
    for length, count in lengths.items():
        counts[names[sum(length > end for end in ends)]] += count
    return counts

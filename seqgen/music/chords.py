"""Chord symbols, such as F#m7/C#: what is written above a tune for those who accompany it."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from seqgen.music.notation import Chord
from seqgen.music.pieces import Note
from seqgen.music.tuplets import is_odd

_SPELLINGS = {
    "": "maj M",
    "m": "min mi -",
    "aug": "+",
    "dim": "o ° d",
    "5": "",
    "sus2": "",
    "sus4": "sus",
    "add9": "add2",
    "6": "maj6 M6",
    "m6": "min6 -6",
    "69": "6add9",
    "7": "",
    "maj7": "M7 Maj7 ma7 Δ",
    "m7": "min7 mi7 -7",
    "mmaj7": "mM7 m(maj7) m#7",
    "aug7": "+7 7+ 7#5",
    "dim7": "o7 °7 d7",
    "m7b5": "ø ø7 m7-5",
    "7b5": "7-5",
    "7b9": "7-9",
    "7#9": "7+9",
    "7sus4": "7sus",
    "9": "",
    "maj9": "M9",
    "m9": "min9",
    "11": "",
    "maj11": "M11",
    "m11": "min11",
    "13": "",
    "maj13": "M13",
    "m13": "min13",
}
"""What may follow the root, and how else people write it."""
KINDS = tuple(_SPELLINGS)
"""Each in the one spelling used here; nothing is a major triad."""
_ALIASES = {other: kind for kind, others in _SPELLINGS.items() for other in others.split()}
_SYMBOL = re.compile(r"([A-G])([#b♯♭]?)([^/]*?)(?:/([A-Ga-g])([#b+♯♭]?))?,*")
_SIGNS = {"": "", "#": "#", "+": "#", "♯": "#", "b": "b", "♭": "b"}


@dataclass(frozen=True, slots=True)
class ChordSymbol:
    """A root such as F#, one of KINDS, and the bass where it is not the root."""

    root: str
    kind: str = ""
    bass: str = ""

    @property
    def name(self) -> str:
        """The name, such as F#m7/C#."""
        return f"{self.root}{self.kind}" + (f"/{self.bass}" if self.bass else "")


ChordSymbols = tuple[tuple[Fraction, ChordSymbol], ...]
"""Onsets and what is written there, in time order, one at a time."""


@lru_cache(maxsize=4096)
def read_chord_symbol(text: str) -> ChordSymbol | None:
    """Read a chord symbol as people write them, `Amin7`, `F#d` or `D/f+`; None if it is none."""
    match = _SYMBOL.fullmatch("".join(text.split()))
    if match is None:
        return None
    kind = _ALIASES.get(match[3], match[3])
    if kind not in KINDS:
        return None
    root = match[1] + _SIGNS[match[2]]
    bass = match[4].upper() + _SIGNS[match[5]] if match[4] else ""
    return ChordSymbol(root, kind, "" if bass == root else bass)


def parse_chord_symbol(name: str) -> ChordSymbol:
    """Read a name such as F#m7/C#, the inverse of `ChordSymbol.name`.

    Raises:
        ValueError: If it is none.
    """
    symbol = read_chord_symbol(name)
    if symbol is None or symbol.name != name:
        raise ValueError(f"{name!r} is no chord symbol")
    return symbol


def tidy_symbols(symbols: Iterable[tuple[Fraction, ChordSymbol]]) -> ChordSymbols:
    """Order chord symbols in time, and keep the first of several at once."""
    first: dict[Fraction, ChordSymbol] = {}
    for onset, symbol in symbols:
        first.setdefault(onset, symbol)
    return tuple(sorted(first.items(), key=lambda pair: pair[0]))


def symbol_places(line: Sequence["Note | Chord"], symbols: ChordSymbols) -> dict[Fraction, ChordSymbol]:
    """Return where symbols stand if they must stand at notes: a note may be cut for one, but not in a tuplet.

    Args:
        line: Notes and rests that follow one another.
        symbols: Of the piece.
    """
    onsets, in_tuplet, left = [note.onset for note in line], [], 0
    for note in line:
        left = note.tuplet.count if note.tuplet is not None else left - 1
        in_tuplet.append(left > 0)
    found: dict[Fraction, ChordSymbol] = {}
    for at, symbol in symbols:
        number = bisect_right(onsets, at) - 1
        if number < 0 or at >= line[number].end:
            continue
        onset, end = line[number].onset, line[number].end
        is_fixed = in_tuplet[number] or is_odd(at - onset) or is_odd(end - at)
        found.setdefault(onset if is_fixed else at, symbol)
    return found


def cut_at_symbols(
    notes: Sequence[Note], symbols: ChordSymbols
) -> tuple[tuple[Note, ...], dict[Fraction, ChordSymbol]]:
    """Return a single line with a note or rest at every chord symbol, for which notes are cut, and where."""
    places = symbol_places(notes, symbols)
    times = sorted(places)
    cut = []
    for note in notes:
        inside = times[bisect_right(times, note.onset) : bisect_right(times, note.end)]
        for start, end in pairwise([note.onset, *(at for at in inside if at < note.end), note.end]):
            tie = note.tie if end == note.end else note.pitch is not None
            is_whole = end - start == note.duration
            cut.append(note if is_whole else replace(note, onset=start, duration=end - start, tie=tie))
    return tuple(cut), places

"""What is done to pieces before they are written as tokens, and which copies of them are made to train on."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from seqgen.errors import ConfigError, CorpusError
from seqgen.music.pieces import Part, Piece
from seqgen.music.transposing import KEYS, in_c

ALL_PARTS = "all"
_OVERLAP = Fraction(1, 8)
"""Quarters that a note of a single line, where it was played, may reach into the next."""
_FURTHEST = 24
_SLOWEST = Fraction(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is done to every piece of a corpus.

    Attributes:
        parts: `all`, `melody`, `bass`, or names or numbers of parts with commas between.
        in_c: Whether it is moved to the key without signs.
    """

    parts: str = ALL_PARTS
    in_c: bool = False

    def apply(self, piece: Piece) -> Piece:
        """Return the prepared piece.

        Raises:
            CorpusError: If it has no such part.
        """
        piece = choose_parts(piece, self.parts)
        return in_c(piece) if self.in_c else piece


AS_IT_IS = Preparation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Which copies of its tunes the training part gets.

    Attributes:
        shifts: Semitones, 0 for the tune as it is.
        within_range: Whether only copies that stay between the lowest and highest note of the part, in
            every voice where the encoding tells them apart, are made.
        factors: What durations are multiplied by, 1 for the tune as it is.
    """

    shifts: tuple[int, ...] = (0,)
    within_range: bool = False
    factors: tuple[Fraction, ...] = (Fraction(1),)

    def __bool__(self) -> bool:
        return len(self.shifts) * len(self.factors) > 1


def parse_preparation(
    transpose: str | None, stretch: str | None, parts: str
) -> tuple[Preparation, Variation]:
    """Read the settings of a corpus of music.

    Args:
        transpose: `all`, `C`, or a range of semitones such as -3:3.
        stretch: Factors such as 1/2,2.
        parts: See `Preparation`.

    Raises:
        ConfigError: If one of them is none of these.
    """
    shifts = (0,) if transpose in (None, "C") else _parse_shifts(transpose or "")
    factors = () if stretch is None else _parse_factors(stretch)
    return Preparation(parts=parts, in_c=transpose == "C"), Variation(
        shifts=shifts, within_range=transpose == "all", factors=(Fraction(1), *factors)
    )


def _parse_shifts(text: str) -> tuple[int, ...]:
    if text == "all":
        return tuple(KEYS)
    found = re.fullmatch(r"([+-]?\d{1,2}):([+-]?\d{1,2})", text)
    low, high = (int(found[1]), int(found[2])) if found else (1, 0)
    if not -_FURTHEST <= low <= high <= _FURTHEST:
        raise ConfigError(
            f"--transpose {text}: expected all, C, or semitones such as -3:3, at most {_FURTHEST} either way"
        )
    return tuple(sorted({0, *range(low, high + 1)}))


def _parse_factors(text: str) -> tuple[Fraction, ...]:
    try:
        factors = {Fraction(part.strip()) for part in text.split(",")}
    except (ValueError, ZeroDivisionError):
        factors = set()
    if not factors or not all(1 / _SLOWEST <= factor <= _SLOWEST for factor in factors):
        raise ConfigError(
            f"--stretch {text}: expected factors between 1/{_SLOWEST} and {_SLOWEST}, such as 1/2,2"
        )
    return tuple(sorted(factors - {Fraction(1)}))


def choose_parts(piece: Piece, wanted: str) -> Piece:
    """Return a piece with some of its parts.

    `melody` is the highest single line (by its mean pitch), `bass` the lowest part; drums are neither.

    Raises:
        CorpusError: If there is none like that.
    """
    if wanted == ALL_PARTS:
        return piece
    if wanted in ("melody", "bass"):
        pitched = [part for part in piece.parts if not part.is_drum and mean_pitch(part) is not None]
        if wanted == "melody":
            pitched = [part for part in pitched if is_single_line(part)]
        if not pitched:
            raise CorpusError(f"it has no {'single line' if wanted == 'melody' else 'pitched part'}")
        choose = max if wanted == "melody" else min
        return replace(piece, parts=(choose(pitched, key=lambda part: mean_pitch(part) or 0),))
    return replace(piece, parts=tuple(_find_part(piece, name.strip()) for name in wanted.split(",")))


def _find_part(piece: Piece, name: str) -> Part:
    for number, part in enumerate(piece.parts, start=1):
        if name in (str(number), part.name) or name.casefold() == part.name.casefold():
            return part
    known = ", ".join(f"{number} {part.name}".strip() for number, part in enumerate(piece.parts, start=1))
    raise CorpusError(f"it has no part {name}; its parts are {known}")


def mean_pitch(part: Part) -> Fraction | None:
    """Return the mean of the MIDI notes of a part, None if it has none."""
    pitches = [note.pitch.midi for note in part.notes if note.pitch is not None]
    return Fraction(sum(pitches), len(pitches)) if pitches else None


def is_single_line(part: Part) -> bool:
    """Say whether no two notes of a part sound together, but for the edges of notes that were played."""
    notes = [note for note in part.notes if note.pitch is not None]
    return all(
        after.onset > before.onset and after.onset >= before.end - _OVERLAP
        for before, after in pairwise(notes)
    )

"""The symbols of a score: one note sign each, with ties and tuplets said outright, and as music21 objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from seqgen.music.notation import Chord, split_chords, symbol_lengths
from seqgen.music.pieces import Pitch
from seqgen.music.tuplets import is_odd, odd_part

_SIGNS = {-2: "--", -1: "-", 0: "", 1: "#", 2: "##"}
_SHORTEST = Fraction(1, 256)
_LARGEST_TUPLET = 15


class UnwritableError(ValueError):
    """A duration that no note sign, dotted or in a tuplet, can express."""


@dataclass(slots=True)
class Symbol:
    """A chord or rest of one sign. `written` is its length before `actual`:`normal` shortens it."""

    onset: Fraction
    duration: Fraction
    pitches: tuple[Pitch, ...]
    tied_on: tuple[bool, ...]
    tied_back: tuple[bool, ...]
    written: Fraction
    actual: int = 1
    normal: int = 1
    bracket: str = ""
    """`start` or `stop` at the ends of a tuplet's bracket."""


def symbols_of(line: Sequence[Chord], boundaries: Sequence[Fraction]) -> list[Symbol]:
    """Turn a line of chords into symbols, cut at boundaries.

    Raises:
        UnwritableError: If a duration cannot be written.
    """
    symbols: list[Symbol] = []
    left, ratio, held = 0, (1, 1), frozenset[Pitch]()
    for chord in split_chords(line, boundaries):
        opens = chord.tuplet is not None and chord.tuplet.count > 1
        if chord.tuplet is not None:
            left, ratio = chord.tuplet.count, (chord.tuplet.actual, chord.tuplet.normal)
        actual, normal = _ratio(chord.duration, ratio if left > 0 else (1, 1))
        signs, held = _cut(chord, actual, normal, held)
        if opens:
            signs[0].bracket = "start"
        elif left == 1 and symbols and chord.tuplet is None:
            signs[-1].bracket = "stop"
        left -= 1
        symbols += signs
    _close_brackets(symbols)
    return symbols


def _ratio(duration: Fraction, suggested: tuple[int, int]) -> tuple[int, int]:
    """Return the tuplet in which a duration can be written, the suggested one if it can."""
    if _is_plain(duration * suggested[0] / suggested[1]):
        return suggested
    actual = odd_part(duration.denominator)
    normal = 1 << (actual.bit_length() - 1)
    if actual > _LARGEST_TUPLET or not _is_plain(duration * actual / normal):
        raise UnwritableError(f"no sign for {duration} quarters")
    return actual, normal


def _is_plain(written: Fraction) -> bool:
    return not is_odd(written) and written >= _SHORTEST and written.denominator <= _SHORTEST.denominator


def _cut(
    chord: Chord, actual: int, normal: int, held: frozenset[Pitch]
) -> tuple[list[Symbol], frozenset[Pitch]]:
    signs: list[Symbol] = []
    time = chord.onset
    lengths = symbol_lengths(chord.duration * actual / normal)
    for index, written in enumerate(lengths):
        last = index == len(lengths) - 1
        duration = written * normal / actual
        on = chord.ties if last else (True,) * len(chord.pitches)
        back = tuple(pitch in held for pitch in chord.pitches)
        signs.append(Symbol(time, duration, chord.pitches, on, back, written, actual, normal))
        held = frozenset(pitch for pitch, tied in zip(chord.pitches, on, strict=True) if tied)
        time += duration
    return signs, held


def _close_brackets(symbols: Sequence[Symbol]) -> None:
    """Take away brackets that open and never close, as in a tuplet that the tune breaks off."""
    opened: Symbol | None = None
    for symbol in symbols:
        if symbol.bracket == "stop":
            symbol.bracket = "stop" if opened is not None else ""
            opened = None
        elif symbol.bracket == "start":
            if opened is not None:
                opened.bracket = ""
            opened = symbol
    if opened is not None:
        opened.bracket = ""


def music21_note(symbol: Symbol) -> Any:
    """Return a symbol as a music21 note, chord or rest."""
    from music21 import chord, note

    duration = _duration(symbol)
    if not symbol.pitches:
        return note.Rest(duration=duration)
    notes = []
    for pitch, on, back in zip(symbol.pitches, symbol.tied_on, symbol.tied_back, strict=True):
        sounding = note.Note(f"{pitch.step}{_SIGNS[pitch.alter]}{pitch.octave}", duration=duration)
        sounding.tie = _tie(on, back)
        notes.append(sounding)
    return notes[0] if len(notes) == 1 else chord.Chord(notes, duration=duration)


def _tie(on: bool, back: bool) -> Any:
    from music21 import tie

    return tie.Tie("continue" if on and back else "start" if on else "stop") if on or back else None


def _duration(symbol: Symbol) -> Any:
    from music21 import duration

    found = duration.Duration(quarterLength=symbol.written)
    if symbol.actual != symbol.normal:
        tuplet = duration.Tuplet(symbol.actual, symbol.normal, found.type)
        tuplet.type = symbol.bracket or None
        tuplet.bracket = bool(symbol.bracket)
        found.appendTuplet(tuplet)
    return found

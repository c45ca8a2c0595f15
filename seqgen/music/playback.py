"""A piece as it sounds: repeats played out, tied notes joined."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from seqgen.music.chords import ChordSymbol, ChordSymbols
from seqgen.music.pieces import Bar, Note, Piece, Pitch, tidy_changes, value_at

T = TypeVar("T")
_ZERO = Fraction(0)


def unfold(piece: Piece) -> Piece:
    """Return the piece with repeats and endings played out and ties joined; it has no bar lines any more."""
    spans = playback_spans(piece.bars, piece.duration)
    parts = tuple(replace(part, notes=join_ties(_unfold_notes(part.notes, spans))) for part in piece.parts)
    return replace(
        piece,
        parts=parts,
        keys=_unfold_changes(piece.keys, spans),
        meters=_unfold_changes(piece.meters, spans),
        tempos=_unfold_changes(piece.tempos, spans),
        bars=(),
        chords=_unfold_symbols(piece.chords, spans),
    )


def playback_spans(bars: Sequence[Bar], duration: Fraction) -> list[tuple[Fraction, Fraction]]:
    """Return the stretches of written time in the order in which they are played.

    A repeat goes back to the last `|:`, `:|`, `||` or `|]`, else to the start. Where its first ending begins,
    later times leave for the ending that follows the repeat sign.
    """
    spans = []
    section = here = _ZERO
    body_end: Fraction | None = None  # where the first ending of the section begins
    passes = 1  # how often the ending in hand is played
    for bar in bars:
        if bar.kind.startswith(":") and bar.onset > here:
            spans.append((here, bar.onset))
            for _ in range(passes - 1):
                spans += [
                    (section, body_end or bar.onset),
                    (here if body_end is None else body_end, bar.onset),
                ]
            spans.append((section, body_end if body_end is not None else bar.onset))
            here, passes = bar.onset, 1
        if bar.kind != "|" and not (bar.kind == ":|" and bar.ending):
            section, body_end = bar.onset, None
        if bar.ending:
            body_end = bar.onset if body_end is None else body_end
            passes = _count_passes(bar.ending)
    spans.append((here, duration))
    return [(start, end) for start, end in spans if start < end]


def _count_passes(ending: str) -> int:
    numbers = [int(number) for number in re.findall(r"\d+", ending)]
    if "-" in ending and len(numbers) == 2:
        return max(1, min(8, numbers[1] - numbers[0] + 1))
    return len(numbers) or 1


def _unfold_notes(notes: Iterable[Note], spans: Sequence[tuple[Fraction, Fraction]]) -> list[Note]:
    notes = list(notes)
    if len(spans) == 1:
        return notes
    played: list[Note] = []
    time = _ZERO
    for start, end in spans:
        shift = time - start
        played += [replace(note, onset=note.onset + shift) for note in notes if start <= note.onset < end]
        time += end - start
    return played


def _unfold_changes(
    changes: Sequence[tuple[Fraction, T]], spans: Sequence[tuple[Fraction, Fraction]]
) -> tuple[tuple[Fraction, T], ...]:
    if len(spans) == 1 or not changes:
        return tuple(changes)
    played: list[tuple[Fraction, T]] = []
    time = _ZERO
    for start, end in spans:
        before = value_at(changes, start)
        if before is not None:
            played.append((time, before))
        played += [(onset + time - start, value) for onset, value in changes if start < onset < end]
        time += end - start
    return tidy_changes(played)


def _unfold_symbols(symbols: ChordSymbols, spans: Sequence[tuple[Fraction, Fraction]]) -> ChordSymbols:
    played: list[tuple[Fraction, ChordSymbol]] = []
    time = _ZERO
    for start, end in spans:
        played += [(onset + time - start, symbol) for onset, symbol in symbols if start <= onset < end]
        time += end - start
    return tuple(played)


def join_ties(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Join each tied note with the note of the same pitch that takes it up."""
    if not any(note.tie for note in notes):
        return tuple(notes)
    joined: list[Note] = []
    held: dict[Pitch, int] = {}  # pitch -> index in joined of the note to prolong
    for note in notes:
        index = held.pop(note.pitch, None) if note.pitch is not None else None
        if index is not None and joined[index].end == note.onset:
            joined[index] = replace(joined[index], duration=note.end - joined[index].onset)
        else:
            index = len(joined)
            joined.append(replace(note, tie=False))
        if note.tie and note.pitch is not None:
            held[note.pitch] = index
    return tuple(joined)

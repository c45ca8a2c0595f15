"""A piece as it sounds: repeats played out, tied notes joined, at a tempo."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from seqgen.music.chords import ChordSymbol, ChordSymbols
from seqgen.music.pieces import Bar, Note, Piece, Pitch, tidy_changes, value_at

T = TypeVar("T")
DEFAULT_TEMPO = 120.0
"""Quarters a minute, as MIDI has it."""
JIG_BEATS, REEL_BEATS, HORNPIPE_BEATS = 116.0, 108.0, 80.0
"""Beats a minute that dancers are used to."""
_RUNNING, _DOTTED = 3, 0.2
"""Notes to a beat from which a line runs, and the share of them from which it is dotted."""
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


def played(piece: Piece) -> Piece:
    """Return the piece as `unfold` does, at the tempo usual for such a piece if it tells none."""
    sounding = unfold(piece)
    return sounding if piece.tempos else replace(sounding, tempos=((_ZERO, usual_tempo(piece)),))


def usual_tempo(piece: Piece) -> float:
    """Return the quarters a minute of a piece that tells no tempo, by its meter and its notes.

    In compound meters the beat is the dotted quarter of a jig. A single line that mostly has four notes to
    the half of a 4/4 or 2/2, or to the quarter of a 2/4, is a reel, or slower if many of them are dotted as
    in a hornpipe. All else goes at DEFAULT_TEMPO.
    """
    meter = value_at(piece.meters, _ZERO)
    if meter is None or not piece.duration:
        return DEFAULT_TEMPO
    if meter.is_compound:
        return JIG_BEATS * 12 / meter.unit
    beat = {Fraction(4): Fraction(2), Fraction(2): Fraction(1)}.get(meter.bar_quarters)
    if beat is None or len(piece.parts) > 1 or piece.note_count * beat < _RUNNING * piece.duration:
        return DEFAULT_TEMPO
    dotted = sum(note.duration == beat * 3 / 8 for note in piece.parts[0].notes)
    beats = HORNPIPE_BEATS if dotted >= _DOTTED * piece.note_count else REEL_BEATS
    return beats * float(beat)


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

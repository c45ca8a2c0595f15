"""Played pieces put on paper: times snapped to beats, bars ruled, notes cut and tied, a key to spell in.

A piece from MIDI or from the remi encoding has velocities and no bar lines; scores and melodies need them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from seqgen.music.chords import tidy_symbols
from seqgen.music.pieces import (
    Bar,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    Pitch,
    key_of_signature,
    spelling,
    tidy_bars,
    tidy_changes,
    value_at,
)
from seqgen.music.tuplets import is_odd, mark_tuplets

_ZERO = Fraction(0)
_GRIDS = ((Fraction(1, 4), 0.0), (Fraction(1, 3), 0.01), (Fraction(1, 8), 0.06), (Fraction(1, 6), 0.06))
"""Ways to divide a beat, and by how many quarters of total error each must be better to be chosen."""

_KEYBOARDS = 8
"""General MIDI programs below this are pianos and their kin."""

_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each semitone above the tonic fits a key (Krumhansl and Kessler 1982)."""


def was_played(piece: Piece) -> bool:
    """Say whether a piece needs transcribing: it has no bar lines, and some note has a velocity."""
    return not piece.bars and any(note.velocity is not None for part in piece.parts for note in part.notes)


def transcribe(piece: Piece) -> Piece:
    """Return a played piece as written music, a written one as it is.

    Each beat of each part is divided as its onsets suggest: into sixteenths, triplets, 32nds or sextuplets.
    """
    if not was_played(piece):
        return piece
    keys = piece.keys or ((_ZERO, find_key(piece)),)
    meters = tidy_changes(
        [(_ZERO, Meter(4, 4)), *((on_grid(at, Fraction(1, 4)), meter) for at, meter in piece.meters)]
    )
    snapped = [_snap_part(part) for part in piece.parts]
    end = max((note.end for notes in snapped for note in notes), default=_ZERO)
    bars = rule_bars(meters, end)
    lines = [bar.onset for bar in bars]
    first = value_at(keys, _ZERO)
    spelled = spelling(first.fifths if first is not None else 0)
    parts = []
    for part, notes in zip(piece.parts, snapped, strict=True):
        for hand in _hands(notes, part):
            cut = [cut for note in hand for cut in _cut_note(note, lines, spelled)]
            filled = _fill(sorted(cut, key=_order), lines, bars[-1].onset if bars else end)
            parts.append(replace(part, notes=mark_tuplets(filled, lines)))
    return replace(piece, parts=tuple(parts), keys=keys, meters=meters, bars=bars)


def cut_at_bars(piece: Piece) -> Piece:
    """Return a piece with bar lines as written: notes cut there and tied, rests where a part is silent."""
    lines = [bar.onset for bar in piece.bars]
    parts = []
    for part in piece.parts:
        cut = [
            replace(note, onset=start, duration=end - start, tie=end < note.end and note.pitch is not None)
            for note in part.notes
            for start, end in pairwise([note.onset, *_cuts(note.onset, note.end, lines), note.end])
        ]
        parts.append(replace(part, notes=tuple(_fill(cut, lines, lines[-1] if lines else piece.duration))))
    return replace(piece, parts=tuple(parts))


def find_key(piece: Piece) -> Key:
    """Return the major or minor key that fits the notes best (Krumhansl and Schmuckler)."""
    weights = [0.0] * 12
    for part in piece.parts:
        if not part.is_drum:
            for note in part.notes:
                if note.pitch is not None:
                    weights[note.pitch.midi % 12] += float(note.duration)
    best, best_key = float("-inf"), Key("C")
    for mode, profile in (("major", _MAJOR), ("minor", _MINOR)):
        for fifths in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6):
            key = key_of_signature(fifths, mode)
            tonic = _tonic_class(key)
            fit = _correlation([weights[(tonic + step) % 12] for step in range(12)], profile)
            if fit > best + 1e-9:
                best, best_key = fit, key
    return best_key


def _tonic_class(key: Key) -> int:
    return (7 * (key.fifths - {"major": 0, "minor": -3}[key.mode])) % 12


def _correlation(weights: Sequence[float], profile: Sequence[float]) -> float:
    mean, level = sum(weights) / 12, sum(profile) / 12
    above = sum((w - mean) * (p - level) for w, p in zip(weights, profile, strict=True))
    spread = sum((w - mean) ** 2 for w in weights) * sum((p - level) ** 2 for p in profile)
    return above / spread**0.5 if spread else 0.0


def on_grid(time: Fraction, step: Fraction) -> Fraction:
    """Round a time to a multiple of `step`."""
    return round(time / step) * step


def snap(piece: Piece, step: Fraction) -> Piece:
    """Round every time of a piece to a multiple of `step`; no note becomes shorter than one."""
    parts = []
    for part in piece.parts:
        notes = []
        for note in part.notes:
            onset = on_grid(note.onset, step)
            duration = max(step, on_grid(note.end, step) - onset)
            notes.append(replace(note, onset=onset, duration=duration, tuplet=None))
        parts.append(replace(part, notes=tuple(notes)))
    return replace(
        piece,
        parts=tuple(parts),
        keys=tidy_changes((on_grid(at, step), key) for at, key in piece.keys),
        meters=tidy_changes((on_grid(at, step), meter) for at, meter in piece.meters),
        tempos=tidy_changes((on_grid(at, step), tempo) for at, tempo in piece.tempos),
        bars=tidy_bars(replace(bar, onset=on_grid(bar.onset, step)) for bar in piece.bars),
        chords=tidy_symbols((on_grid(at, step), symbol) for at, symbol in piece.chords),
    )


def _snap_part(part: Part) -> list[Note]:
    grids = _choose_grids(note.onset for note in part.notes)
    snapped = []
    for note in part.notes:
        onset, end = _snap(note.onset, grids), _snap(note.end, grids)
        if end <= onset:
            end = onset + grids.get(int(onset), Fraction(1, 4))
        snapped.append(replace(note, onset=onset, duration=end - onset, velocity=None))
    return snapped


def _hands(notes: Sequence[Note], part: Part) -> list[list[Note]]:
    """Give a keyboard part that overlaps itself and passes middle C two staves, one for each hand."""
    pitches = [note.pitch.midi for note in notes if note.pitch is not None]
    overlaps = any(before.end > after.onset for before, after in pairwise(notes))
    if part.is_drum or part.program >= _KEYBOARDS or not overlaps or min(pitches) >= 60 or max(pitches) < 60:
        return [list(notes)]
    right = [note for note in notes if note.pitch is None or note.pitch.midi >= 60]
    return [right, [note for note in notes if note.pitch is not None and note.pitch.midi < 60]]


def _choose_grids(onsets: Iterable[Fraction]) -> dict[int, Fraction]:
    """Choose a division for each beat in which notes begin; beats are numbered from 0."""
    beats: dict[int, list[float]] = {}
    for onset in onsets:
        beats.setdefault(int(onset), []).append(float(onset % 1))
    return {beat: min(_GRIDS, key=lambda grid: _cost(places, *grid))[0] for beat, places in beats.items()}


def _cost(places: Sequence[float], step: Fraction, handicap: float) -> float:
    width = float(step)
    return handicap + sum(abs(place - round(place / width) * width) for place in places)


def _snap(time: Fraction, grids: dict[int, Fraction]) -> Fraction:
    beat = int(time)
    return beat + on_grid(time - beat, grids.get(beat, Fraction(1, 4)))


def rule_bars(meters: Sequence[tuple[Fraction, Meter | None]], end: Fraction) -> tuple[Bar, ...]:
    """Rule bar lines as the meters say, up to the bar in which the last note ends."""
    bars: list[Bar] = []
    for index, (start, meter) in enumerate(meters):
        stop = meters[index + 1][0] if index + 1 < len(meters) else end
        if index:
            bars.append(Bar(start))
        time = start + (meter.bar_quarters if meter else stop - start)
        while time < stop:
            bars.append(Bar(time))
            time += meter.bar_quarters if meter else stop - start
    bars.append(Bar(max(time, end), "|]"))
    return tuple(bar for bar in bars if bar.onset > 0)


def _cut_note(note: Note, bars: Sequence[Fraction], spelled: Sequence[Pitch]) -> list[Note]:
    """Cut a note at bar lines, and next to beats that it enters or leaves within a triplet."""
    pitch = spelled[note.pitch.midi] if note.pitch is not None else None
    times = [note.onset, *_cuts(note.onset, note.end, bars), note.end]
    pieces = []
    for start, end in pairwise(times):
        tie = note.pitch is not None and end < note.end
        pieces.append(replace(note, onset=start, duration=end - start, pitch=pitch, tie=tie))
    return pieces


def _cuts(start: Fraction, end: Fraction, bars: Sequence[Fraction]) -> list[Fraction]:
    cuts = set(bars[bisect_right(bars, start) : bisect_left(bars, end)])
    after, before = Fraction(int(start) + 1), Fraction(int(end))
    if is_odd(start) and after < end:
        cuts.add(after)
    if is_odd(end) and start < before:
        cuts.add(before)
    return sorted(cuts)


def _fill(notes: Sequence[Note], bars: Sequence[Fraction], end: Fraction) -> list[Note]:
    """Put rests where a part is silent."""
    filled: list[Note] = []
    time = _ZERO
    for note in [*notes, Note(end, _ZERO, None)]:
        if note.onset > time:
            times = [time, *_cuts(time, note.onset, bars), note.onset]
            filled += [Note(a, b - a, None) for a, b in pairwise(times)]
        if note.duration:
            filled.append(note)
        time = max(time, note.end)
    return filled


def _order(note: Note) -> tuple[Fraction, int]:
    return note.onset, note.pitch.midi if note.pitch is not None else -1

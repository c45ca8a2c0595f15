"""How pieces are written down: chords, layers, symbols, tied notes; for the ABC and MusicXML writers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from seqgen.music.pieces import Note, Part, Pitch, Tuplet

ZERO = Fraction(0)
VOICE_CLEFS = {"Tenor": "treble-8", "Bass": "bass"}
"""The clefs of parts with these names, as ABC calls them; `treble-8` sounds an octave lower."""
_DOTS = (Fraction(15, 8), Fraction(7, 4), Fraction(3, 2), Fraction(1))
_LONGEST_SYMBOL = Fraction(16)


@dataclass(frozen=True, slots=True)
class Chord:
    """Notes that begin and end together, a single note, or with no pitches a rest."""

    onset: Fraction
    duration: Fraction
    pitches: tuple[Pitch, ...] = ()
    ties: tuple[bool, ...] = ()
    tuplet: Tuplet | None = None

    @property
    def end(self) -> Fraction:
        """When it stops sounding."""
        return self.onset + self.duration


def layers(part: Part) -> list[list[Chord]]:
    """Divide a part into the fewest lines in which nothing overlaps, holes filled with rests.

    A part without overlapping notes gives one line, a part without notes none.
    """
    lines: list[list[Chord]] = []
    for chord in _chords(part.notes):
        line = next((line for line in lines if line[-1].end <= chord.onset), None)
        if line is None:
            line = []
            lines.append(line)
        end = line[-1].end if line else ZERO
        if end < chord.onset:
            line.append(Chord(end, chord.onset - end))
        line.append(chord)
    end = max((line[-1].end for line in lines), default=ZERO)
    for line in lines[1:]:
        if line[-1].end < end:
            line.append(Chord(line[-1].end, end - line[-1].end))
    return lines


def _chords(notes: Iterable[Note]) -> list[Chord]:
    """Join notes of the same onset and duration; rests beside sounding notes are left to the layers."""
    groups: dict[tuple[Fraction, Fraction, bool], list[Note]] = {}
    for note in notes:
        groups.setdefault((note.onset, note.duration, note.pitch is None), []).append(note)
    chords = []
    for (onset, duration, _), members in groups.items():
        sounding = [(note.pitch, note.tie) for note in members if note.pitch is not None]
        pitches = tuple(pitch for pitch, _ in sounding)
        chords.append(Chord(onset, duration, pitches, tuple(tie for _, tie in sounding), members[0].tuplet))
    return sorted(chords, key=lambda chord: chord.onset)


def split_chords(line: Sequence[Chord], boundaries: Sequence[Fraction]) -> list[Chord]:
    """Cut what rings across a boundary into tied pieces; `boundaries` are in time order."""
    pieces: list[Chord] = []
    place = 0
    for chord in line:
        while place < len(boundaries) and boundaries[place] <= chord.onset:
            place += 1
        rest, cut = chord, place
        while cut < len(boundaries) and boundaries[cut] < rest.end:
            head, rest = cut_chord(rest, boundaries[cut] - rest.onset)
            pieces.append(head)
            cut += 1
        pieces.append(rest)
    return pieces


def cut_chord(chord: Chord, length: Fraction) -> tuple[Chord, Chord]:
    """Cut a chord in two that are tied, the first of the given length."""
    head = replace(chord, duration=length, ties=(True,) * len(chord.pitches))
    tail = replace(chord, onset=chord.onset + length, duration=chord.duration - length, tuplet=None)
    return head, tail


def symbol_lengths(duration: Fraction) -> list[Fraction]:
    """Return the lengths of the note symbols, dotted up to thrice, that add up to a written duration.

    The longest comes first. A duration that no sum of symbols reaches, such as a third of a quarter outside a
    tuplet, is returned whole.
    """
    if duration.denominator & (duration.denominator - 1) or duration.denominator > 512:
        return [duration]
    lengths = []
    while duration:
        symbol = _longest_symbol(duration)
        lengths.append(symbol)
        duration -= symbol
    return lengths


def _longest_symbol(duration: Fraction) -> Fraction:
    base = _LONGEST_SYMBOL
    while base > duration:
        base /= 2
    return base * next(dots for dots in _DOTS if base * dots <= duration)

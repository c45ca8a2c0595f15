"""When each note of a piece sounds, in seconds, with repeats played out."""

from fractions import Fraction
from typing import NamedTuple

from seqgen.music.measures import measures
from seqgen.music.pieces import Piece
from seqgen.music.playback import playback_spans, played
from seqgen.music.sound import clock


class Sounding(NamedTuple):
    """A note as it is heard.

    Attributes:
        start_s: When it begins.
        end_s: When it ends.
        midi: Its pitch as a MIDI note.
        name: Its pitch as musicians write it.
        part: The number of its part, from 0.
    """

    start_s: float
    end_s: float
    midi: int
    name: str
    part: int


class Timeline(NamedTuple):
    """A piece in time.

    Attributes:
        notes: In the order in which they begin.
        bars_s: Where bars begin.
        duration_s: Of the whole.
    """

    notes: list[Sounding]
    bars_s: list[float]
    duration_s: float


def timeline(piece: Piece) -> Timeline:
    """Lay a piece out in time, at the tempos at which it is played."""
    sounding = played(piece)
    seconds = clock(sounding.tempos)
    notes = [
        Sounding(seconds(note.onset), seconds(note.end), note.pitch.midi, note.pitch.name, number)
        for number, part in enumerate(sounding.parts)
        for note in part.notes
        if note.pitch is not None
    ]
    starts = [measure.start for measure in measures(piece)]
    bars, passed = [], Fraction(0)
    for begin, end in playback_spans(piece.bars, piece.duration):
        bars += [passed + start - begin for start in starts if begin <= start < end]
        passed += end - begin
    return Timeline(sorted(notes), [seconds(bar) for bar in bars], seconds(sounding.duration))

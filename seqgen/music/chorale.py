"""The chorale encoding: a fixed number of single lines, frame by frame, the highest voice first.

    Key_G-major Meter_4/4  Pitch_67 Pitch_62 Pitch_59 Pitch_43  Hold Hold Pitch_60 Hold  ...  Bar_|  ...

A frame lasts 1/`grid` of a quarter and has one token for each voice: `Pitch` where a note begins, `Hold`
where it goes on, `Rest` where there is none. So it is always known which voice a token is of. Voices are told
by their mean pitch. A frame holds what sounds at its beginning: notes on the grid come back as they were,
another one begins at the next frame, if it lasts till then. With `marks`, keys, meters and bar lines stand
before the frame in which they fall, and `Beat_2` before the second beat of a bar, which decoding passes over.
Spelling is guessed from the key; ties, titles, tempos, instruments and velocities are left out.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from seqgen.errors import TokenError
from seqgen.music.frames import CHOIR, VOICES
from seqgen.music.marks import mark_tokens, read_mark
from seqgen.music.measures import measures
from seqgen.music.midi import VELOCITY
from seqgen.music.pieces import (
    Bar,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    spelling,
    tidy_bars,
    tidy_changes,
    value_at,
)
from seqgen.music.playback import join_ties
from seqgen.music.preparing import is_single_line, mean_pitch
from seqgen.music.transcribe import cut_at_bars

HOLD, REST = "Hold", "Rest"


@dataclass(frozen=True, slots=True)
class ChoraleEncoding:
    """The encoding described above."""

    grid: int = 4
    """Frames a quarter."""
    voices: int = 4
    marks: bool = True
    """Whether keys, meters, bar lines and beats are written."""

    name = "chorale"

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> "ChoraleEncoding":
        """Build it from what `parameters` returned.

        Raises:
            TokenError: If a parameter is unknown or out of range.
        """
        known = {field.name for field in fields(cls)}
        encoding = cls(**parameters) if set(parameters) <= known else None
        if encoding is None or not (1 <= encoding.grid <= 96 and 1 <= encoding.voices <= 16):
            raise TokenError(
                f"chorale encoding with {dict(parameters)}: known are {', '.join(sorted(known))}; "
                "grid goes up to 96, voices to 16"
            )
        return encoding

    def parameters(self) -> dict[str, Any]:
        """Return what rebuilds it."""
        return asdict(self)

    def encode(self, piece: Piece) -> list[str]:
        """Return the tokens of a piece; repeats are not played out.

        Raises:
            TokenError: If it has not just so many single lines.
        """
        lines = [part for part in piece.parts if mean_pitch(part) is not None and not part.is_drum]
        if len(lines) != self.voices or not all(map(is_single_line, lines)):
            wrong = f"{len(lines)} parts" if len(lines) != self.voices else "chords in a part"
            raise TokenError(
                f"{piece.title or 'the piece'} has {wrong}; the chorale encoding takes {self.voices} single "
                "lines; use --notes remi"
            )
        lines.sort(key=lambda part: mean_pitch(part) or 0, reverse=True)
        frames = ceil(piece.duration * self.grid)
        columns = [self._column(part, frames) for part in lines]
        marks = mark_tokens(piece, self.grid) if self.marks else {}
        tokens: list[str] = []
        for frame, cells in enumerate(zip(*columns, strict=True)):
            tokens += marks.pop(frame, ())
            tokens += cells
        return tokens + [token for frame in sorted(marks) for token in marks[frame]]

    def _column(self, part: Part, frames: int) -> list[str]:
        column = [REST] * frames
        for note in join_ties(part.notes):
            if note.pitch is not None:
                start, end = ceil(note.onset * self.grid), ceil(note.end * self.grid)
                column[start:end] = [f"Pitch_{note.pitch.midi}", *[HOLD] * (end - start - 1)][: end - start]
        return column

    def encode_midi(self, path: Path) -> None:
        """Return nothing: only a piece tells the tokens."""

    def decode(self, tokens: Sequence[str]) -> Piece:
        """Return the piece of any tokens at all; misplaced ones and an unfinished frame are passed over."""
        reading = _Reading(self.voices)
        for token in tokens:
            reading.read(token, Fraction(reading.frames, self.grid))
        return reading.build(self.grid)

    def bar_numbers(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of the bar that each token stands in, as `seqgen.music.measures` counts."""
        reading, times = _Reading(self.voices), []
        for token in tokens:
            times.append(Fraction(reading.frames, self.grid))
            reading.read(token, times[-1])
        bars = measures(reading.build(self.grid))
        starts = [bar.start for bar in bars]
        return [bars[max(0, bisect_right(starts, time) - 1)].number if bars else 1 for time in times]


@dataclass
class _Reading:
    """A piece while it is decoded: rows of cells, each a MIDI note that begins, HOLD or REST."""

    voices: int
    rows: list[list[int | str]] = field(default_factory=list)
    row: list[int | str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    keys: list[tuple[Fraction, Key | None]] = field(default_factory=list)
    meters: list[tuple[Fraction, Meter | None]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return len(self.rows)

    def read(self, token: str, time: Fraction) -> None:
        kind, _, text = token.partition("_")
        if token in (HOLD, REST):
            self.row.append(token)
        elif kind == "Pitch" and text.isascii() and text.isdigit() and int(text) <= 127:
            self.row.append(int(text))
        elif not self.row:
            read_mark(kind, text, time, bars=self.bars, keys=self.keys, meters=self.meters)
        if len(self.row) == self.voices:
            self.rows.append(self.row)
            self.row = []

    def build(self, grid: int) -> Piece:
        keys = tidy_changes(self.keys)
        bars = tidy_bars(self.bars)
        velocity = None if bars else VELOCITY  # without bar lines it counts as played, and is put on paper so
        parts = []
        for voice in range(self.voices):
            name = VOICES[voice] if self.voices == len(VOICES) else f"Voice {voice + 1}"
            notes = tuple(_notes([row[voice] for row in self.rows], grid, keys, velocity))
            parts.append(Part(notes, name, CHOIR))
        piece = Piece(parts=tuple(parts), keys=keys, meters=tidy_changes(self.meters), bars=bars)
        return cut_at_bars(piece) if bars else piece


def _notes(
    cells: Sequence[int | str], grid: int, keys: Sequence[tuple[Fraction, Key | None]], velocity: int | None
) -> Iterator[Note]:
    starts = [
        frame
        for frame, cell in enumerate(cells)
        if not frame or (cell != HOLD and not (cell == REST and cells[frame - 1] == REST))
    ]
    for start, end in pairwise([*starts, len(cells)]):
        onset, duration, midi = Fraction(start, grid), Fraction(end - start, grid), cells[start]
        if isinstance(midi, int):
            key = value_at(keys, onset)
            pitch = spelling(key.fifths if key is not None else 0)[midi]
            yield Note(onset, duration, pitch, velocity=velocity)
        else:
            yield Note(onset, duration, None)

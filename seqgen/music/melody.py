"""The melody encoding: a single-line tune as tokens, and back without loss.

    Key_D-major Meter_6/8 Unit_1/2  Bar_|: Pitch_A4  Bar_| Duration_1 Pitch_F#5 Pitch_A5 Beat_2 ...

A tune begins with its key, meter and unit, the length that most of its notes have. Then come its bars.
`Duration_1` stands before a note or rest that differs from the unit (inside a tuplet: from the unit's
share) and holds for that one alone, so that a bar is told by the same tokens wherever it stands and a plain
note costs one token. Since a duration comes before its pitch, the time passed in the bar is known after
every token. `Tuplet_3:2` stands before the first note of a group, whose durations are those that sound.
`Tie` follows the note it prolongs. `Beat_2` says that the second group of the bar begins here, where ABC
has a space: decoding passes it over, but networks that read it make more bars that add up, at no loss per
note (benchmarks/music). `Chord_F#m7/C#`, kept with `chords`, stands right before the note or rest at which it
begins, its tuplet and duration included, and takes no time; a note over which the chord changes is cut there
and tied. A melody leaves out title, tempo, instrument and velocity (`melody_of` says what is kept).
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from seqgen.errors import TokenError
from seqgen.music.chords import ChordSymbol, ChordSymbols, cut_at_symbols, parse_chord_symbol, tidy_symbols
from seqgen.music.measures import measures
from seqgen.music.pieces import (
    BAR_KINDS,
    Bar,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    Pitch,
    Tuplet,
    bar_origins,
    parse_ending,
    parse_key,
    parse_meter,
    parse_pitch,
    tidy_bars,
    tidy_changes,
    tidy_ties,
    value_at,
)
from seqgen.music.transcribe import transcribe

LONGEST, SHORTEST = Fraction(1024), Fraction(1, 1024)
_START = Fraction(0)
_DEFAULT_UNIT = Fraction(1, 2)


def suits_melody(piece: Piece) -> bool:
    """Say whether a piece is one line of written notes without holes, each within its bar."""
    if len(piece.parts) != 1 or piece.parts[0].is_drum:
        return False
    time, bars = _START, iter([*(bar.onset for bar in piece.bars), None])
    bar = next(bars)
    for note in piece.parts[0].notes:
        if note.onset != time or note.velocity is not None:
            return False
        time = note.end
        while bar is not None and bar <= note.onset:
            bar = next(bars)
        if bar is not None and bar < time:
            return False
    return True


def melody_of(piece: Piece, *, chords: bool = False) -> Piece:
    """Return what the encoding keeps of a piece: the notes of its one part, keys, meters and bar lines.

    Args:
        piece: A single line.
        chords: Whether chord symbols are kept, each at a note, which may be cut for it.
    """
    notes = piece.parts[0].notes if piece.parts else ()
    symbols: ChordSymbols = ()
    if chords and piece.chords:
        notes, places = cut_at_symbols(notes, piece.chords)
        symbols = tidy_symbols(places.items())
    return Piece(parts=(Part(notes),), keys=piece.keys, meters=piece.meters, bars=piece.bars, chords=symbols)


@dataclass(frozen=True, slots=True)
class MelodyEncoding:
    """The encoding described above."""

    chords: bool = False
    """Whether chord symbols are kept."""

    name = "melody"
    voices = 1

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> "MelodyEncoding":
        """Build it from what `parameters` returned.

        Raises:
            TokenError: If a parameter is unknown.
        """
        if not all(name == "chords" and isinstance(value, bool) for name, value in parameters.items()):
            raise TokenError(f"melody encoding with {dict(parameters)}: known is chords")
        return cls(**parameters)

    def parameters(self) -> dict[str, Any]:
        """Return what rebuilds it."""
        return asdict(self) if self.chords else {}

    def encode(self, piece: Piece) -> list[str]:
        """Return the tokens of a single line; one that was played is put on paper first.

        Raises:
            TokenError: If the piece is not a single line.
        """
        piece = transcribe(piece)
        if not suits_melody(piece):
            raise TokenError(f"{piece.title or 'the piece'} is not a single line of notes; use --notes remi")
        return list(_encode(melody_of(piece, chords=self.chords)))

    def encode_midi(self, path: Path) -> None:
        """Return nothing: only a piece tells the tokens."""

    def decode(self, tokens: Sequence[str]) -> Piece:
        """Return the piece of any tokens at all; misplaced ones are passed over."""
        melody = _Melody()
        for token in tokens:
            melody.read(token)
        return melody.build()

    def onsets(self, tokens: Sequence[str]) -> list[Fraction]:
        """Return the time before each token, in quarters."""
        melody, times = _Melody(), []
        for token in tokens:
            times.append(melody.time)
            melody.read(token)
        return times

    def bar_numbers(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of the bar that each token stands in, as `seqgen.music.measures` counts."""
        bars = measures(self.decode(tokens))
        starts = [bar.start for bar in bars]
        return [
            bars[max(0, bisect_right(starts, at) - 1)].number if bars else 1 for at in self.onsets(tokens)
        ]


def _encode(piece: Piece) -> Iterator[str]:
    notes = piece.parts[0].notes
    unit = Counter(note.duration for note in notes).most_common(1)[0][0] if notes else _DEFAULT_UNIT
    yield f"Key_{_name(value_at(piece.keys, _START))}"
    yield f"Meter_{_name(value_at(piece.meters, _START))}"
    yield f"Unit_{unit}"
    marks, beats = _marks(piece), beat_numbers(piece)
    symbols = dict(piece.chords)
    usual, left, passed = unit, 0, 0
    for note in notes:
        while passed < len(marks) and marks[passed][0] <= note.onset:
            yield marks[passed][1]
            passed += 1
        if note.onset in beats:
            yield f"Beat_{beats[note.onset]}"
        if note.onset in symbols:
            yield f"Chord_{symbols[note.onset].name}"
        if note.tuplet is not None:
            yield f"Tuplet_{note.tuplet.name}"
            usual, left = unit * note.tuplet.normal / note.tuplet.actual, note.tuplet.count
        if note.duration != usual:
            yield f"Duration_{note.duration}"
        yield f"Pitch_{note.pitch.name}" if note.pitch else "Rest"
        if note.tie:
            yield "Tie"
        left -= 1
        if left <= 0:
            usual = unit
    for _, token in marks[passed:]:
        yield token


def beat_numbers(piece: Piece) -> dict[Fraction, int]:
    """Number the places at which a group of notes begins within a bar; the second group is number 2."""
    beats = {}
    for start, end, origin in bar_origins(piece):
        meter = value_at(piece.meters, start)
        if meter is None:
            continue
        stop = piece.duration if end is None else end
        group = meter.group_quarters
        number = (start - origin) // group + 1  # groups before the start, and one
        while (place := origin + number * group) < stop:
            number += 1
            beats[place] = number
    return beats


def _name(value: Key | Meter | None) -> str:
    return value.name if value is not None else "none"


def _marks(piece: Piece) -> list[tuple[Fraction, str]]:
    """List bar lines, and changes of key and meter after the start, in the order they are written in."""
    marks = []
    for bar in piece.bars:
        marks.append((bar.onset, f"Bar_{bar.kind}"))
        if bar.ending:
            marks.append((bar.onset, f"Ending_{bar.ending}"))
    marks += [(onset, f"Key_{_name(key)}") for onset, key in piece.keys if onset]
    marks += [(onset, f"Meter_{_name(meter)}") for onset, meter in piece.meters if onset]
    return sorted(marks, key=lambda mark: mark[0])


class _Melody:
    """A melody while it is decoded; takes any tokens in any order."""

    def __init__(self) -> None:
        self.time = _START
        self._unit = _DEFAULT_UNIT
        self._duration: Fraction | None = None
        self._tuplet: Tuplet | None = None  # the open group, with the count still to come
        self._first = 0  # the index of its first note
        self._notes: list[Note] = []
        self._bars: list[Bar] = []
        self._keys: list[tuple[Fraction, Key | None]] = []
        self._meters: list[tuple[Fraction, Meter | None]] = []
        self._chords: list[tuple[Fraction, ChordSymbol]] = []
        self._may_tie = False

    def read(self, token: str) -> None:
        kind, value = parse_token(token)
        if kind in ("Pitch", "Rest"):
            self._add(value)
        elif kind == "Duration":
            self._duration = value
        elif kind == "Bar":
            self._close_tuplet()
            self._bars.append(Bar(self.time, value))
        elif kind == "Ending":
            self._close_tuplet()
            self._bars.append(Bar(self.time, "|", value))
        elif kind == "Tie" and self._may_tie:
            self._notes[-1] = replace(self._notes[-1], tie=True)
        elif kind == "Tuplet":
            self._close_tuplet()
            self._tuplet, self._first = value, len(self._notes)
        elif kind == "Key":
            self._keys.append((self.time, value))
        elif kind == "Meter":
            self._meters.append((self.time, value))
        elif kind == "Chord":
            self._chords.append((self.time, value))
        elif kind == "Unit" and not self._notes:
            self._unit = value
        self._may_tie = kind == "Pitch"

    def _add(self, pitch: Pitch | None) -> None:
        group = self._tuplet
        usual = self._unit * group.normal / group.actual if group else self._unit
        duration = usual if self._duration is None else self._duration
        self._duration = None
        self._notes.append(Note(self.time, duration, pitch))
        self.time += duration
        if group is not None and len(self._notes) - self._first == group.count:
            self._close_tuplet()

    def _close_tuplet(self) -> None:
        count = len(self._notes) - self._first
        if self._tuplet is not None and count:
            group = replace(self._tuplet, count=count)
            self._notes[self._first] = replace(self._notes[self._first], tuplet=group)
        self._tuplet = None

    def build(self) -> Piece:
        self._close_tuplet()
        notes, _ = tidy_ties(self._notes)
        return Piece(
            parts=(Part(notes),),
            keys=tidy_changes(self._keys),
            meters=tidy_changes(self._meters),
            bars=tidy_bars(self._bars),
            chords=tidy_symbols(pair for pair in self._chords if pair[0] < self.time),
        )


@lru_cache(maxsize=4096)
def parse_token(token: str) -> tuple[str, Any]:
    """Return type and value of a token; the type is empty where it is none of a melody."""
    kind, _, text = token.partition("_")
    try:
        return (kind, _VALUES[kind](text)) if kind in _VALUES else ("", None)
    except ValueError:
        return "", None


def _parse_length(text: str) -> Fraction:
    if not _LENGTH.fullmatch(text) or not SHORTEST <= Fraction(text) <= LONGEST:
        raise ValueError(f"{text!r} is no length")
    return Fraction(text)


def _parse_bar(text: str) -> str:
    if text not in BAR_KINDS:
        raise ValueError(f"{text!r} is no bar line")
    return text


def _parse_tuplet(text: str) -> Tuplet:
    match = _TUPLET.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no tuplet")
    actual = int(match[1])
    return Tuplet(actual, int(match[2]), int(match[3] or actual))


def _parse_nothing(text: str) -> None:
    if text:
        raise ValueError("it takes no value")


_LENGTH = re.compile(r"[1-9]\d{0,3}(?:/[1-9]\d{0,3})?")
_TUPLET = re.compile(r"([2-9]|1\d):([1-9]\d?)(?::([1-9]\d?))?")
_VALUES: dict[str, Callable[[str], Any]] = {
    "Pitch": parse_pitch,
    "Rest": _parse_nothing,
    "Duration": _parse_length,
    "Unit": _parse_length,
    "Bar": _parse_bar,
    "Ending": parse_ending,
    "Tie": _parse_nothing,
    "Tuplet": _parse_tuplet,
    "Key": lambda text: None if text == "none" else parse_key(text),
    "Chord": parse_chord_symbol,
    "Meter": lambda text: None if text == "none" else parse_meter(text),
}

"""Pieces of music as immutable values.

Time is exact: every onset and duration is a Fraction of a quarter note, counted from the start of the piece.
A part is a list of notes and rests with onsets, so that two notes at once need no special form: a chord is
notes that begin together. Bar lines, keys, meters and tempos belong to the piece, for all parts share them.
Repeats are kept as written; `seqgen.music.playback` unfolds them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from seqgen.music.chords import ChordSymbols

T = TypeVar("T")

STEPS = "CDEFGAB"
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MODES = {  # by how many fifths the signature lies from that of the major key on the same tonic
    "major": 0,
    "minor": -3,
    "dorian": -2,
    "phrygian": -4,
    "lydian": 1,
    "mixolydian": -1,
    "locrian": -5,
}
_FIFTHS = "FCGDAEB"
_SIGNS = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}
_ALTERS = {sign: alter for alter, sign in _SIGNS.items()}

BAR_KINDS = ("|", "||", "|]", "|:", ":|", ":|:")
"""Plain, double, final, repeat from here, repeat up to here, both."""
EMPTY_TRACKS = "tracks without notes"
"""How readers name, in `Piece.omitted`, the parts that they leave out."""


@dataclass(frozen=True, slots=True)
class Pitch:
    """A spelled pitch: F sharp and G flat differ. Octave 4 begins at middle C, MIDI note 60."""

    step: str
    alter: int
    octave: int

    @property
    def midi(self) -> int:
        """The MIDI note number, which may lie outside 0 to 127."""
        return 12 * (self.octave + 1) + SEMITONES[self.step] + self.alter

    @property
    def name(self) -> str:
        """The name, such as F#5 or Bb3."""
        return f"{self.step}{_SIGNS[self.alter]}{self.octave}"


@lru_cache(maxsize=4096)
def parse_pitch(name: str) -> Pitch:
    """Read a name such as F#5 or Bbb3, the inverse of `Pitch.name`.

    Raises:
        ValueError: If it is no pitch name, or not a MIDI note.
    """
    body = name.rstrip("0123456789")
    octave = int(name[len(body.removesuffix("-")) :])
    pitch = Pitch(name[:1], _alter(body.removesuffix("-")[1:]), octave)
    if pitch.step not in SEMITONES or not 0 <= pitch.midi <= 127 or pitch.name != name:
        raise ValueError(f"{name!r} is no pitch")
    return pitch


def _alter(sign: str) -> int:
    if sign not in _ALTERS:
        raise ValueError(f"{sign!r} is no accidental")
    return _ALTERS[sign]


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic such as F# and a mode of `MODES`."""

    tonic: str
    mode: str = "major"

    @property
    def fifths(self) -> int:
        """Sharps in the signature; flats count below zero."""
        return _FIFTHS.index(self.tonic[0]) - 1 + 7 * _alter(self.tonic[1:]) + MODES[self.mode]

    def alter(self, step: str) -> int:
        """Say how the signature alters a step: 1 for a sharp, -1 for a flat."""
        return signature_alter(self.fifths, step)

    @property
    def name(self) -> str:
        """The name, such as F#-minor."""
        return f"{self.tonic}-{self.mode}"


def signature_alter(fifths: int, step: str) -> int:
    """Say how a signature of `fifths` sharps (flats below zero) alters a step."""
    return (fifths - _FIFTHS.index(step) + 6) // 7


def parse_key(name: str) -> Key:
    """Read a name such as Bb-dorian, the inverse of `Key.name`.

    Raises:
        ValueError: If it is no key.
    """
    tonic, _, mode = name.partition("-")
    if mode not in MODES or tonic[:1] not in SEMITONES or tonic[1:] not in ("", "#", "b"):
        raise ValueError(f"{name!r} is no key")
    return Key(tonic, mode)


def key_of_signature(fifths: int, mode: str = "major") -> Key:
    """Return the key of that mode with `fifths` sharps (-7 to 7; flats below zero)."""
    place = fifths - MODES[mode] + 1
    return Key(_FIFTHS[place % 7] + _SIGNS[place // 7], mode)


def line_of_fifths(step: str, alter: int) -> int:
    """Return the place of a name on the line of fifths, on which F is 0, C 1 and B flat -1."""
    return _FIFTHS.index(step) + 7 * alter


def spelled_at(place: int) -> tuple[str, int]:
    """Return step and alteration at a place on the line of fifths, the inverse of `line_of_fifths`."""
    return _FIFTHS[place % 7], place // 7


@lru_cache(maxsize=64)
def spelling(fifths: int) -> tuple[Pitch, ...]:
    """Return the usual spelling of each MIDI note 0 to 127 in a signature of `fifths` sharps.

    The twelve names run along the line of fifths from three below to eight above the major tonic, in C from
    E flat to G sharp, which favours the raised leading notes of the minor keys.
    """
    names: dict[int, tuple[str, int]] = {}
    for place in range(fifths - 2, fifths + 10):  # place 0 is F, 1 is C, ... along _FIFTHS
        step, alter = spelled_at(place)
        names[(SEMITONES[step] + alter) % 12] = (step, alter)
    spelled = []
    for midi in range(128):
        step, alter = names[midi % 12]
        spelled.append(Pitch(step, alter, (midi - alter - SEMITONES[step]) // 12 - 1))
    return tuple(spelled)


@dataclass(frozen=True, slots=True)
class Meter:
    """A time signature; `beats` of length 4/`unit` quarters."""

    beats: int
    unit: int

    @property
    def bar_quarters(self) -> Fraction:
        """The length of a full bar."""
        return Fraction(4 * self.beats, self.unit)

    @property
    def is_compound(self) -> bool:
        """Whether beats fall in threes, as in 6/8."""
        return self.beats % 3 == 0 and self.beats > 3 and self.unit >= 8

    @property
    def group_quarters(self) -> Fraction:
        """The length of the groups in which short notes are written together: half a bar of 4/4 or of 6/8."""
        if self.is_compound or (self.beats, self.unit) == (3, 8):
            return Fraction(12, self.unit)
        return Fraction(2) if self.bar_quarters == 4 else Fraction(max(1, 4 // self.unit))

    @property
    def name(self) -> str:
        """The name, such as 6/8."""
        return f"{self.beats}/{self.unit}"


MAX_BEATS = 64
METER_UNITS = (1, 2, 4, 8, 16, 32, 64)


def parse_meter(name: str) -> Meter:
    """Read a name such as 6/8, the inverse of `Meter.name`.

    Raises:
        ValueError: If it is no meter.
    """
    beats, slash, unit = name.partition("/")
    if not slash or not (beats.isascii() and unit.isascii() and beats.isdigit() and unit.isdigit()):
        raise ValueError(f"{name!r} is no meter")
    meter = Meter(int(beats), int(unit))
    if not 1 <= meter.beats <= MAX_BEATS or meter.unit not in METER_UNITS or meter.name != name:
        raise ValueError(f"{name!r} is no meter")
    return meter


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar line of one of `BAR_KINDS`; `ending` numbers the ending that begins here, such as 1 or 1,3."""

    onset: Fraction
    kind: str = "|"
    ending: str = ""


_ENDING = re.compile(r"[1-9]\d?(?:[,-][1-9]\d?){0,7}")


def parse_ending(text: str) -> str:
    """Check the number of an ending, such as 1, 1,3 or 1-3.

    Raises:
        ValueError: If it is none.
    """
    if not _ENDING.fullmatch(text):
        raise ValueError(f"{text!r} is no ending")
    return text


@dataclass(frozen=True, slots=True)
class Tuplet:
    """A group of `count` notes, chords or rests, `actual` of which are played in the time of `normal`.

    It says how the group is written; the durations of its notes are those that sound.
    """

    actual: int
    normal: int
    count: int

    @property
    def name(self) -> str:
        """The name: 3:2, or 3:2:5 where the count is not the usual one."""
        return f"{self.actual}:{self.normal}" + (f":{self.count}" if self.count != self.actual else "")


@dataclass(frozen=True, slots=True)
class Note:
    """A note, or with no pitch a rest.

    `tie` holds it over to the next note of the same pitch. `tuplet` is set on the first note of a group, on
    each note if that is a chord. `velocity` is 1 to 127 where the source was played, None where it was
    written.
    """

    onset: Fraction
    duration: Fraction
    pitch: Pitch | None
    tie: bool = False
    tuplet: Tuplet | None = None
    velocity: int | None = None

    @property
    def end(self) -> Fraction:
        """When it stops sounding."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True)
class Part:
    """One instrument or voice: notes ordered by onset, then upwards, and a General MIDI program, 0 to 127.

    `pedals` are the onsets and durations for which its sustain pedal is down.
    """

    notes: tuple[Note, ...]
    name: str = ""
    program: int = 0
    is_drum: bool = False
    pedals: tuple[tuple[Fraction, Fraction], ...] = ()


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Changes of key, meter and tempo (quarters a minute) are pairs of onset and value in time order; None
    ends a key or a meter, and a piece without an entry at 0 begins without one. `chords` are chord symbols.
    `omitted` counts what the source held and a piece does not, such as ("grace notes", 12).
    """

    parts: tuple[Part, ...]
    title: str = ""
    keys: tuple[tuple[Fraction, Key | None], ...] = ()
    meters: tuple[tuple[Fraction, Meter | None], ...] = ()
    tempos: tuple[tuple[Fraction, float], ...] = ()
    bars: tuple[Bar, ...] = ()
    chords: "ChordSymbols" = ()
    omitted: tuple[tuple[str, int], ...] = ()

    @cached_property
    def duration(self) -> Fraction:
        """Quarters until the last note, rest or bar line ends."""
        ends = [note.end for part in self.parts for note in part.notes]
        return max(ends + [bar.onset for bar in self.bars[-1:]], default=Fraction(0))

    @property
    def pickup(self) -> Fraction:
        """The length of a first bar that is shorter than the meter, else 0."""
        first = next((bar.onset for bar in self.bars if bar.onset > 0), None)
        meter = value_at(self.meters, Fraction(0))
        return (
            first if first is not None and meter is not None and first < meter.bar_quarters else Fraction(0)
        )

    @property
    def note_count(self) -> int:
        """How many notes it has; rests do not count."""
        return sum(note.pitch is not None for part in self.parts for note in part.notes)


def value_at(changes: Iterable[tuple[Fraction, T]], onset: Fraction) -> T | None:
    """Return the key, meter or tempo in force at `onset`, None before the first change."""
    value = None
    for start, changed in changes:
        if start > onset:
            break
        value = changed
    return value


def bar_origins(piece: Piece) -> Iterator[tuple[Fraction, Fraction | None, Fraction]]:
    """Yield start and end of each stretch between bar lines, and the place from which its beats count.

    That place is the start, but lies before it where a bar is short at its beginning: at the start of a
    piece and after a repeat sign, where no ending begins. The last stretch has no end.
    """
    lines = (bar for bar in piece.bars if bar.onset)
    starts = [(Fraction(0), True), *((bar.onset, ":" in bar.kind and not bar.ending) for bar in lines)]
    ends = [*(start for start, _ in starts[1:]), None]
    for (start, may_be_short), end in zip(starts, ends, strict=True):
        meter = value_at(piece.meters, start)
        full = start if end is None or meter is None else end - meter.bar_quarters
        yield start, end, min(start, full) if may_be_short else start


def tidy_changes(changes: Iterable[tuple[Fraction, T]]) -> tuple[tuple[Fraction, T], ...]:
    """Order changes in time, keep the last of several at once, and leave out those that change nothing."""
    latest = dict(changes)
    tidy: list[tuple[Fraction, T]] = []
    current: T | None = None
    for onset in sorted(latest):
        if latest[onset] != current:
            current = latest[onset]
            tidy.append((onset, latest[onset]))
    return tuple(tidy)


def tidy_bars(bars: Iterable[Bar]) -> tuple[Bar, ...]:
    """Order bar lines in time and merge those at one place, so that `:|` and `|:` become `:|:`.

    At the very start only the beginning of a repeat or an ending means anything; others are left out there.
    """
    merged: dict[Fraction, Bar] = {}
    for bar in bars:
        before = merged.get(bar.onset)
        merged[bar.onset] = _merge_bars(before, bar) if before else bar
    first = merged.pop(Fraction(0), None)
    if first is not None and (first.ending or first.kind.endswith(":")):
        merged[first.onset] = replace(first, kind="|:" if first.kind.endswith(":") else "|")
    return tuple(merged[onset] for onset in sorted(merged))


def _merge_bars(before: Bar, after: Bar) -> Bar:
    kinds = (before.kind, after.kind)
    closes = any(kind.startswith(":") for kind in kinds)
    opens = any(kind.endswith(":") for kind in kinds)
    plain = max(kinds, key=BAR_KINDS.index)
    kind = ":|:" if closes and opens else ":|" if closes else "|:" if opens else plain
    return Bar(before.onset, kind, after.ending or before.ending)


def tidy_ties(notes: Sequence[Note]) -> tuple[tuple[Note, ...], int]:
    """Drop each tie that no note of the same pitch takes up, and say how many were dropped."""
    if not any(note.tie for note in notes):
        return tuple(notes), 0
    starts = {(note.onset, note.pitch) for note in notes}
    tidy = tuple(
        replace(note, tie=False) if note.tie and (note.end, note.pitch) not in starts else note
        for note in notes
    )
    return tidy, sum(old is not new for old, new in zip(notes, tidy, strict=True))

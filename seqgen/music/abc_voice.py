"""One voice of an ABC tune while it is read: its place in time, what is in force, and the notes so far."""

import copy
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from seqgen.music.abc_fields import ALTERS, KeyField, signature
from seqgen.music.chords import ChordSymbol, tidy_symbols
from seqgen.music.pieces import (
    EMPTY_TRACKS,
    Bar,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    Pitch,
    Tuplet,
    tidy_bars,
    tidy_changes,
    tidy_ties,
)

LONGEST = Fraction(1024)
"""The longest note taken at its word, in quarters; a longer one is a slip of the pen."""
SHORTEST = Fraction(1, 1024)

_LENGTH = re.compile(r"(\d{0,4})(?:(/{1,8})(\d{0,4}))?")
_pitch = lru_cache(maxsize=1024)(Pitch)


@lru_cache(maxsize=1024)
def note_length(text: str) -> Fraction:
    """Read a length such as 3, 3/2, / or //, in units.

    Raises:
        ValueError: If it is none, or not above zero.
    """
    match = _LENGTH.fullmatch(text)
    slashes, below = (match[2] or "", match[3] or "") if match else ("", "0")
    if match is None or (len(slashes) > 1 and below) or (below and not int(below)):
        raise ValueError(f"cannot read the length {text[:12]!r}")
    length = Fraction(int(match[1] or 1), int(below) if below else 2 ** len(slashes))
    if not length:
        raise ValueError(f"a note of length {text}")
    return length


@lru_cache(maxsize=256)
def written_pitch(letter: str, marks: str) -> tuple[str, int]:
    """Return step and octave of a note letter and its octave marks; `c'` is (C, 6)."""
    octave = (4 if letter.isupper() else 5) + marks.count("'") - marks.count(",")
    return letter.upper(), octave


class Group:
    """A tuplet while it is read: how many of its notes are still to come, how many came."""

    __slots__ = ("actual", "count", "left", "normal")

    def __init__(self, actual: int, normal: int, left: int) -> None:
        self.actual, self.normal, self.left, self.count = actual, normal, left, 0


class Event:
    """A note, a chord or (with no pitches) a rest while it is read.

    `ratios` are the lengths of a chord's notes relative to the first, where they differ.
    """

    __slots__ = ("first", "group", "length", "onset", "pitches", "ratios", "symbol", "ties")

    def __init__(self, pitches: list[Pitch], length: Fraction, group: Group | None) -> None:
        self.pitches, self.length, self.group = pitches, length, group
        self.symbol: ChordSymbol | None = None
        self.onset = Fraction(0)
        self.ties = [False] * len(pitches)
        self.ratios: list[Fraction] | None = None
        self.first = group is not None and group.count == 0
        if group is not None:
            group.count += 1
            group.left -= 1
            self.length *= Fraction(group.normal, group.actual)


class Voice:
    """The state of one voice. Methods raise ValueError where the tune makes no sense."""

    def __init__(self) -> None:
        self.name, self.program, self.is_drum, self.octave = "", 0, False, 0
        self.unit = Fraction(1, 2)
        self.meter: Meter | None = None
        self.time = Fraction(0)
        self.scale: Fraction | None = None  # what `>` left for the next note
        self.group: Group | None = None
        self.symbol: ChordSymbol | None = None  # for the next note
        self.pending: Event | None = None  # its length may still be changed by `>`
        self.previous: Event | None = None
        self.events: list[Event] = []
        self.bars: list[Bar] = []
        self.keys: list[tuple[Fraction, Key | None]] = []
        self.meters: list[tuple[Fraction, Meter | None]] = []
        self._signature = signature(KeyField(None))
        self._accidentals: dict[object, int] = {}
        self._bar_start = self._longest = Fraction(0)
        self._overlay: tuple[Fraction, Fraction] | None = None  # an overlay of bars: its start and end so far

    def copy(self) -> "Voice":
        """Return a voice of its own with the same settings and no music yet."""
        twin = copy.copy(self)
        twin.events, twin.bars = [], []
        twin.keys, twin.meters = list(self.keys), list(self.meters)
        twin._accidentals = {}
        return twin

    def change_key(self, found: KeyField) -> None:
        """Put a key in force from here."""
        self.flush()
        self.keys.append((self.time, found.key))
        self._signature = signature(found)

    def change_meter(self, meter: Meter | None) -> None:
        """Put a meter in force from here."""
        self.flush()
        self.meter = meter
        self.meters.append((self.time, meter))

    def sounding(self, step: str, octave: int, sign: str | None, propagate: str) -> Pitch:
        """Return the pitch a written note sounds: its own accidental, or a tie's, the bar's or the key's."""
        octave += self.octave
        place: object = (step, octave) if propagate == "octave" else step
        if sign:
            alter = ALTERS[sign]
            if propagate != "not":
                self._accidentals[place] = alter
        else:
            tied = self._tied_alter(step, octave)
            alter = self._accidentals.get(place, self._signature[step]) if tied is None else tied
        pitch: Pitch = _pitch(step, alter, octave)
        if not 0 <= pitch.midi <= 127:
            raise ValueError(f"the note {pitch.name} is outside the range of MIDI")
        return pitch

    def _tied_alter(self, step: str, octave: int) -> int | None:
        before = self.pending or self.previous
        if before is None or True not in before.ties:
            return None
        for pitch, tie in zip(before.pitches, before.ties, strict=True):
            if tie and pitch.step == step and pitch.octave == octave:
                return pitch.alter
        return None

    def add(self, event: Event) -> None:
        """Take a note in hand, lengthened or shortened as a `>` before it says."""
        self.flush()
        if self.scale is not None:
            event.length *= self.scale
            self.scale = None
        event.symbol, self.symbol = self.symbol, None
        self.pending = event
        if self.group is not None and self.group.left == 0:
            self.group = None

    def flush(self) -> None:
        """Give the note in hand its place in time."""
        event = self.pending
        if event is None:
            return
        if not SHORTEST <= event.length <= LONGEST:
            raise ValueError(f"a note of {event.length} quarters")
        event.onset = self.time
        self.time += event.length
        self.events.append(event)
        self.previous, self.pending = event, None

    def break_rhythm(self, factor: Fraction) -> None:
        """Make the note in hand `factor` times as long and the next one shorter or longer to match."""
        if self.pending is None or self.scale is not None:
            raise ValueError("< or > must stand between two notes of a bar")
        self.pending.length *= factor
        self.scale = 2 - factor

    def tie(self) -> None:
        """Tie the note or chord before to the next."""
        event = self.pending or self.previous
        if event is not None:
            event.ties = [True] * len(event.ties)

    def bar_line(self, kind: str = "", ending: str = "") -> None:
        """End the bar; with no kind it only ends, as at the end of the tune."""
        self.flush()
        self.time = max(self.time, self._longest)
        self._bar_start = self._longest = self.time
        self._accidentals.clear()
        if self.group is not None:  # tuplets are kept inside their bars
            self.group = Group(self.group.actual, self.group.normal, self.group.left)
        if kind:
            self.bars.append(Bar(self.time, kind, ending))

    @property
    def is_at_bar(self) -> bool:
        """Whether a bar line, or the start of the tune, comes right before."""
        return self.pending is None and self.time == self._bar_start

    def overlay(self) -> None:
        """Go back to the start of the bar, or of an open overlay of bars, for a further line of notes."""
        self.flush()
        if self._overlay is None:
            self._longest = max(self._longest, self.time)
        else:
            start, end = self._overlay
            self._overlay = start, max(end, self.time)
            self._bar_start = self._longest = start
        self.time = self._bar_start
        self.previous = self.group = None
        self._accidentals.clear()

    def open_overlay(self) -> None:
        """Remember this place, to which overlays go back until `close_overlay`."""
        self.flush()
        self._overlay = self.time, self.time

    def close_overlay(self) -> None:
        """Go on after the longest line of an overlay."""
        if self._overlay is None:
            raise ValueError("&) without (& before it")
        self.flush()
        self.time = max(self.time, self._overlay[1])
        self._overlay = None

    def build_notes(self) -> list[Note]:
        """Return its notes and rests, ordered."""
        notes = []
        for event in self.events:
            group = event.group
            tuplet = Tuplet(group.actual, group.normal, group.count) if group and event.first else None
            if not event.pitches:
                notes.append(Note(event.onset, event.length, None, False, tuplet))
            for index, pitch in enumerate(event.pitches):
                length = event.length * event.ratios[index] if event.ratios else event.length
                notes.append(Note(event.onset, length, pitch, event.ties[index], tuplet))
        return order_notes(notes)


def order_notes(notes: Sequence[Note]) -> list[Note]:
    """Order notes by onset, then upwards, rests first."""
    return sorted(notes, key=lambda note: (note.onset, -1 if note.pitch is None else note.pitch.midi))


def build_piece(
    title: str, voices: Sequence[Voice], tempos: Sequence[tuple[Fraction, float]], omitted: Mapping[str, int]
) -> Piece:
    """Put voices together as a piece; bar lines, keys and meters are those of the first with notes.

    Raises:
        ValueError: If there is no note.
    """
    counts = dict(omitted)
    parts = []
    for voice in voices:
        notes, slurs = tidy_ties(voice.build_notes())
        if slurs:
            counts["slurs written as ties"] = counts.get("slurs written as ties", 0) + slurs
        parts.append(Part(notes, voice.name, voice.program, voice.is_drum))
    if not any(note.pitch for part in parts for note in part.notes):
        raise ValueError("the tune has no notes")
    if silent := sum(not any(note.pitch for note in part.notes) for part in parts):
        counts[EMPTY_TRACKS] = silent
    leader = next(voice for voice, part in zip(voices, parts, strict=True) if part.notes)
    return Piece(
        parts=tuple(part for part in parts if part.notes),
        title=title,
        keys=tidy_changes(leader.keys),
        meters=tidy_changes(leader.meters),
        tempos=tidy_changes(tempos),
        bars=tidy_bars(leader.bars),
        chords=tidy_symbols(
            (event.onset, event.symbol) for voice in voices for event in voice.events if event.symbol
        ),
        omitted=tuple(sorted(counts.items())),
    )

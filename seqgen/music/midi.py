"""MIDI files to pieces and back, through symusic. Times become exact quarters; velocities are kept."""

import struct
from collections.abc import Iterable
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.errors import CorpusError
from seqgen.files import unreadable
from seqgen.music.pieces import (
    EMPTY_TRACKS,
    MAX_BEATS,
    METER_UNITS,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    key_of_signature,
    spelling,
    tidy_changes,
)
from seqgen.music.playback import DEFAULT_TEMPO

if TYPE_CHECKING:
    from symusic import Score

TICKS = 480
"""Ticks a quarter in MIDI files written here, unless a piece needs a finer grid."""
VELOCITY = 80
"""The velocity of notes that have none of their own."""
SUSTAIN = 64
"""The number of the controller that is the sustain pedal."""
_PRESSED = 64
LONGEST = 50_000
"""The quarters after which a file is taken to be broken: seven hours at 120 a minute."""
DEFAULT_METER = Meter(4, 4)
"""What a MIDI file means that names none, as the standard has it."""


def read_midi(path: Path) -> Piece:
    """Read a Standard MIDI File.

    Raises:
        CorpusError: If it is broken (with the byte where that can be told) or holds no notes.
    """
    from symusic import Score

    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(unreadable(path, error)) from error
    try:
        score = Score.from_midi(data)
        piece = piece_of_score(score, title=path.stem)
    except (RuntimeError, ValueError, UnicodeError) as error:
        raise CorpusError(f"{path}: {_find_fault(data) or _first_line(error)}") from error
    if not piece.note_count:
        raise CorpusError(f"{path}: {_find_fault(data) or 'a MIDI file with no notes'}")
    if piece.duration > LONGEST:
        raise CorpusError(
            f"{path}: a note ends after {int(piece.duration)} quarters; the file must be broken"
        )
    return piece


def _first_line(error: Exception) -> str:
    if "Division type" in str(error):
        return "its times are in seconds (SMPTE), not in beats; export it with ticks a quarter"
    reason = (str(error).splitlines() or ["unknown fault"])[0].removesuffix(": iostream error")
    return f"broken MIDI file: {reason.removeprefix('MiniMidi: ')}"


def _find_fault(data: bytes) -> str | None:
    """Walk the chunks of a MIDI file and say where they go wrong, None if they do not."""
    if not data:
        return "the file is empty"
    if data[:4] != b"MThd" or len(data) < 14:
        return "not a MIDI file: it does not begin with MThd and a header"
    place = 8 + struct.unpack(">I", data[4:8])[0]
    while place + 8 <= len(data):
        length = struct.unpack(">I", data[place + 4 : place + 8])[0]
        if place + 8 + length > len(data):
            left = len(data) - place - 8
            return (
                f"truncated MIDI file: the chunk at byte {place} should have {length} bytes, {left} are left"
            )
        place += 8 + length
    return None


def piece_of_score(score: "Score", *, title: str = "") -> Piece:
    """Turn a symusic score in ticks into a piece, pitches spelled by the key in force at the start."""
    ticks = _ticks_per_quarter(score)
    omitted: dict[str, int] = {}
    keys = tidy_changes((Fraction(item.time, ticks), _key(item)) for item in _ordered(score.key_signatures))
    fifths = keys[0][1].fifths if keys and keys[0][1] else 0
    parts = [_part(track, ticks, fifths, omitted) for track in score.tracks]
    _count_controls(score, omitted)
    kept = tuple(part for part in parts if part.notes)
    if len(kept) < len(parts):
        omitted[EMPTY_TRACKS] = len(parts) - len(kept)
    return Piece(
        parts=kept,
        title=title,
        keys=keys,
        meters=meters_of_score(score),
        tempos=tempos_of_score(score),
        omitted=tuple(sorted(omitted.items())),
    )


def _ticks_per_quarter(score: "Score") -> int:
    ticks: int = score.ticks_per_quarter
    if ticks <= 0:
        raise ValueError(f"{ticks} ticks a quarter; files timed in seconds (SMPTE) are not read")
    return ticks


def meters_of_score(score: "Score") -> tuple[tuple[Fraction, Meter], ...]:
    """Return the meters of a symusic score in ticks; ones that no meter can be are left out."""
    ticks = _ticks_per_quarter(score)
    meters = [
        (Fraction(item.time, ticks), Meter(item.numerator, item.denominator))
        for item in _ordered(score.time_signatures)
        if 1 <= item.numerator <= MAX_BEATS and item.denominator in METER_UNITS
    ]
    return tidy_changes([(Fraction(0), DEFAULT_METER), *meters])


def tempos_of_score(score: "Score") -> tuple[tuple[Fraction, float], ...]:
    """Return the tempos of a symusic score in ticks."""
    ticks = _ticks_per_quarter(score)
    found = [
        (Fraction(item.time, ticks), round(item.qpm, 3)) for item in _ordered(score.tempos) if item.qpm > 0
    ]
    return tidy_changes([(Fraction(0), DEFAULT_TEMPO), *found])


def _ordered(items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=lambda item: item.time)


def _key(item: Any) -> Key | None:
    return key_of_signature(item.key, "minor" if item.tonality else "major") if abs(item.key) <= 7 else None


def _part(track: Any, ticks: int, fifths: int, omitted: dict[str, int]) -> Part:
    columns = track.notes.numpy()
    spelled = spelling(fifths)
    quarters: dict[int, Fraction] = {}  # Fractions are dear, and times come again
    notes = []
    rows = zip(*(columns[name].tolist() for name in ("time", "pitch", "duration", "velocity")), strict=True)
    for time, pitch, duration, velocity in sorted(rows):
        if duration <= 0 or time < 0:
            omitted["notes without length"] = omitted.get("notes without length", 0) + 1
            continue
        onset = quarters.get(time)
        if onset is None:
            onset = quarters[time] = Fraction(time, ticks)
        length = quarters.get(duration)
        if length is None:
            length = quarters[duration] = Fraction(duration, ticks)
        notes.append(Note(onset, length, spelled[pitch], False, None, max(1, velocity)))
    return Part(
        tuple(notes),
        track.name.strip("\0 "),
        max(0, min(127, track.program)),
        track.is_drum,
        tuple((Fraction(start, ticks), Fraction(end - start, ticks)) for start, end in _pedals(track)),
    )


def _pedals(track: Any) -> list[tuple[int, int]]:
    """Return when the sustain pedal is pressed and released, in ticks.

    symusic's own pedals of a file begin at 0 in all tracks but the first, so they are only used where there
    are no controls, as in what MidiTok decodes. A pedal that is never released ends with the last note.
    """
    columns = track.controls.numpy()
    mine = columns["number"] == SUSTAIN
    if not mine.any():
        found = [(pedal.time, pedal.time + pedal.duration) for pedal in _ordered(track.pedals)]
        return [(start, end) for start, end in found if 0 <= start < end]
    rows = zip(columns["time"][mine].tolist(), columns["value"][mine].tolist(), strict=True)
    found, start = [], None
    for time, value in [*sorted(rows, key=lambda row: row[0]), (track.end(), 0)]:
        if value >= _PRESSED and start is None:
            start = time
        elif value < _PRESSED and start is not None:
            found.append((start, time))
            start = None
    return [(start, end) for start, end in found if 0 <= start < end]


def _count_controls(score: "Score", omitted: dict[str, int]) -> None:
    controls = sum(int((track.controls.numpy()["number"] != SUSTAIN).sum()) for track in score.tracks)
    others = [
        (what, sum(len(getattr(track, what)) for track in score.tracks)) for what in ("pitch_bends", "lyrics")
    ]
    for what, count in (("controls", controls), *others):
        if count:
            omitted[what.replace("_", " ")] = count
    if len(score.markers):
        omitted["markers"] = len(score.markers)


def score_of_piece(piece: Piece, ticks: int | None = None) -> "Score":
    """Turn a piece without repeats and ties into a symusic score; `ticks` a quarter are chosen for it."""
    from symusic import KeySignature, Score, Tempo, TimeSignature

    ticks = ticks or choose_ticks(piece)
    score = Score(ticks)
    for onset, meter in piece.meters:
        if meter is not None:
            score.time_signatures.append(TimeSignature(_ticks(onset, ticks), meter.beats, meter.unit))
    for onset, key in piece.keys:
        if key is not None and abs(key.fifths) <= 7:
            minor = int(key.mode == "minor")
            score.key_signatures.append(KeySignature(_ticks(onset, ticks), key.fifths, minor))
    for onset, tempo in piece.tempos:
        score.tempos.append(Tempo(_ticks(onset, ticks), tempo))
    for part in piece.parts:
        score.tracks.append(_track(part, ticks))
    return score


def _ticks(onset: Fraction, ticks: int) -> int:
    return round(onset * ticks)


def choose_ticks(piece: Piece) -> int:
    """Return the ticks a quarter that place every note exactly, 480 where that takes more than 32,767."""
    notes = [note for part in piece.parts for note in part.notes]
    exact = lcm(*{note.onset.denominator for note in notes}, *{note.duration.denominator for note in notes})
    return TICKS if TICKS % exact == 0 or exact > 0x7FFF else exact * max(1, TICKS // exact)


def _track(part: Part, ticks: int) -> Any:
    import numpy as np
    from symusic import ControlChange, Pedal, Track
    from symusic import Note as SymusicNote

    rows = [
        (
            round(note.onset * ticks),
            max(1, round(note.duration * ticks)),
            note.pitch.midi,
            note.velocity or VELOCITY,
        )
        for note in part.notes
        if note.pitch is not None
    ]
    table = np.array(rows, dtype=np.int32).reshape(-1, 4)
    notes = SymusicNote.from_numpy(
        time=table[:, 0].copy(),
        duration=table[:, 1].copy(),
        pitch=table[:, 2].astype(np.int8),
        velocity=table[:, 3].astype(np.int8),
    )
    track = Track(part.name, part.program, part.is_drum)
    track.notes = notes
    for onset, duration in part.pedals:
        start, end = _ticks(onset, ticks), _ticks(onset + duration, ticks)
        track.pedals.append(Pedal(start, max(1, end - start)))
        track.controls.append(ControlChange(start, SUSTAIN, 127))  # what a file has instead of pedals
        track.controls.append(ControlChange(max(start + 1, end), SUSTAIN, 0))
    return track

"""MIDI files to REMI tokens by arrays: what MidiTok makes of their pieces, many times as fast.

MidiTok itself is asked, once, for the tokens of all durations, velocities and tempos. What is rare is left to
it altogether: several tempos, meters that change within a bar or between units, sustain pedals, several parts
that become one, and broken files.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.music.midi import LONGEST, meters_of_score, tempos_of_score
from seqgen.music.pieces import Meter
from seqgen.music.remi import MOST_BEATS, RemiEncoding, in_quarters, miditok_tokens

if TYPE_CHECKING:
    from symusic import Score

Integers = NDArray[np.int64]
_BEATS_TOLD_APART = 64
"""A longer duration has the token of this one."""


class _Tables(NamedTuple):
    """Tokens by what they stand for; durations are in positions."""

    durations: NDArray[np.object_]
    velocities: NDArray[np.object_]
    pitches: NDArray[np.object_]
    drums: NDArray[np.object_]


def midi_tokens(path: Path, encoding: RemiEncoding) -> list[str] | None:
    """Return the tokens of a MIDI file, None if MidiTok has to make them of its piece."""
    from symusic import Score

    try:
        score = Score.from_midi(path.read_bytes())
        return score_tokens(score, encoding)
    except (OSError, RuntimeError, ValueError, UnicodeError):
        return None  # the reader of pieces says what is wrong


def score_tokens(score: "Score", encoding: RemiEncoding) -> list[str] | None:
    """Return the tokens of a score, None if MidiTok has to make them of its piece.

    Raises:
        ValueError: If its times are no ticks.
    """
    meters = [(at, in_quarters(meter)) for at, meter in meters_of_score(score)]
    tempos = tempos_of_score(score)
    units = {meter.unit for _, meter in meters}
    if (encoding.tempos and len(tempos) != 1) or len(units) != 1:
        return None
    if encoding.pedals and any(len(track.pedals) for track in score.tracks):
        return None
    (unit,) = units
    ticks = score.ticks_per_quarter
    starts = [round(at * encoding.grid) for at, _ in meters]
    bars = _lay_bars(starts, [meter for _, meter in meters], encoding.grid)
    notes = _read_notes(score, ticks, encoding.grid)
    if bars is None or notes is None:
        return None
    if not encoding.programs and (notes.tracks.any() or notes.programs[0] == -1):
        return None
    head = _head(encoding, tempos[0][1], unit)
    words = _note_tokens(notes, encoding, _tables(encoding, unit))
    return _write(notes.onsets, words, bars, head, unit=unit)


class _Bars(NamedTuple):
    """Sections of one meter each: where they start, how long their bars are, and the tokens of a bar line."""

    starts: Sequence[int]
    lengths: Sequence[int]
    lines: Sequence[list[str]]


def _lay_bars(starts: Sequence[int], meters: Sequence[Meter], grid: int) -> _Bars | None:
    lengths = []
    for number, meter in enumerate(meters):
        length = meter.bar_quarters * grid
        following = starts[number + 1] - starts[number] if number + 1 < len(starts) else length
        if length.denominator != 1 or following <= 0 or following % length:
            return None
        if not 1 <= meter.beats <= MOST_BEATS.get(meter.unit, 0):
            return None
        lengths.append(int(length))
    return _Bars(starts, lengths, [["Bar_None", f"TimeSig_{meter.name}"] for meter in meters])


class _Notes(NamedTuple):
    """Notes in the order of their tokens, (N,): times in positions, and the number of the track."""

    onsets: Integers
    durations: Integers
    pitches: Integers
    velocities: Integers
    tracks: Integers
    programs: Sequence[int]
    """Of each track; -1 for drums."""


def _read_notes(score: "Score", ticks: int, grid: int) -> _Notes | None:
    """Return the notes on the grid, None if there are none or the file is broken."""
    names = ("time", "duration", "pitch", "velocity")
    columns: dict[int, list[Integers]] = {}
    for track in score.tracks:
        arrays = track.notes.numpy()
        table = np.stack([arrays[name] for name in names]).astype(np.int64)
        table = table[:, (table[1] > 0) & (table[0] >= 0)]
        if table.size:
            program = -1 if track.is_drum else max(0, min(127, track.program))
            columns.setdefault(program, []).append(table)
    found = []
    for number, tracks in enumerate(columns.values()):
        time, duration, pitch, velocity = np.concatenate(tracks, axis=1)
        if (time + duration).max() > LONGEST * ticks:
            return None
        onset = np.rint(time * grid / ticks).astype(np.int64)
        length = np.maximum(1, np.rint(duration * grid / ticks).astype(np.int64))
        velocity = np.maximum(velocity, 1)
        # MidiTok sorts tracks of one program that it joins by duration first; a piece sorts by pitch first.
        keys = (pitch, length) if len(tracks) > 1 else (velocity, duration, pitch, time)
        order = np.lexsort((*keys, onset))
        track = np.full(len(order), number)
        found.append(np.stack([onset[order], length[order], pitch[order], velocity[order], track]))
    if not found:
        return None
    joined = np.concatenate(found, axis=1)
    onset, length, pitch, velocity, track = joined[:, np.argsort(joined[0], kind="stable")]
    return _Notes(onset, length, pitch, velocity, track, list(columns))


def _note_tokens(notes: _Notes, encoding: RemiEncoding, tables: _Tables) -> NDArray[np.object_]:
    """Return the tokens of every note, (N, K)."""
    columns = []
    if encoding.programs:
        programs = np.array([f"Program_{program}" for program in notes.programs], dtype=object)
        columns.append(programs[notes.tracks])
    is_drum = np.array(notes.programs)[notes.tracks] == -1
    columns.append(np.where(is_drum, tables.drums[notes.pitches], tables.pitches[notes.pitches]))
    if encoding.velocities:
        columns.append(tables.velocities[notes.velocities])
    columns.append(tables.durations[np.minimum(notes.durations, len(tables.durations) - 1)])
    return np.stack(columns, axis=1)


def _write(
    onsets: Integers, words: NDArray[np.object_], bars: _Bars, head: list[str], *, unit: int
) -> list[str]:
    flat, width = words.ravel().tolist(), words.shape[1]
    edges = [*np.flatnonzero(np.diff(onsets, prepend=-1)).tolist(), len(onsets)]
    times = onsets[edges[:-1]].tolist()
    tokens = [*bars.lines[0], *(["Position_0", *head] if head else [])]
    section, line, last = 0, 0, len(bars.starts) - 1
    for number, time in enumerate([*times, max(times[-1], bars.starts[-1])]):
        while True:  # bar lines up to this time
            length = bars.lengths[section]
            stop = bars.starts[section + 1] if section < last else time + 1
            count = (min(time, stop - 1) - line) // length
            tokens += bars.lines[section] * count
            line += count * length
            if section == last or time < stop:
                break
            section, line = section + 1, stop
            tokens += bars.lines[section]
        if number < len(times):
            if time or not head:
                tokens.append(f"Position_{(time - line) * unit // 4}")
            tokens += flat[width * edges[number] : width * edges[number + 1]]
    return tokens


@lru_cache(maxsize=16)
def _tables(encoding: RemiEncoding, unit: int) -> _Tables:
    longest = _BEATS_TOLD_APART * encoding.grid * 4 // unit + 1
    durations = _ask(encoding, unit, [(80, length) for length in range(1, longest + 1)])
    velocities = _ask(encoding, unit, [(velocity, 1) for velocity in range(1, 128)])
    return _Tables(
        np.array(["", *_of_kind(durations, "Duration")], dtype=object),
        np.array(["", *_of_kind(velocities, "Velocity")], dtype=object),
        np.array([f"Pitch_{midi}" for midi in range(128)], dtype=object),
        np.array([f"PitchDrum_{midi}" for midi in range(128)], dtype=object),
    )


@lru_cache(maxsize=1024)
def _head(encoding: RemiEncoding, tempo: float, unit: int) -> list[str]:
    """Return the token of the tempo, nothing without tempos."""
    return _of_kind(_ask(encoding, unit, [(80, 1)], tempo), "Tempo")


def _of_kind(tokens: Sequence[str], kind: str) -> list[str]:
    return [token for token in tokens if token.startswith(f"{kind}_")]


def _ask(
    encoding: RemiEncoding, unit: int, notes: Sequence[tuple[int, int]], tempo: float = 120.0
) -> list[str]:
    """Return the tokens that MidiTok makes of notes of such velocities and durations, one after the other."""
    from symusic import Note, Score, Tempo, TimeSignature, Track

    score = Score(encoding.grid)
    score.time_signatures.append(TimeSignature(0, 4, unit))
    score.tempos.append(Tempo(0, tempo))
    track = Track()
    for number, (velocity, length) in enumerate(notes):
        track.notes.append(Note(number, length, 60, velocity))
    score.tracks.append(track)
    return miditok_tokens(score, encoding)

"""Collections of frames in JSON, as the JSB chorales of Boulanger-Lewandowski et al. (2012) come.

    {"train": [piece, ...], "valid": [...], "test": [...]}

A piece is a list of frames, a frame a list of MIDI notes. Where every frame of a piece has the same number of
them, they are voices, and -1 is silence; else they are what sounds at that time. Frames are sixteenths unless
the name of the file says `8th` or `quarter`. Whether a note that comes twice is held or repeated is not
told: it is taken to be held.
"""

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

from seqgen.errors import CorpusError
from seqgen.files import unreadable
from seqgen.music.pieces import Note, Part, Piece, spelling

PARTS = ("train", "valid", "test")
VOICES = ("Soprano", "Alto", "Tenor", "Bass")
CHOIR = 52
"""The General MIDI program of a choir."""
_HEAD = re.compile(rb'\s*\{\s*"(?:train|valid|test)"\s*:\s*\[\s*\[\s*\[')


def holds_frames(head: bytes) -> bool:
    """Say whether a JSON file that begins so is a collection of frames."""
    return _HEAD.match(head) is not None


def split_frames(path: Path) -> list[tuple[str, str, str]]:
    """Return part, title and JSON text of every piece of a collection.

    Raises:
        CorpusError: If the file is none.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise CorpusError(unreadable(path, error)) from error
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(found, dict) or not set(found) <= set(PARTS):
        raise CorpusError(f"{path}: no collection of frames: expected train, valid and test with pieces")
    return [
        (part, f"{part} {number}", json.dumps(piece))
        for part in PARTS
        for number, piece in enumerate(found.get(part, []), start=1)
    ]


def read_frames(text: str, *, source: str, title: str) -> Piece:
    """Read one piece.

    Raises:
        CorpusError: If it is no list of frames with at least one note.
    """
    frames = json.loads(text)
    if not _are_frames(frames):
        raise CorpusError(f"{source}: {title}: expected a list of frames, lists of MIDI notes")
    name = Path(source).stem
    length = Fraction(1, 1 if "quarter" in name else 2 if "8th" in name else 4)
    sizes = {len(frame) for frame in frames}
    if len(sizes) == 1 and 1 < (voices := sizes.pop()) <= 16:
        names = VOICES if voices == len(VOICES) else [f"Voice {number + 1}" for number in range(voices)]
        parts = [
            Part(_line([frame[voice] for frame in frames], length), names[voice], CHOIR)
            for voice in range(voices)
        ]
    else:
        parts = [Part(_chords(frames, length), program=CHOIR)]
    piece = Piece(parts=tuple(parts), title=title)
    if not piece.note_count:
        raise CorpusError(f"{source}: {title}: it holds no notes")
    return piece


def _are_frames(frames: Any) -> bool:
    return isinstance(frames, list) and all(
        isinstance(frame, list)
        and all(isinstance(midi, int | float) and midi == int(midi) and -1 <= midi <= 127 for midi in frame)
        for frame in frames
    )


def _line(pitches: Sequence[int], length: Fraction) -> tuple[Note, ...]:
    notes, frame = [], 0
    for midi, run in groupby(pitches):
        count = len(list(run))
        pitch = spelling(0)[int(midi)] if midi >= 0 else None
        notes.append(Note(frame * length, count * length, pitch))
        frame += count
    return tuple(notes)


def _chords(frames: Sequence[Sequence[int]], length: Fraction) -> tuple[Note, ...]:
    """Return the notes of a piano roll, each as long as its pitch sounds without a break."""
    notes, begun = [], dict[int, int]()
    for number, frame in enumerate([*frames, []]):
        sounding = {int(midi) for midi in frame if midi >= 0}
        for midi in sorted(set(begun) - sounding):
            start = begun.pop(midi)
            notes.append(Note(start * length, (number - start) * length, spelling(0)[midi]))
        begun |= dict.fromkeys(sounding - set(begun), number)
    return tuple(sorted(notes, key=lambda note: (note.onset, note.pitch.midi if note.pitch else -1)))

"""Music files to pieces: ABC and frames here, MIDI through symusic, MusicXML and kern through music21.

Reading has two steps, so that many files can be parsed in parallel: `split_music` is cheap and says what a
file holds, `parse_unit` is pure and does the work.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from seqgen.errors import CorpusError
from seqgen.files import missing, unreadable
from seqgen.music.frames import read_frames, split_frames
from seqgen.music.pieces import Piece

ABC_SUFFIXES = frozenset({".abc"})
MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar"})
SCORE_SUFFIXES = frozenset({".musicxml", ".xml", ".mxl", ".krn"})
FRAME_SUFFIXES = frozenset({".json"})
MUSIC_SUFFIXES = ABC_SUFFIXES | MIDI_SUFFIXES | SCORE_SUFFIXES

_TUNE = re.compile(r"X:")
_TUNE_FIELD = re.compile(r"[KMLT]:")
_FILE_FIELD = re.compile(r"[A-Z]:|%%")


@dataclass(frozen=True, slots=True)
class MusicUnit:
    """One tune of a file: an ABC file holds many, other files one."""

    path: Path
    title: str = ""
    line: int = 1
    """Where the tune begins in an ABC file."""
    text: str = ""
    """The text of an ABC tune, the JSON of frames; empty for other kinds, which are read from the path."""
    header: str = ""
    """Fields at the head of an ABC file, which hold for all of its tunes."""
    part: str | None = None
    """The part of a corpus that it belongs to, where the file says so."""

    @property
    def place(self) -> str:
        """Where it is, for messages: path and line of an ABC tune, else the path."""
        return f"{self.path}:{self.line}" if self.text else str(self.path)


def split_music(path: Path) -> list[MusicUnit]:
    """List the tunes of a file without parsing them.

    Raises:
        CorpusError: If the file is missing, of an unknown kind, or an ABC file without a tune.
    """
    suffix = path.suffix.lower()
    if suffix in ABC_SUFFIXES:
        return _split_abc(path)
    if suffix in FRAME_SUFFIXES:
        return [MusicUnit(path, title, text=text, part=part) for part, title, text in split_frames(path)]
    if suffix not in MUSIC_SUFFIXES:
        raise CorpusError(f"{path}: not a kind of music file; known: {', '.join(sorted(MUSIC_SUFFIXES))}")
    if not path.is_file():
        raise CorpusError(missing(path))
    return [MusicUnit(path, path.stem)]


def parse_unit(unit: MusicUnit) -> Piece:
    """Read one tune.

    Raises:
        CorpusError: With the place, if it cannot be read or holds no notes.
    """
    if unit.path.suffix.lower() in FRAME_SUFFIXES:
        return read_frames(unit.text, source=str(unit.path), title=unit.title)
    if unit.text:
        from seqgen.music.abc_reader import read_tune

        return read_tune(unit.text, source=str(unit.path), line=unit.line, header=unit.header)
    if unit.path.suffix.lower() in MIDI_SUFFIXES:
        from seqgen.music.midi import read_midi

        return read_midi(unit.path)
    from seqgen.music.score_reader import read_score

    return read_score(unit.path)


def _split_abc(path: Path) -> list[MusicUnit]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(unreadable(path, error)) from error
    if not data.strip():
        raise CorpusError(f"{path}: the file is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = re.split(r"\r\n|\n|\r", text)
    starts = [number for number, line in enumerate(lines) if _TUNE.match(line)]
    if not starts and any(_TUNE_FIELD.match(line) for line in lines):
        starts = [0]
    if not starts:
        raise CorpusError(f"{path}: no tune: an ABC tune begins with a line such as X:1")
    header = [line for line in lines[: starts[0]] if _FILE_FIELD.match(line)]
    units = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = lines[start:end]
        title = next((line[2:].strip() for line in body if line.startswith("T:")), "")
        units.append(MusicUnit(path, title, start + 1, "\n".join(body), "\n".join(header)))
    return units

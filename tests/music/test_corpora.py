"""Every real file is read or refused with a CorpusError, and what is read survives encoding and writing.

The files lie beside the repository, or in music21; a test whose files are absent is skipped.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seqgen.errors import CorpusError
from seqgen.music.abc_reader import read_tune
from seqgen.music.melody import MelodyEncoding, melody_of, suits_melody
from seqgen.music.pieces import Note, Piece
from seqgen.music.playback import join_ties
from seqgen.music.read import MUSIC_SUFFIXES, parse_unit, split_music
from seqgen.music.remi import RemiEncoding
from seqgen.music.write import write_abc

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ENCODING = MelodyEncoding()
WITH_CHORDS = MelodyEncoding(chords=True)


def folder(name: str) -> Path:
    """Find a folder of the shared data or of music21's corpus, or skip."""
    import music21

    for root in (SHARED, Path(music21.__file__).parent / "corpus"):
        if (root / name).is_dir():
            return root / name
    pytest.skip(f"no folder {name} in {SHARED}")


def pieces(name: str, *, sample: int = 1) -> Iterator[tuple[str, Piece | CorpusError]]:
    """Read every tune of a folder, or of every `sample`-th file."""
    files = sorted(path for path in folder(name).rglob("*") if path.suffix.lower() in MUSIC_SUFFIXES)
    for path in files[::sample]:
        try:
            units = split_music(path)
        except CorpusError as error:
            yield str(path), error
            continue
        for unit in units:
            try:
                yield unit.place, parse_unit(unit)
            except CorpusError as error:
                yield unit.place, error


def melody(piece: Piece) -> list[Note]:
    return [replace(note, tuplet=None) for note in join_ties(piece.parts[0].notes) if note.pitch]


def check(name: str, *, refused: int, sample: int = 1) -> None:
    """Read a folder and hold each tune to the laws; `refused` is how many tunes may be unreadable."""
    errors = []
    for place, piece in pieces(name, sample=sample):
        if isinstance(piece, CorpusError):
            errors.append(str(piece))
            continue
        assert piece.note_count, place
        if suits_melody(piece):
            assert ENCODING.decode(ENCODING.encode(piece)) == melody_of(piece), place
            kept = melody_of(piece, chords=True)
            assert WITH_CHORDS.decode(WITH_CHORDS.encode(piece)) == kept, place
            again = read_tune(write_abc([piece]), source=place)
            assert (melody(again), again.chords) == (melody(piece), kept.chords), place
    assert all("\n" not in error for error in errors)
    assert len(errors) <= refused, errors


def test_a_sample_of_nottingham_is_read_without_loss():
    check("nottingham_abc", refused=1, sample=9)


def test_odd_abc_files_are_read_or_refused():
    check("abc_tests", refused=14)


def test_odd_midi_files_are_read_or_refused():
    check("midi_jazzsoft_conformance", refused=20)


def test_a_sample_of_odd_scores_is_read_or_refused():
    check("musicxml_suite", refused=3, sample=11)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("nottingham_abc", 2),
        ("irish_abc", 2),
        ("ryansMammoth", 10),
        ("oneills1850", 1),
        ("essenFolksong", 10),
        ("musicxml_suite", 20),
        ("midi_symusic_tests", 2),
        ("midi_misc_tests", 0),
        ("nottingham_midi", 0),
        ("bach", 5),
    ],
)
def test_a_whole_collection_is_read_without_loss(name, refused):
    check(name, refused=refused)


@pytest.mark.slow
def test_nottingham_midi_survives_remi_to_the_nearest_place():
    encoding = RemiEncoding()
    for place, piece in pieces("nottingham_midi", sample=10):
        assert not isinstance(piece, CorpusError)
        again = encoding.decode(encoding.encode(piece))
        assert places(again, encoding.grid) == places(piece, encoding.grid), place


def places(piece: Piece, grid: int) -> list[tuple[int, int]]:
    notes = (note for part in piece.parts for note in part.notes if note.pitch)
    return sorted((round(note.onset * grid), note.pitch.midi) for note in notes if note.pitch)

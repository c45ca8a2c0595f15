"""Music files to units and pieces."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.errors import CorpusError
from seqgen.music.pieces import Meter
from seqgen.music.read import parse_unit, split_music
from seqgen.music.write import write_midi, write_musicxml

BOOK = """%abc-2.1
M:3/4
L:1/8
X:1
T:First
K:C
CDE FGA|

X:2
T:Second
K:G
GAB cde|
X:3
T:Third
K:D
HAB|
"""


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_an_abc_file_gives_a_unit_per_tune_with_title_and_line(tmp_path):
    units = split_music(write(tmp_path / "book.abc", BOOK))
    assert [(unit.title, unit.line) for unit in units] == [("First", 4), ("Second", 9), ("Third", 13)]
    assert units[1].place.endswith("book.abc:9")


def test_what_heads_an_abc_file_holds_for_every_tune(tmp_path):
    units = split_music(write(tmp_path / "book.abc", BOOK))
    assert [parse_unit(unit).meters[0][1] for unit in units[:2]] == [Meter(3, 4), Meter(3, 4)]


def test_an_error_names_the_line_in_the_file(tmp_path):
    unit = split_music(write(tmp_path / "book.abc", BOOK.replace("HAB|", "HAB| 7")))[2]
    with pytest.raises(CorpusError, match=r"book\.abc:16: the number 7 belongs to no note"):
        parse_unit(unit)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_titles_survive_encodings_and_line_ends(tmp_path, encoding, line_end):
    text = line_end.join(["X:1", "T:Brüderchen", "K:C", "CDE|", ""])
    (unit,) = split_music(write(tmp_path / "tune.abc", text.encode(encoding)))
    assert (unit.title, parse_unit(unit).title, parse_unit(unit).note_count) == (
        "Brüderchen",
        "Brüderchen",
        3,
    )


def test_units_and_pieces_can_cross_processes(tmp_path):
    unit = pickle.loads(pickle.dumps(split_music(write(tmp_path / "book.abc", BOOK))[0]))  # noqa: S301
    piece = parse_unit(unit)
    assert pickle.loads(pickle.dumps(piece)) == piece  # noqa: S301


@pytest.mark.parametrize(
    ("name", "write_file"), [("tune.mid", write_midi), ("tune.musicxml", write_musicxml)]
)
def test_other_files_are_one_unit_of_the_same_notes(tmp_path, name, write_file):
    tune = parse_unit(split_music(write(tmp_path / "book.abc", BOOK))[0])
    (unit,) = split_music(write(tmp_path / name, write_file(tune)))
    piece = parse_unit(unit)
    assert [note.pitch for note in piece.parts[0].notes] == [note.pitch for note in tune.parts[0].notes]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tune.ogg", b"", "not a kind of music file; known: .abc, .kar, .krn"),
        ("tune.abc", b"Dear reader,\n", "no tune: an ABC tune begins with a line such as X:1"),
        ("tune.abc", b"", "the file is empty"),
    ],
)
def test_what_holds_no_music_is_refused(tmp_path, name, content, message):
    with pytest.raises(CorpusError, match=message):
        split_music(write(tmp_path / name, content))


@pytest.mark.parametrize("name", ["none.abc", "none.mid", "none.xml"])
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(CorpusError, match=r"none\.\w+: [Nn]o such file"):
        split_music(tmp_path / name)


def test_a_tune_without_a_number_is_read(tmp_path):
    (unit,) = split_music(write(tmp_path / "tune.abc", "T:Bare\nK:C\nCDE|\n"))
    assert (unit.title, parse_unit(unit).note_count) == ("Bare", 3)


def test_reading_abc_needs_no_heavy_library():
    code = (
        "import sys, seqgen.music.read, seqgen.music.abc_reader, seqgen.music.encodings, seqgen.music.write;"
        "print([name for name in ('music21', 'symusic', 'miditok', 'numpy', 'torch') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"


def test_an_abc_file_of_fields_without_x_holds_one_tune(tmp_path):
    (tmp_path / "bare.abc").write_text("T:Bare\nM:4/4\nABcd|efga|]\n")
    (unit,) = split_music(tmp_path / "bare.abc")
    assert parse_unit(unit).title == "Bare"
    assert parse_unit(unit).note_count == 8

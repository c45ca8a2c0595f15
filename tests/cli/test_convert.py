import io
import sys
import wave
import zipfile
from pathlib import Path

import pytest

from seqgen.cli.app import run
from seqgen.music.read import parse_unit, split_music

BOOK = """X:1
T:The Irish Washerwoman
M:6/8
L:1/8
K:G
d/c/ | "G"BGG DGG | BGB dcB :|

X:7
T:Über/Brücken
M:2/4
L:1/8
K:D
{g}fedc | d4 |]

X:9
T:Broken
M:2/4
K:D
fedc | 7 |]
"""


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.abc").write_text(BOOK)


def pieces(path):
    return [parse_unit(unit) for unit in split_music(path)]


def notes(piece):
    return [(note.onset, note.duration, note.pitch.midi) for note in piece.parts[0].notes if note.pitch]


def test_a_book_becomes_a_book_and_what_is_left_out_is_told(tmp_path, capsys):
    assert run(["convert", "book.abc", "out.abc"]) == 0
    found = pieces(tmp_path / "out.abc")
    assert [piece.title for piece in found] == ["The Irish Washerwoman", "Über/Brücken"]
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "seqgen: not read: book.abc: line 19: the number 7 belongs to no note",
        "seqgen: left out: grace notes (1)",
    ]


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".mxl", ".abc"])
def test_a_tune_survives_every_written_form_that_can_be_read(suffix, tmp_path):
    assert run(["convert", "book.abc", f"out{suffix}", "--tune", "2"]) == 0
    (piece,) = pieces(tmp_path / f"out{suffix}")
    assert notes(piece) == notes(pieces_of_book()[1])


def pieces_of_book():
    return [parse_unit(unit) for unit in split_music(Path("book.abc"))[:2]]


def test_sound_and_pictures_are_what_their_suffix_says(tmp_path):
    for suffix in ("wav", "svg", "png"):
        assert run(["convert", "book.abc", f"out.{suffix}", "--tune", "1"]) == 0
    with wave.open(str(tmp_path / "out.wav")) as sound:
        quarters = 2 * 6.5  # the repeat is played, at the tempo of a jig
        assert sound.getnframes() == round((quarters * 60 / 174 + 0.6) * 44_100)
    assert "The Irish Washerwoman" in (tmp_path / "out.svg").read_text()
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_takes_a_file_a_tune_named_by_number_and_title(tmp_path, capsys):
    assert run(["convert", "book.abc", "sheets", "--to", "mxl"]) == 0
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["book-001-the-irish-washerwoman.mxl", "book-002-über-brücken.mxl"]
    assert "seqgen: sheets: 2 files written" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "sheets" / names[0]) as archive:
        assert archive.namelist() == ["META-INF/container.xml", "score.musicxml"]


def test_files_of_one_name_in_different_folders_do_not_overwrite_each_other(tmp_path):
    for folder in ("a", "b"):
        run(["convert", "book.abc", f"{folder}/tune.mid", "--tune", "1"])
    assert run(["convert", "a", "b", "out/", "--to", "abc"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tune-2.abc", "tune.abc"]


def test_a_pipe_is_read_and_written(monkeypatch, capsysbinary, tmp_path):
    run(["convert", "book.abc", "tune.mid", "--tune", "1"])
    content = io.BytesIO((tmp_path / "tune.mid").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert run(["convert", "-", "-", "--to", "abc"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"X:1\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["book.abc", "out.mid"],
            "out.mid: 3 tunes, and this file holds one; choose one with --tune 1, or name a folder: "
            "tunes/ --to midi",
        ),
        (["book.abc", "out.mid", "--tune", "4"], "--tune 4: book.abc holds 3 tunes"),
        (["book.abc", "out.mid", "--tune", "3"], "book.abc: line 19: the number 7 belongs to no note"),
        (
            ["book.abc", "out.doc"],
            "out.doc: .doc files are not written; use one of .abc, .mid, .midi, .musicxml, .xml, .mxl, "
            ".wav, .svg, .png",
        ),
        (["book.abc", "out"], "out: say with --to what to write: abc, midi, musicxml, mxl, wav, svg, png"),
        (["book.abc", "book.abc"], "book.abc: this very file is to be converted; choose another name"),
        (["notes.txt", "out.mid"], "notes.txt: holds no music that seqgen reads"),
        (
            ["book.abc", "out.mid", "--soundfont", "x"],
            "--soundfont: it plays a .wav, and out.mid is to be midi",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, told, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("do re mi")
    assert run(["convert", *arguments]) == 1
    assert capsys.readouterr().err == f"seqgen: error: {told}\n"
    assert not (tmp_path / "out.mid").exists()

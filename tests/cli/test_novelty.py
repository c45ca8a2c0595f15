import json

import pytest

from seqgen.cli.app import run
from tests.corpora import sentences


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a text, an index of it, and another text of which a line is copied from it."""
    monkeypatch.chdir(tmp_path)
    lines = sentences(60)
    (tmp_path / "book.txt").write_text("\n".join(lines))
    (tmp_path / "new.txt").write_text(f"zzz\n{lines[20]}\n{lines[21]}\nqqq")
    assert run(["vocab", "book.txt", "--level", "char", "-o", "v.json"]) == 0
    assert run(["index", "book.txt", "--vocab", "v.json", "-o", "book.index", "--suffixes"]) == 0
    return tmp_path


def test_suffixes_are_added_to_an_index_that_exists(home, capsys):
    (home / "book.index" / "train.suffixes").unlink()
    assert run(["index", "book.index", "--suffixes"]) == 0
    assert "MB of suffixes" in capsys.readouterr().err
    assert (home / "book.index" / "train.suffixes").stat().st_size > 0


def test_without_a_vocabulary_there_is_no_index(home, capsys):
    assert run(["index", "book.txt", "--suffixes"]) == 2
    assert "--vocab and -o are needed" in capsys.readouterr().err


def test_the_summary_tells_what_was_copied_from_where(home, capsys):
    capsys.readouterr()
    assert run(["novelty", "new.txt", "--index", "book.index", "--least", "20"]) == 0
    out, _ = capsys.readouterr()
    lines = sentences(60)
    length = len(f"\n{lines[20]}\n{lines[21]}\n")
    assert f"longest match   {length} characters" in out
    assert f"{length} at         3  document 1, line 20: ⏎{lines[20][:20]}" in out
    assert "in copies ≥ 20" in out


def test_json_holds_the_match_at_every_position(home, capsys):
    capsys.readouterr()
    assert run(["novelty", "new.txt", "--index", "book.index", "--json", "--least", "20"]) == 0
    record = json.loads(capsys.readouterr().out)
    text, book = (home / "new.txt").read_text(), (home / "book.txt").read_text()
    matches = record["matches"]
    assert record["positions"] == len(matches["length"]) == len(matches["offset"]) == len(text)
    for place in (3, 4, 9):
        length, offset = matches["length"][place], matches["offset"][place]
        assert length >= 20
        assert text[place : place + length] == book[offset : offset + length]
    assert matches["document"][0] == 0
    assert matches["offset"][0] == -1
    assert record["longest"][0]["text"] in book
    assert 0.5 < record["share_copied"]["20"] < 1


def test_the_view_shows_the_text_itself(home, capsys):
    capsys.readouterr()
    assert run(["novelty", "new.txt", "--index", "book.index", "--view"]) == 0
    assert sentences(60)[21] in capsys.readouterr().out


def test_a_corpus_can_be_named_instead_of_an_index(home, capsys):
    assert run(["novelty", "new.txt", "--index", "book.txt"]) == 0
    assert "sorting the suffixes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("absent.txt --index book.index", "absent.txt: no such file"),
        ("new.txt --index absent.index", "absent.index: no such file, folder or corpus"),
        ("book.index --index book.index", "book.index: an index; name the text"),
        ("foreign.txt --index book.index", "are not in the vocabulary; it was made from another corpus"),
        ("new.txt --index book.index --json --view", "--view shows nothing in --json"),
    ],
)
def test_bad_input_is_one_line(home, capsys, arguments, message):
    (home / "foreign.txt").write_text("ЖЗИЙ" * 100)
    capsys.readouterr()
    assert run(["novelty", *arguments.split()]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1

import json

import pytest

from seqgen.cli.app import run
from seqgen.data.tokenizers import load_tokenizer

TEXT = "the cat sat on the mat and the dog sat on the cat\n" * 50


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_a_vocabulary_is_written_and_told_on_stderr(text, tmp_path, capsys):
    assert run(["vocab", str(text), "--level", "word", "-o", str(tmp_path / "v.json")]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "coverage" in err
    assert "100.00%" in err
    assert "rarest kept: " in err
    assert "v.json: word level, 11 tokens, from 1 document cut by position" in err
    record = json.loads((tmp_path / "v.json").read_text())
    assert record["format"] == 1
    assert record["sha256"] == load_tokenizer(tmp_path / "v.json").content_hash


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--level", "char"], 15),
        (["--level", "byte"], 257),
        (["--level", "word", "--min-count", "50"], 6),
        (["--level", "word", "--max-size", "5"], 5),
        (["--level", "subword", "--max-size", "290", "--subword", "bpe"], 290),
    ],
)
def test_options_decide_the_size(text, tmp_path, options, size):
    assert run(["vocab", str(text), *options, "-o", str(tmp_path / "v.json")]) == 0
    assert len(load_tokenizer(tmp_path / "v.json").tokens) == size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt"], "none.txt: no such file, folder or corpus"),
        (["{text}", "--split", "90/5"], "--split 90/5: expected three shares"),
        (["{text}", "--split", "nan/5/5"], "expected three shares"),
        (["{text}", "--level", "rune"], "vocab.level = 'rune'"),
        (["{text}", "--column", "text"], "--column text: no file of the corpus"),
        (["{text}", "--encoding", "klingon"], "--encoding klingon: unknown"),
        (["{text}", "--level", "subword", "--max-size", "20"], "--max-size 20 is too small"),
        (["tinyshakespeare"], "run `seqgen corpus fetch tinyshakespeare`"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(text, tmp_path, capsys, arguments, message):
    given = [argument.format(text=text) for argument in arguments]
    assert run(["vocab", *given, "-o", str(tmp_path / "v.json")]) == 1
    err = capsys.readouterr().err
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "v.json").exists()


def test_invalid_utf8_is_told_with_file_and_byte(tmp_path, capsys):
    (tmp_path / "bad.txt").write_bytes(b"abc\xffdef")
    assert run(["vocab", str(tmp_path / "bad.txt"), "-o", str(tmp_path / "v.json")]) == 1
    assert f"{tmp_path}/bad.txt: byte 3: not UTF-8" in capsys.readouterr().err


def test_a_wrong_column_names_those_there_are(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("id,text\n1,hello\n")
    assert run(["vocab", str(tmp_path / "t.csv"), "--column", "body", "-o", str(tmp_path / "v.json")]) == 1
    assert "its columns are id, text" in capsys.readouterr().err


def test_the_terms_of_a_corpus_are_shown_before_it_is_used(tmp_path, capsys):
    assert run(["vocab", "folksong", "--level", "char", "-o", str(tmp_path / "v.json")]) == 0
    assert "folksong: for non-commercial distribution" in capsys.readouterr().err.replace("permission\n", "")


def test_music_is_prepared_as_asked(tmp_path, capsys):
    path = tmp_path / "set.json"
    piece = [[72, 67, 60, 48], [74, 67, 60, 47]]
    path.write_text(json.dumps({"train": [piece] * 3, "valid": [piece], "test": []}))
    options = ["--notes", "chorale", "--grid", "2", "--transpose", "-1:2", "--parts", "all", "--stretch", "2"]
    assert run(["vocab", str(path), *options, "-o", str(tmp_path / "v.json")]) == 0
    assert "3 training tunes are 24 with their copies" in capsys.readouterr().err
    vocab = load_tokenizer(tmp_path / "v.json")
    assert vocab.vocab.options == {"notes": "chorale", "parameters": {"grid": 2, "voices": 4, "marks": True}}
    assert {"Pitch_71", "Pitch_74"} <= set(vocab.tokens)
    assert run(["vocab", str(path), "--parts", "Soprano,Oboe", "-o", str(tmp_path / "w.json")]) == 1
    assert "it has no part Oboe; its parts are 1 Soprano, 2 Alto" in capsys.readouterr().err
    assert run(["vocab", str(path), "--notes", "melody", "--grid", "2", "-o", str(tmp_path / "w.json")]) == 1
    assert "melody encoding with {'grid': 2}: known is chords" in capsys.readouterr().err


SONG = 'X:1\nT:Song\nM:4/4\nL:1/4\nK:G\n"G"GABc | "D7/f+"d4 | "G"G2 "fine"G2 |]\n'


def test_chord_symbols_are_an_option_of_melody(tmp_path, capsys):
    (tmp_path / "song.abc").write_text(SONG)
    out = tmp_path / "v.json"
    for options, count in (([], 0), (["--with", "chord"], 2)):
        assert run(["vocab", str(tmp_path / "song.abc"), "-o", str(out), *options]) == 0
        names = json.loads(out.read_text())["tokens"]
        assert sum(name.startswith("Chord_") for name in names) == count
    assert load_tokenizer(out).vocab.options["parameters"] == {"chords": True}
    capsys.readouterr()
    assert run(["vocab", str(tmp_path / "song.abc"), "-o", str(out), "--notes", "octuple"]) == 1
    assert "take remi or tsd" in capsys.readouterr().err

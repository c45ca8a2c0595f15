import os
import subprocess
import sys

import pytest

from seqgen.cli.app import run
from seqgen.data.index import TokenIndex

TEXT = "a character model reads one letter after the other\n" * 50


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def vocab(text, tmp_path, capsys):
    path = tmp_path / "v.json"
    assert run(["vocab", str(text), "--level", "char", "-o", str(path)]) == 0
    capsys.readouterr()
    return path


def test_an_index_is_written_and_told_on_stderr(text, vocab, tmp_path, capsys):
    assert (
        run(["index", str(text), "--vocab", str(vocab), "-o", str(tmp_path / "i"), "--split", "80/20/0"]) == 0
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert "of uint8 ids" in err
    index = TokenIndex.open(tmp_path / "i")
    assert index.counts("train")["tokens"] == int(0.8 * len(TEXT))


def test_an_unchanged_corpus_is_told(text, vocab, tmp_path, capsys):
    command = ["index", str(text), "--vocab", str(vocab), "-o", str(tmp_path / "i")]
    assert run(command) == run(command) == 0
    assert "the corpus has not changed, the index is as it was" in capsys.readouterr().err


def test_the_vocabulary_of_another_corpus_is_one_line(vocab, tmp_path, capsys):
    (tmp_path / "other.txt").write_text("ЖЗИЙ" * 100)
    command = ["index", str(tmp_path / "other.txt"), "--vocab", str(vocab), "-o", str(tmp_path / "i")]
    assert run(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "are not in the vocabulary; it was made from another corpus" in line
    assert not (tmp_path / "i").exists()


def test_a_model_folder_is_not_overwritten(text, vocab, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "artifact.yaml").write_text("x")
    assert run(["index", str(text), "--vocab", str(vocab), "-o", str(tmp_path / "model")]) == 1
    assert "exists and is not an index; choose another -o" in capsys.readouterr().err


def test_standard_input_is_read_from_a_pipe(vocab, tmp_path):
    command = [sys.executable, "-m", "seqgen", "index", "-", "--vocab", str(vocab), "-o", str(tmp_path / "i")]
    environment = {**os.environ, "SEQGEN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, input=TEXT.encode(), capture_output=True, env=environment, check=True)
    assert done.stdout == b""
    assert TokenIndex.open(tmp_path / "i").counts("train")["tokens"] == int(0.9 * len(TEXT))

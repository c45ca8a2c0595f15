import json
import re

import pytest

from seqgen.artifacts import load_artifact
from seqgen.cli.app import run
from tests.corpora import sentences

SMALL = ["--epochs", "1", "--hidden-size", "8", "--set", "model.embedding_size=5", "--set", "training.bptt=9"]


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("\n".join(sentences(200)))
    return tmp_path


def test_cells_are_trained_and_compared_then_loaded_and_compared_alike(book, capsys):
    assert run(["compare", "book.txt", "--cells", "window,rnn", *SMALL, "-o", "kept", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)["models"]
    assert [model["cell"] for model in trained] == ["window", "rnn"]
    models = ["--models", "kept/window", "kept/rnn"]
    assert run(["compare", "book.txt", *models, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == trained
    assert run(["compare", "book.txt", *models]) == 0
    lines = capsys.readouterr().out.splitlines()
    headings = ["model", "parameters", "minutes", "tokens/s", "bits per char", "gap", "memory"]
    assert re.split(r"  +", lines[0]) == headings
    assert lines[-1].startswith("from worst to best: ")
    assert run(["compare", "book.txt", *models, "--split", "80/10/10"]) == 1
    assert "give --split as in training" in capsys.readouterr().err


def test_ngrams_are_counted_on_the_same_split(book, capsys):
    assert run(["compare", "book.txt", "--cells", "ngram,rnn", *SMALL, "--json"]) == 0
    ngram, rnn = json.loads(capsys.readouterr().out)["models"]
    assert (ngram["name"], ngram["cell"], ngram["unit"]) == ("ngram:8", "ngram", rnn["unit"])
    assert ngram["parameters"] > 1000
    assert ngram["bits"] < rnn["bits"]  # a pass over a small text teaches a network little
    assert ngram["gap_bits"] > 0
    assert run(["compare", "book.txt", "--cells", "ngram", "--split", "100/0/0"]) == 1
    assert "no validation part" in capsys.readouterr().err


def test_models_that_are_called_alike_are_told_apart_by_their_paths(book, capsys):
    for folder in ("a", "b"):
        assert run(["compare", "book.txt", "--cells", "rnn", *SMALL, "-o", folder]) == 0
    capsys.readouterr()
    assert run(["compare", "book.txt", "--models", "a/rnn", "b/rnn", "--json"]) == 0
    assert [model["name"] for model in json.loads(capsys.readouterr().out)["models"]] == ["a/rnn", "b/rnn"]
    assert run(["compare", "book.txt", "--models", "a/rnn", "./a/rnn"]) == 1
    assert capsys.readouterr().err == "seqgen: error: a/rnn: given twice; name each model once\n"
    flow = ["inspect", "gradients", "a/rnn", "book.txt", "--distance", "12", "--places", "2", "--json"]
    assert run([*flow, "--with", "b/rnn"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["a/rnn (rnn)", "b/rnn (rnn)"]


def test_lines_are_compared_as_documents(book, capsys):
    lines = ["--documents", "lines"]
    assert run(["compare", "book.txt", "--cells", "ngram,rnn", *SMALL, *lines, "-o", "kept", "--json"]) == 0
    by_lines = json.loads(capsys.readouterr().out)["models"]
    assert run(["compare", "book.txt", *lines, "--models", "kept/rnn", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == by_lines[1:]
    assert load_artifact(book / "kept" / "rnn").config.corpus.documents == "lines"
    assert run(["compare", "book.txt", "--documents", "files", "--models", "kept/rnn"]) == 1
    assert "--documents files: kept/rnn was trained on lines; leave it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--cells", "rnn,elman"], "'elman' is none of lstm, gru, rnn, window, bow, ngram"),
        (["--cells", ""], "'' is none of lstm, gru, rnn, window, bow, ngram"),
        (["--models", "m", "--minutes", "1"], "--models are trained already"),
        (["--cells", "rnn", "--plot", "curves.gif"], "choose a name that ends in .png"),
    ],
)
def test_what_makes_no_sense_is_refused_before_training(book, capsys, options, complaint):
    assert run(["compare", "book.txt", *options]) == 1
    assert complaint in capsys.readouterr().err

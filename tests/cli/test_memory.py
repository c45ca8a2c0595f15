import json

import pytest

from seqgen.artifacts import load_artifact
from seqgen.cli.app import run

SMALL = ["--hidden-size", "8", "--steps", "5"]


def test_a_table_goes_to_stderr_and_json_to_stdout(capsys):
    assert run(["memory", "adding", "--cells", "rnn,bow", "--distances", "5,3", *SMALL]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert (record["test"], record["chance"]) == ("adding", pytest.approx(0.19))
    assert [cell["cell"] for cell in record["cells"]] == ["rnn", "bow"]
    assert list(record["cells"][0]["accuracy"]) == ["3", "5"]
    assert "k=3" in err
    assert "k=5" in err


def test_plots_are_drawn_and_models_are_kept_to_be_inspected(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    options = ["--cells", "lstm,window", "--distances", "20", "--plot", "a.svg", "--flow", "b.svg", "-o", "m"]
    assert run(["memory", "agreement", *SMALL, *options]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["gradients"]["lstm"]["hidden"]) == 20
    assert "lstm, dL/dc" in err
    assert load_artifact(tmp_path / "m" / "window").tokenizer.level == "word"
    assert run(["inspect", "gates", "m/lstm", "Anna from France, who sings, speaks", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["tokens"][:3] == ["Anna", " from", " France"]
    assert (tmp_path / "a.svg").stat().st_size > 1000
    assert (tmp_path / "b.svg").stat().st_size > 1000


def test_sequences_are_shown_as_a_reader_sees_them(capsys):
    assert run(["memory", "agreement", "--distances", "2,7", "--show", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["2", "2", "7", "7"]
    assert all(" from " in line and " speaks → " in line for line in lines)


def test_the_tests_are_named_if_one_is_unknown(capsys):
    assert run(["memory", "foo"]) == 2
    told = "Invalid value for 'TEST': 'foo' is not one of 'adding', 'agreement', 'copy', 'reverse'."
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["copy", "--distances", "1"], "begins at a distance of 2"),
        (["copy", "--distances", "ten"], "expected whole numbers such as 2,10,100"),
        (["copy", "--distances", ""], "expected whole numbers such as 2,10,100"),
        (["copy", "--cells", "elman"], "'elman' is none of lstm"),
        (["adding", "-o", "kept"], "adding reads numbers"),
        (["copy", "--plot", "a.gif"], "choose a name that ends in .png"),
    ],
)
def test_what_makes_no_sense_is_refused(capsys, options, complaint):
    assert run(["memory", *options]) == 1
    assert complaint in capsys.readouterr().err

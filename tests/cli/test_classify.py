import io
import json
import random
import re
import sys

import numpy as np
import pytest

from seqgen.artifacts import load_artifact
from seqgen.cli.app import run
from tests.sampling.models import TUNE, abc_piece, note_tokenizer, write_model

SMALL = ["--hidden-size", "8", "--embedding-size", "8", "--device", "cpu"]
SIZES = SMALL[2:]
GOOD, BAD, OTHER = (
    ["fine", "great", "lovely"],
    ["dull", "awful", "poor"],
    ["film", "plot", "the", "a", "cast"],
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


def write(path, count, seed):
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        label, words = draw.choice([("pos", GOOD), ("neg", BAD)])
        text = [draw.choice(words), *draw.choices(OTHER, k=draw.randint(2, 6))]
        draw.shuffle(text)
        lines.append(f"{' '.join(text)}\t{label}\n")
    path.write_text("".join(lines))
    return path


@pytest.fixture
def reviews(tmp_path):
    return write(tmp_path / "reviews.tsv", 300, 1)


def train(corpus, output, *options):
    return run(["train", str(corpus), "-o", str(output), "--task", "classify", *options])


@pytest.fixture
def model(reviews, tmp_path):
    test = write(tmp_path / "test.tsv", 40, 2)
    options = [*SIZES, "--test", str(test), "--epochs", "6", "--learning-rate", "0.02", "--cell", "bow"]
    assert train(reviews, tmp_path / "m", *options) == 0
    return tmp_path / "m"


def feed(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_classifier_tells_its_plan_on_stderr(reviews, tmp_path, capsys):
    assert train(reviews, tmp_path / "m", *SMALL, "--epochs", "1") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 labels (neg, pos)" in err
    assert re.search(r"test: accuracy \d+\.\d\d%, macro-F1 0\.\d+ \(\d+ texts\)", err)


def test_a_classifier_learns_and_keeps_its_scores(model):
    artifact = load_artifact(model)
    assert artifact.config.classify.labels == ("neg", "pos")
    assert artifact.scores["test"]["accuracy"] == 1.0
    assert "| test | 40 | 1.0000 | 1.0000 |" in (model / "README.md").read_text()


def test_each_line_gets_a_label_and_a_probability(model, monkeypatch, capsys):
    capsys.readouterr()
    feed(monkeypatch, "a great cast\n\nthe plot awful\n")
    assert run(["classify", str(model)]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [lines[0][0], len(lines), lines[2][0]] == ["pos", 3, "neg"]
    assert float(lines[0][1]) > 0.6


def test_files_are_read_and_json_has_every_label(model, tmp_path, capsys):
    capsys.readouterr()
    file = tmp_path / "texts.txt"
    file.write_text("a great cast")
    assert run(["classify", str(model), str(file), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["label"] == "pos"
    assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert list(record["probabilities"]) == ["neg", "pos"]


def test_the_texts_of_a_table_are_labelled_without_its_other_columns(model, tmp_path, capsys):
    capsys.readouterr()
    table, lines = tmp_path / "t.csv", tmp_path / "t.txt"
    table.write_text('id,text\n1,"a great, great cast"\n2,the awful plot\n')
    lines.write_text("a great, great cast\nthe awful plot\n")
    assert run(["classify", str(model), str(table)]) == 0
    out, err = capsys.readouterr()
    assert err == f"seqgen: {table}: texts are in column text\n"
    assert run(["classify", str(model), str(lines)]) == 0
    assert capsys.readouterr().out == out
    assert run(["classify", str(model), str(lines), "--column", "2"]) == 1
    assert "--column 2: no file is a .csv, .tsv or .jsonl" in capsys.readouterr().err


def test_the_telling_token_contributes_most(model, monkeypatch, capsys):
    capsys.readouterr()
    feed(monkeypatch, "the film awful plot\n")
    assert run(["classify", str(model), "--per-token"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["label"] == "neg"
    shares = {item["token"]: item["contribution"] for item in record["tokens"]}
    assert max(shares, key=shares.get) == " awful"
    assert shares[" awful"] > 0
    assert "".join(item["text"] for item in record["tokens"]) == "the film awful plot"


def test_evaluate_scores_parts_and_other_files(model, tmp_path, capsys):
    capsys.readouterr()
    assert run(["evaluate", str(model), "--part", "test", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["accuracy"] == 1.0
    assert np.sum(record["confusion"]) == record["examples"] == 40
    other = write(tmp_path / "other.tsv", 25, 3)
    assert run(["evaluate", str(model), str(other)]) == 0
    out = capsys.readouterr().out
    assert "examples        25" in out
    assert "true, given  neg  pos      F1" in out


def test_several_classifiers_label_together(model, reviews, tmp_path, monkeypatch, capsys):
    other = tmp_path / "other"
    assert train(reviews, other, *SMALL, "--level", "char", "--epochs", "1") == 0
    found = []
    for options in ([str(model)], [str(other)], [str(model), "--with", str(other)]):
        feed(monkeypatch, "a great cast\nthe plot awful\n")
        capsys.readouterr()
        assert run(["classify", *options, "--json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        found.append([json.loads(line)["probabilities"]["pos"] for line in lines])
    first, second, both = found
    assert both == pytest.approx(np.mean([first, second], axis=0), abs=1e-4)
    assert run(["evaluate", str(model), "--with", str(other), "--part", "test", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["examples"] == 40
    assert f"{other} was trained on other parts than {model}, maybe on texts scored here" in err
    assert run(["classify", str(model), "--with", str(other), "--per-token"]) == 1
    assert "--per-token tells what the tokens of one model contribute" in capsys.readouterr().err


def test_evaluating_another_label_or_a_changed_corpus_is_told(model, reviews, tmp_path, capsys):
    other = tmp_path / "other.tsv"
    other.write_text("a film\tpos\na plot\tmixed\nfilm\tpos\nthe plot\tmixed\n")
    assert run(["evaluate", str(model), str(other)]) == 1
    assert f"{other}:2: the model knows no label mixed, only neg, pos" in capsys.readouterr().err
    write(reviews, 300, 9)
    assert run(["evaluate", str(model)]) == 1
    assert "has changed since" in capsys.readouterr().err


def test_a_report_shows_what_is_confused_and_what_tokens_contribute(model, reviews, tmp_path, capsys):
    page = tmp_path / "m.html"
    assert run(["report", str(model), "-o", str(page), "-n", "4"]) == 0
    text = page.read_text(encoding="utf-8")
    expected = ["What it confuses", "What speaks for a label", "How it learned", "The model"]
    assert re.findall(r"<h2>(.*?)</h2>", text) == expected
    assert text.count('class="confusion"') == 2
    assert text.count('class="strip"') == 4
    assert "Accuracy, test part of 40 texts</dt><dd>100.00%" in text
    write(reviews, 300, 9)
    capsys.readouterr()
    assert run(["report", str(model), "-o", str(page)]) == 0
    assert f"no texts are shown: those of {reviews} are gone or have changed" in capsys.readouterr().err
    expected.remove("What speaks for a label")
    assert re.findall(r"<h2>(.*?)</h2>", page.read_text(encoding="utf-8")) == expected


def test_a_classifier_is_not_sampled_from_and_a_language_model_not_classified_with(model, tmp_path, capsys):
    expected = f"{model}: a classifier, where a language model is needed; use `seqgen classify {model}`"
    for command in (["sample"], ["score"]):
        assert run([*command, str(model)]) == 1
        assert expected in capsys.readouterr().err
    text = tmp_path / "text.txt"
    text.write_text("the film is fine. " * 60)
    assert run(["train", str(text), "-o", str(tmp_path / "lm"), *SMALL, "--epochs", "1"]) == 0
    assert run(["evaluate", str(tmp_path / "lm"), "--with", str(model)]) == 1
    assert "--with averages classifiers, and this is none" in capsys.readouterr().err
    assert run(["classify", str(tmp_path / "lm")]) == 1
    assert "a language model, where a classifier is needed; use `seqgen sample" in capsys.readouterr().err


def test_the_page_of_a_classifier_shows_how_it_judges(model, tmp_path):
    assert run(["report", str(model), "-o", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert (titles[0], titles[-1]) == ("What it confuses", "The model")
    assert "How it learned" in titles
    assert "<dt>Accuracy, " in page
    assert "seqgen classify m &lt; texts.txt</pre>" in page


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_layers_read_from_both_ends_at_the_level_of_characters(reviews, tmp_path, cell):
    options = [
        "--cell",
        cell,
        "--bidirectional",
        "--level",
        "char",
        "--epochs",
        "1",
        "--class-weights",
        "balanced",
    ]
    assert train(reviews, tmp_path / "m", *SMALL, *options) == 0
    artifact = load_artifact(tmp_path / "m")
    assert artifact.config.model.bidirectional
    assert "reader.reverse.0.weight_hh" in artifact.weights()


def test_the_same_command_gives_the_same_weights_and_resuming_goes_on_to_them(reviews, tmp_path):
    options = [*SMALL, "--cell", "gru", "--word-dropout", "0.2", "--adversarial", "1"]
    assert train(reviews, tmp_path / "a", *options, "--epochs", "3") == 0
    assert train(reviews, tmp_path / "b", *options, "--epochs", "3") == 0
    a, b = (load_artifact(tmp_path / name).weights() for name in "ab")
    assert all((a[name] == b[name]).all() for name in a)
    assert run(["train", str(reviews), "-o", str(tmp_path / "b"), "--resume", "--epochs", "4"]) == 0
    assert load_artifact(tmp_path / "b").config.training.epochs == 4


def test_a_classifier_does_not_start_from_a_model_of_music(reviews, tmp_path, capsys):
    write_model(tmp_path / "tunes", note_tokenizer([abc_piece(TUNE)]))
    assert train(reviews, tmp_path / "m", "--init-from", str(tmp_path / "tunes")) == 1
    assert f"--init-from {tmp_path / 'tunes'}: a model of music; classifiers read" in capsys.readouterr().err


def test_a_classifier_starts_from_a_language_model(reviews, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("The film was great . \n" * 30 + " A cast , a plot , of The film . \n" * 30)
    lm = ["--level", "word", "--cell", "lstm", "--tied", *SMALL, "--epochs", "1"]
    assert run(["train", str(text), "-o", str(tmp_path / "lm"), *lm]) == 0
    capsys.readouterr()
    options = ["--init-from", str(tmp_path / "lm"), "--epochs", "1"]
    assert train(reviews, tmp_path / "m", *options, "--bidirectional") == 0
    err = capsys.readouterr().err
    assert "new words" in err
    artifact = load_artifact(tmp_path / "m")
    model, classify = artifact.config.model, artifact.config.classify
    assert (model.cell, model.layers, model.hidden_size) == ("lstm", 2, 8)
    assert (classify.pool, classify.unfreeze_epochs) == ("concat", 1.0)
    # With one epoch to go, only what lies on top has learned.
    before, after = load_artifact(tmp_path / "lm").weights(), artifact.weights()
    known = before["embedding.weight"].shape[0]
    assert (after["embedding.weight"][2:known] == before["embedding.weight"][2:]).all()
    assert (after["reader.encoder.0.weight_hh"] == before["encoder.0.weight_hh"]).all()
    assert train(reviews, tmp_path / "n", *options, "--hidden-size", "9") == 1
    assert "--hidden-size 9: the weights of" in capsys.readouterr().err
    vectors = ["--vectors-only", "--hidden-size", "9", "--cell", "gru", "--learning-rate", "1e-9"]
    assert train(reviews, tmp_path / "n", *options, *vectors) == 0
    found = load_artifact(tmp_path / "n").weights()["embedding.weight"]
    assert np.allclose(found[2:known], before["embedding.weight"][2:], atol=1e-6)


@pytest.mark.parametrize(
    "head", [[], ["--softmax", "adaptive", "--set", "model.cutoffs=[3, 5]"]], ids=["full", "adaptive"]
)
def test_a_language_model_goes_on_with_another_corpus(tmp_path, capsys, head):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("the film was great . \n" * 60)
    second.write_text("the plot was dull . \n" * 60)
    lm = ["--level", "word", "--cell", "lstm", *SMALL, "--epochs", "1"]
    assert run(["train", str(first), "-o", str(tmp_path / "lm"), *lm, *head]) == 0
    options = ["--init-from", str(tmp_path / "lm"), "--epochs", "1", "--learning-rate", "1e-9"]
    assert run(["train", str(second), "-o", str(tmp_path / "more"), *options]) == 0
    assert "2 new words" in capsys.readouterr().err
    before, after = (load_artifact(tmp_path / name).weights() for name in ("lm", "more"))
    size = len(before["embedding.weight"])
    assert after["embedding.weight"].shape[0] == size + 2
    assert np.allclose(after["embedding.weight"][2:size], before["embedding.weight"][2:], atol=1e-6)
    assert np.allclose(after["encoder.0.weight_hh"], before["encoder.0.weight_hh"], atol=1e-6)
    other = "full" if head else "adaptive"
    assert run(["train", str(second), "-o", str(tmp_path / "no"), *options, "--softmax", other]) == 1
    assert f"--softmax {other}: the weights of" in capsys.readouterr().err
    rarest = "head.tails.1.softmax.bias" if head else "head.bias"
    known = len(before[rarest])
    assert after[rarest].shape == (known + 2,)
    assert np.allclose(after[rarest][2:known], before[rarest][2:], atol=1e-6)
    assert np.allclose(after[rarest][known:], before[rarest].mean(), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cell", "window"], "weights for 8 places"),
        (["--cell", "bow", "--pool", "last"], "a bag of words has no last token"),
        (["--cell", "bow", "--layers", "2"], "is the mean of vectors and has none"),
        (["--adversarial", "1", "--embedding", "one-hot"], "moves learned vectors"),
        (["--vectors-only"], "there are none without --init-from"),
        (["--tied"], "--tied is about predicting tokens"),
        (["--label-column", "mood"], "no column mood for --label-column"),
        (["--level", "note"], "classifiers read text"),
        (["--valid", "nowhere.tsv"], "nowhere.tsv: no such file or folder"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    reviews, tmp_path, capsys, options, message
):
    assert train(reviews, tmp_path / "m", *options) == 1
    err = capsys.readouterr().err
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "m").exists()


def test_a_bad_row_and_a_single_label_are_told_with_their_place(tmp_path, capsys):
    path = tmp_path / "a.tsv"
    path.write_text("good\tpos\nbad\tneg\nfine\n")
    assert train(path, tmp_path / "m") == 1
    assert f"error: {path}:3: 1 cell, where the first row has 2" in capsys.readouterr().err
    path.write_text("text\tlabel\ngood\tpos\nfine\tpos\n")
    assert train(path, tmp_path / "m") == 1
    assert "all 2 texts have the label pos" in capsys.readouterr().err

import json
import os
import re
import subprocess
import sys

import pytest

from seqgen.cli.app import run
from tests.training.test_translation import pairs

SMALL = [
    "--level", "word", "--hidden-size", "32", "--embedding-size", "16", "--dropout=0", "--batch-size=16",
    "--split", "80/10/10", "--learning-rate", "0.02", "--set", "training.warmup_steps=0", "--device=cpu",
]  # fmt: skip

MANY = "".join(f"{k}\tb\n" for k in range(9))


def train(corpus, output, *options):
    names = [str(name) for name in (corpus if isinstance(corpus, list) else [corpus])]
    return run(["train", *names, "--task", "translate", "-o", str(output), *SMALL, *options])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate")
    rows = list(pairs())
    (folder / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in rows))
    (folder / "a.en").write_text("".join(f"{source}\n" for source, _ in rows))
    (folder / "a.fr").write_text("".join(f"{target}\n" for _, target in rows))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    assert train(folder / "pairs.tsv", folder / "m", "--epochs", "15") == 0
    return folder / "m"


@pytest.fixture
def stdin(monkeypatch):
    """Return what sets standard input, as a file that can be read by its descriptor."""
    opened = []

    def put(text):
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb") as stream:
            stream.write(text.encode() if isinstance(text, str) else text)
        opened.append(os.fdopen(reader))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield put
    for stream in opened:
        stream.close()


def test_lines_are_translated_in_order(model, stdin, capsys):
    stdin("one red dog\n\ntwo cat\r\nred")
    assert run(["translate", str(model)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["chien rouge un", "", "chat deux", "rouge"]
    assert err == ""


def test_json_has_scores_and_attention(model, stdin, capsys):
    stdin("one red dog\n")
    assert run(["translate", str(model), "--json", "--n-best", "2"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["source"] == "one red dog"
    first, second = record["translations"]
    assert first["score"] >= second["score"]
    assert first["target_tokens"] == [" chien", " rouge", " un"]
    assert [len(row) for row in first["attention"]] == [4, 4, 4]


def test_n_best_stand_on_lines_of_their_own(model, stdin, capsys):
    stdin("one\ntwo\n")
    assert run(["translate", str(model), "--n-best", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_a_piped_line_is_answered_before_the_next_one_comes(model):
    command = [sys.executable, "-m", "seqgen", "translate", str(model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for line, expected in (("one cat", "chat un"), ("two dog", "chien deux")):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == expected
        process.stdin.close()
        assert process.wait() == 0


def test_a_part_of_the_own_pairs_is_evaluated(model, capsys):
    assert run(["evaluate", str(model), "--part", "test", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bleu"] > 50
    assert record["protocol"] == "teacher forcing"
    assert "tok:13a" in record["signatures"]["bleu"]
    assert run(["evaluate", str(model), "--part", "valid"]) == 0
    assert "chrF" in capsys.readouterr().out


def test_other_pairs_are_evaluated_as_a_whole(model, tmp_path, capsys):
    (tmp_path / "p.tsv").write_text("two cat\tchat deux\none dog\tchien un\n")
    assert run(["evaluate", str(model), str(tmp_path / "p.tsv"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["sentences"], record["units"]["chars"]) == (2, 17)
    for option in (
        ["--cache", "5"],
        ["--samples", "5"],
        ["--mix-ngram", "0.2"],
        ["--ngram"],
        ["--per-token"],
    ):
        assert run(["evaluate", str(model), *option]) == 1
        told = f"{option[0]} is for language models, and {model} is a translation model; leave it out"
        assert told in capsys.readouterr().err


def test_pairs_that_validate_can_be_given_apart(folder, tmp_path, capsys):
    (tmp_path / "v.tsv").write_text("two cat\tchat deux\n")
    options = ["--valid", str(tmp_path / "v.tsv"), "--epochs", "0.2"]
    assert train(folder / "pairs.tsv", tmp_path / "m", *options) == 0
    err = capsys.readouterr().err
    assert "pairs: 300 train, 1 valid, 0 test" in err
    assert "1 valid sources are training sources, too" in err
    assert run(["evaluate", str(tmp_path / "m"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sentences"] == 1
    assert run(["evaluate", str(tmp_path / "m"), "--part", "test"]) == 1
    assert "the test part is empty" in capsys.readouterr().err
    (tmp_path / "v.tsv").write_text("two dog\tchien deux\n")
    assert run(["evaluate", str(tmp_path / "m")]) == 1
    assert "has changed since" in capsys.readouterr().err


def test_references_are_compared_line_by_line(model, folder, stdin, capsys):
    references = folder / "refs.txt"
    references.write_text("chat deux\nrouge rouge rouge rouge un\n")
    stdin("two cat\none red red red red\n")
    assert run(["translate", str(model), "--score", str(references), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sentences"] == 2
    stdin("two cat\n")
    assert run(["translate", str(model), "--score", str(references)]) == 1
    assert "standard input has 1 lines and" in capsys.readouterr().err


def test_attention_is_drawn(model, tmp_path, stdin, capsys):
    stdin("one red dog\n")
    assert run(["translate", str(model), "--attention-plot", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert capsys.readouterr().err == ""


def test_a_report_shows_translations_of_what_validates_and_their_attention(model, folder, tmp_path, capsys):
    page = tmp_path / "m.html"
    assert run(["report", str(model), "-o", str(page), "-n", "3"]) == 0
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Translations", "How it learned", "The model"]
    assert text.count('class="attention"') == 3
    assert "chrF, valid part" in text
    assert "seqgen translate m &lt; sentences.txt" in text
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert run(["report", str(model), "-o", str(page), "--seed", "3"]) == 1
    assert "--seed is for language models" in capsys.readouterr().err


def test_without_its_pairs_a_report_shows_the_rest_and_says_so(folder, tmp_path, capsys):
    pairs = tmp_path / "p.tsv"
    pairs.write_text((folder / "pairs.tsv").read_text())
    assert train(pairs, tmp_path / "m", "--epochs", "0.2") == 0
    pairs.unlink()
    capsys.readouterr()
    assert run(["report", str(tmp_path / "m"), "-o", str(tmp_path / "m.html")]) == 0
    assert f"no translations are shown: the pairs of {pairs} are gone" in capsys.readouterr().err
    text = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["How it learned", "The model"]


def test_two_aligned_files_train_without_attention_and_a_shared_vocabulary(folder, tmp_path, stdin, capsys):
    output = tmp_path / "m"
    options = ["--attention", "none", "--shared-vocab", "--epochs", "1", "--cell", "gru", "--tied"]
    assert train([folder / "a.en", folder / "a.fr"], output, *options) == 0
    assert "source and target: 14 tokens at level word" in capsys.readouterr().err
    assert not (output / "tokenizer" / "target.json").exists()
    stdin("one\n")
    assert run(["translate", str(output)]) == 0
    assert run(["translate", str(output), "--attention-plot", str(tmp_path / "a.png")]) == 1
    assert "has no attention; train with --attention additive" in capsys.readouterr().err
    assert run(["report", str(output), "-o", str(tmp_path / "m.html")]) == 0
    page = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert "It has no attention to be shown." in page
    assert page.count("People wrote") == 4
    assert 'class="attention"' not in page


def test_training_goes_on_from_its_checkpoint(folder, tmp_path, capsys):
    output = tmp_path / "m"
    assert train(folder / "pairs.tsv", output, "--epochs", "1") == 0
    corpus = str(folder / "pairs.tsv")
    assert run(["train", corpus, "-o", str(output), "--resume", "--epochs", "2"]) == 0
    assert "epoch   2.00" in capsys.readouterr().err
    (folder / "b.tsv").write_text("one\tun\n" * 30)
    assert run(["train", str(folder / "b.tsv"), "-o", str(output), "--resume", "--epochs", "3"]) == 1
    assert "trained on another corpus" in capsys.readouterr().err


def test_the_page_of_a_translator_has_its_scores(model, tmp_path):
    assert run(["report", str(model), "-o", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Translations", "How it learned", "The model"]
    assert re.search(r"<dt>Loss, valid part \(teacher forcing\)</dt><dd>[\d.]+ nats per token</dd>", page)
    assert re.search(r"<dt>BLEU, valid part, by sacreBLEU: .*?</dt><dd>[\d.]+</dd>", page)


@pytest.mark.parametrize("command", ["sample", "classify", "score"])
def test_other_commands_name_the_one_that_takes_a_translator(model, capsys, command):
    assert run([command, str(model)]) == 1
    assert f"use `seqgen translate {model}`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-best", "9"], "--n-best 9: a beam of 5 finds no more than 5"),
        (["--score", "none.txt"], "none.txt: no such file"),
        (["--attention-plot", "a.gif"], "choose a name that ends in .png"),
    ],
)
def test_options_that_make_no_sense_are_refused(model, capsys, options, message):
    assert run(["translate", str(model), *options]) == 1
    assert message in capsys.readouterr().err


def test_bytes_that_are_no_text_are_told_with_their_line(model, stdin, capsys):
    stdin(b"one\ntwo \xff\n")
    assert run(["translate", str(model)]) == 1
    assert "standard input, line 2: byte 4 is not UTF-8" in capsys.readouterr().err


def test_a_language_model_is_not_a_translator(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "t.txt").write_text("some text to learn. " * 40)
    options = ["--hidden-size", "8", "--embedding-size", "4", "--epochs", "1", "--device", "cpu"]
    assert run(["train", str(tmp_path / "t.txt"), "-o", str(tmp_path / "lm"), *options]) == 0
    assert run(["translate", str(tmp_path / "lm")]) == 1
    assert (
        "a language model, where a translation model is needed; use `seqgen sample" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a\tb\nc\n", [], "line 2: 1 column; a pair is a source, a TAB and its target"),
        (MANY, ["--cell", "bow"], "a translator needs a recurrent state; use lstm, gru, rnn"),
        (MANY, ["--memory", "1"], "--memory is of no effect on --task translate"),
        (MANY, ["--pool", "max"], "--pool is of no effect on --task translate"),
        (MANY, ["--level", "note"], "translation is of text"),
    ],
)
def test_what_cannot_be_trained_leaves_nothing_behind(tmp_path, capsys, text, options, message):
    (tmp_path / "p.tsv").write_text(text)
    assert train(tmp_path / "p.tsv", tmp_path / "m", *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m").exists()

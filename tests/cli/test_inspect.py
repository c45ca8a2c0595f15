import json

import pytest

from seqgen.cli.app import run
from seqgen.cli.prompts import standard_input
from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from tests.sampling.models import TUNE, abc_piece, note_tokenizer, write_model


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "lstm")
    write_model(tmp_path / "rnn", cell="rnn")
    (tmp_path / "book.txt").write_text("abcde. " * 200)
    return tmp_path


def test_gradients_compares_models_and_scales(models, capsys):
    options = ["--with", "rnn", "--scale", "1", "--scale", "3", "--distance", "20", "--places", "2"]
    assert run(["inspect", "gradients", "lstm", "book.txt", *options, "--json"]) == 0
    flows = json.loads(capsys.readouterr().out)
    assert list(flows) == ["lstm (lstm)", "lstm (lstm), weights × 3", "rnn (rnn)", "rnn (rnn), weights × 3"]
    assert all(len(flow["hidden"]) == 21 for flow in flows.values())
    clipped = ["--scale", "9", "--clip", "0.01"]
    assert (
        run(["inspect", "gradients", "lstm", "book.txt", *options[:2], *clipped, *options[6:], "--json"]) == 0
    )
    descent = json.loads(capsys.readouterr().out)["rnn (rnn), weights × 9"]["descent"]
    assert descent["gradient_norm"] > descent["clip_norm"] == 0.01
    assert descent["loss_after_clipped"] != descent["loss_after"]
    assert run(["inspect", "gradients", "lstm", "book.txt", "--clip", "1", *options[6:]]) == 0
    assert "after a clipped step" in capsys.readouterr().out
    assert run(["inspect", "gradients", "lstm", "book.txt", "--distance", "20", "--places", "2"]) == 0
    assert capsys.readouterr().out.startswith("model")


def test_neighbours_prints_a_table_and_draws_a_map(models, capsys):
    pytest.importorskip("matplotlib")
    assert run(["inspect", "neighbours", "lstm", "c", "-n", "3", "--plot", "map.svg"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert (models / "map.svg").stat().st_size > 1000


def test_gates_ranks_cells_and_writes_a_page(models, capsys):
    assert run(["inspect", "gates", "lstm", "abc. " * 9 + "\n", "-o", "strip.html", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["tokens"]) == len(record["layers"][1]["forget"]) == 46
    page = (models / "strip.html").read_text(encoding="utf-8")
    assert "What the cells of lstm do" in page


def test_gates_reads_the_tune_of_a_book_that_is_chosen(models, capsys):
    write_model(models / "tunes", note_tokenizer([abc_piece(TUNE)]))
    (models / "book.abc").write_text(f"{TUNE}\nX:2\nM:4/4\nL:1/8\nK:D\nd8|]\n")
    read = []
    for number in ("1", "2"):
        assert run(["inspect", "gates", "tunes", "book.abc", "--tune", number, "--json"]) == 0
        read.append(json.loads(capsys.readouterr().out)["tokens"])
    assert len(read[0]) > len(read[1])
    assert run(["inspect", "gates", "lstm", "abc", "--tune", "2"]) == 1
    assert "--tune: this model reads text" in capsys.readouterr().err


def test_gates_reads_a_file_a_text_and_standard_input_alike(models, capsys):
    text = "abc.\nbad \n" * 3
    (models / "page.txt").write_text(text)
    assert run(["inspect", "gates", "lstm", text, "--json"]) == 0
    spelled = capsys.readouterr()
    assert run(["inspect", "gates", "lstm", "page.txt", "--json"]) == 0
    read = capsys.readouterr()
    with standard_input(text.encode()):
        assert run(["inspect", "gates", "lstm", "-", "--json"]) == 0
    assert read.out == spelled.out == capsys.readouterr().out
    assert read.err == "seqgen: reading the file page.txt\n"
    with standard_input(b"ab\xff"):
        assert run(["inspect", "gates", "lstm", "-"]) == 1
    assert "TEXT -: byte 2 of standard input is not UTF-8" in capsys.readouterr().err


def test_gates_reads_a_tune_from_standard_input(models, capsys):
    write_model(models / "tunes", note_tokenizer([abc_piece(TUNE)]))
    (models / "reel.abc").write_text(TUNE)
    assert run(["inspect", "gates", "tunes", "reel.abc", "--json"]) == 0
    named = capsys.readouterr().out
    with standard_input(TUNE.encode()):
        assert run(["inspect", "gates", "tunes", "-", "--json"]) == 0
    assert capsys.readouterr().out == named


def test_a_text_too_long_for_a_file_name_is_a_text(models, capsys):
    assert run(["inspect", "gates", "lstm", "abc. " * 1000, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["tokens"]) == 5000


def test_an_empty_text_is_refused(models, capsys):
    assert run(["inspect", "gates", "lstm", ""]) == 1
    assert "TEXT is empty" in capsys.readouterr().err


def test_neighbours_are_shown_without_the_space_before_a_word_unless_it_tells_them_apart(models, capsys):
    options = {"normalize": "nfc", "lowercase": False, "words": "words"}
    tokens = (EOS, UNK, " the", " king", "king", "\n")
    tokenizer = make_tokenizer(Vocab(level="word", modality="text", tokens=tokens, options=options))
    write_model(models / "words", tokenizer)
    assert run(["inspect", "neighbours", "words", "the", "-n", "5"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["the", "cosine"]
    shown = {line.rpartition(" ")[0].rstrip() for line in lines}
    assert shown == {"' king'", "'king'", r"'\n'"}

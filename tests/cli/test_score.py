import json
import re

import numpy as np
import pytest
from rich.style import Style

from seqgen.artifacts import load_artifact
from seqgen.cli.app import run
from seqgen.cli.prompts import standard_input
from seqgen.cli.score import _FAVOURS, _STYLES
from seqgen.data.tokenizers import byte_vocab, load_tokenizer, make_tokenizer
from seqgen.data.vocab import EOS
from tests.kernels.plain_decode import PlainDecoder
from tests.sampling.models import (
    TUNE,
    abc_piece,
    char_tokenizer,
    note_tokenizer,
    spelling_weights,
    write_model,
)

TEXT = "a bad cab.\nbee"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "m")
    (tmp_path / "page.txt").write_text(TEXT)
    return tmp_path


@pytest.fixture
def score(home, capfd):
    def call(*arguments):
        code = run(["score", *map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def records(out):
    return [json.loads(line) for line in out.splitlines()]


def test_bits_and_ranks_are_those_of_the_plain_network(home, score):
    artifact = load_artifact(home / "m")
    plain, ids = PlainDecoder(artifact.weights(), "lstm"), [*artifact.tokenizer.encode(TEXT).tolist(), 0]
    code, out, _ = score("m", "page.txt", "--exact")
    assert code == 0
    found = records(out)
    assert "".join(record["text"] for record in found) == TEXT
    assert [record["position"] for record in found] == list(range(len(ids)))
    for record, before, token in zip(found, [0, *ids], ids, strict=False):
        logits = plain.logits(before)
        assert record["bits"] == pytest.approx(
            (np.logaddexp.reduce(logits) - logits[token]) / np.log(2), abs=1e-3
        )
        assert record["rank"] == 1 + (logits > logits[token]).sum()


def test_documents_are_read_from_a_fresh_state(home, score):
    values = {"corpus": {"documents": "lines"}}
    write_model(home / "lines", config=values)
    (home / "two.txt").write_text("cab\ncab\n")
    found = records(score("lines", "two.txt")[1])
    first, second = found[:4], found[4:]
    assert [record["document"] for record in found] == [0] * 4 + [1] * 4
    assert [record["bits"] for record in first] == [record["bits"] for record in second]


def test_rounded_weights_change_little(score):
    exact, rounded = (records(score("m", "page.txt", *more)[1]) for more in (["--exact"], []))
    bits = [[record["bits"] for record in found] for found in (exact, rounded)]
    assert bits[0] != bits[1]
    assert bits[0] == pytest.approx(bits[1], abs=0.1)


def test_the_likelier_author_is_told(home, score):
    write_model(home / "poet", cell="rnn", weights=spelling_weights(char_tokenizer(), TEXT))
    found = records(score("poet", "page.txt", "--against", "m")[1])
    *tokens, total = found
    assert total["likelier"] == "poet"
    assert total["difference"] == pytest.approx(sum(token["difference"] for token in tokens), abs=0.01)
    assert total["per_token"] == pytest.approx(total["difference"] / len(tokens), abs=1e-3)
    for token in tokens:
        assert token["difference"] == pytest.approx(token["other_bits"] - token["bits"], abs=1e-3)
    reverse = records(score("m", "page.txt", "--against", "poet")[1])[-1]
    assert reverse["likelier"] == "poet"
    assert reverse["difference"] == pytest.approx(-total["difference"])


def test_two_models_read_the_same_pipe(home, score):
    write_model(home / "n", seed=1)
    named = score("m", "page.txt", "--against", "n")
    with standard_input(TEXT.encode()):
        assert score("m", "--against", "n") == named


def test_a_model_of_another_alphabet_can_be_compared(home, score):
    write_model(home / "n", char_tokenizer("abcdefgh .\n"))
    code, out, _ = score("m", "page.txt", "--against", "n")
    assert code == 0
    assert len(records(out)) == len(TEXT) + 2


def test_what_a_model_lacks_is_told_once_a_call_with_the_model(home, score):
    write_model(home / "n", char_tokenizer("abcdefgh .\n"))
    (home / "page.txt").write_text("a bad cab bah")
    for _ in range(2):  # the second time its index is made already
        err = score("m", "page.txt", "--against", "n")[2]
        assert err.count("vocabulary") == 1
        assert "m: 1 of 14 tokens (7.1%) is not in the vocabulary and read as <unk>" in err


def test_a_model_of_another_corpus_is_named(home, score):
    write_model(home / "n", char_tokenizer("xyz"))
    code, out, err = score("m", "page.txt", "--against", "n")
    assert (code, out) == (1, "")
    assert err.startswith("seqgen: error: n: page.txt: ")


@pytest.mark.parametrize(
    ("tokenizer", "config", "told"),
    [
        (make_tokenizer(byte_vocab()), {}, "(level byte, not char); take a model trained with --level char"),
        (
            None,
            {"corpus": {"documents": "lines"}},
            "(documents lines, not files); take a model trained with --documents files",
        ),
    ],
)
def test_models_that_cut_texts_otherwise_are_refused_before_reading(home, score, tokenizer, config, told):
    write_model(home / "n", tokenizer, config=config)
    code, out, err = score("m", "missing.txt", "--against", "n")
    assert (code, out) == (1, "")
    assert f"--against n: cuts a text otherwise than m {told}" in err


def test_subwords_are_compared_with_the_same_subwords(home, score):
    (home / "long.txt").write_text("a bad cab and a dead bee\n" * 50)
    for name, size in (("few", 267), ("many", 270)):
        options = ["--level", "subword", "--max-size", str(size), "-o", f"{name}.json"]
        assert run(["vocab", "long.txt", *options]) == 0
        write_model(home / name, load_tokenizer(home / f"{name}.json"))
    write_model(home / "alike", load_tokenizer(home / "few.json"), seed=1)
    code, _, err = score("few", "long.txt", "--against", "many")
    assert code == 1
    assert "take a model trained with --vocab few/tokenizer/vocab.json" in err
    assert score("few", "long.txt", "--against", "alike")[0] == 0


def test_the_view_shows_the_text_and_its_mean(score):
    _, out, _ = score("m", "page.txt", "--view")
    assert out.startswith(TEXT)
    assert re.search(rf"^{len(TEXT) + 1} tokens, \d+\.\d+ bits per token$", out, re.M)
    _, out, _ = score("m", "page.txt", "--view", "--against", "m")
    assert "in favour of neither" in out


def test_the_page_stands_alone_and_shows_the_text_safely(home, score):
    write_model(home / "n", char_tokenizer("ab<>/i &"))
    (home / "page.txt").write_text("<i>ab</i>&")
    code, out, _ = score("n", "page.txt", "-o", "out.html", "--against", "n")
    assert (code, out) == (0, "")
    page = (home / "out.html").read_text()
    assert "<i>" not in page
    assert ">&lt;</span>" in page
    assert re.findall(r"(?:https?:)?//[a-z]|src=|@import|<script", page) == []
    assert page.count("<section>") == 2


def test_a_tune_is_scored_by_its_tokens(home, score):
    tokenizer = note_tokenizer([abc_piece(TUNE)])
    write_model(home / "fiddle", tokenizer)
    (home / "reel.abc").write_text(TUNE)
    found = records(score("fiddle", "reel.abc")[1])
    assert {record["token"] for record in found} <= set(tokenizer.tokens)
    assert len(found) > 10
    assert found[-1]["token"] == EOS


def test_two_ways_to_show_are_refused(score):
    code, out, err = score("m", "page.txt", "--view", "-o", "x.html")
    assert (code, out) == (1, "")
    assert "leave one out" in err


def test_coloured_text_reads_on_light_and_dark_terminals():
    for style in (Style.parse(name) for name in (*_STYLES[1:], *sum(_FAVOURS, ()))):
        red, green, blue = style.bgcolor.get_truecolor()
        bright = 0.3 * red + 0.6 * green + 0.1 * blue > 128
        assert style.color.name == ("black" if bright else "white")

import json
import re

import pytest
import yaml

from seqgen.cli.app import run
from tests.sampling.models import (
    TUNE,
    abc_piece,
    char_tokenizer,
    note_tokenizer,
    spelling_weights,
    write_model,
)

BOOK = "a bad cab.\ned bade bea add dad.\nbee ace a cad.\nabed decade."
"""The model says it by heart."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tokenizer = char_tokenizer()
    (tmp_path / "book.txt").write_text(BOOK)
    tokenizer.save(tmp_path / "v.json")
    options = ["--vocab", "v.json", "--split", "100/0/0", "-o", "book.index", "--suffixes"]
    assert run(["index", "book.txt", *options]) == 0
    write_model(tmp_path / "m", cell="rnn", weights=spelling_weights(tokenizer, BOOK))
    return tmp_path


@pytest.fixture
def sample(home, capfdbinary):
    capfdbinary.readouterr()

    def call(*arguments):
        code = run(["sample", "m", "--seed", "1", "--length", "80", *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def texts(out):
    return [json.loads(line)["text"] for line in out.splitlines()]


def longest_copy(text):
    pieces = (text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1))
    return max(len(piece) for piece in pieces if piece in BOOK)


def test_without_a_limit_the_model_copies_all(sample):
    assert sample()[1].startswith(BOOK)


@pytest.mark.parametrize("limit", [1, 3, 5, 20])
@pytest.mark.parametrize("temperature", ["1", "0"])
def test_no_sample_copies_more_than_the_limit(sample, limit, temperature):
    options = ["--index", "book.index", "--max-copy", limit, "--temperature", temperature]
    code, out, _ = sample("--count", 6, "--format", "json", *options)
    assert code == 0
    found = texts(out)
    assert len(found) == 6
    assert max(longest_copy(text) for text in found) == limit


def test_the_prompt_counts_as_copied(sample):
    options = ["--index", "book.index", "--max-copy", 5, "--format", "json", "--temperature", "0"]
    (found,) = texts(sample("--prompt", BOOK[:5], *options)[1])
    assert not found.startswith(BOOK[5])


def test_a_sample_with_nothing_left_to_draw_says_why_it_ended(sample):
    options = ["--index", "book.index", "--max-copy", 1, "--ban", "<eos>"]
    banned = [option for letter in "abce .\n" for option in ("--ban", letter)]
    code, out, err = sample("--count", 3, "--format", "json", *options, *banned)
    assert code == 0
    assert texts(out) == ["d"] * 3
    assert "--max-copy 1 ended 3 of the samples" in err


def test_a_constraint_that_leaves_only_copies_is_an_error(sample):
    code, out, err = sample("--regex", "a bad cab.", "--index", "book.index", "--max-copy", 4)
    assert (code, out) == (1, "")
    assert "--max-copy 4: in every sample all that the constraint allows would somewhere copy more" in err


def test_samples_that_a_constraint_left_only_copies_for_are_left_out_and_told(sample):
    options = ["--regex", r"a bad (cab|bea)\.", "--index", "book.index", "--max-copy", 7, "--temperature", 99]
    code, out, err = sample(*options, "--count", 40, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert 0 < len(records) < 40
    assert [record["sample"] for record in records] == list(range(1, len(records) + 1))
    assert {record["text"] for record in records} == {"a bad bea."}
    assert f"--max-copy 7: {40 - len(records)} of 40 samples left out" in err


def test_the_best_of_several_is_none_that_a_constraint_left_only_copies_for(sample):
    options = ["--regex", r"a bad (cab|bea)\.", "--index", "book.index", "--max-copy", 7, "--temperature", 99]
    assert sample(*options)[0] == 1
    assert sample(*options, "--best-of", 40)[:2] == (0, "a bad bea.\n")


@pytest.mark.parametrize("option", [("--max-copy", 5), ("--mix-ngram", 0.3)])
def test_an_index_of_another_vocabulary_is_refused(home, sample, option):
    char_tokenizer("abcdefgh .\n").save(home / "other.json")
    run(["index", "book.txt", "--vocab", "other.json", "-o", "other.index"])
    code, out, err = sample("--index", "other.index", *option)
    assert (code, out) == (1, "")
    assert "other.index: made with another vocabulary" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-copy", 0], "--max-copy 0: at least 1 token"),
        (["--mix-ngram", 1.5], "--mix-ngram 1.5: expected a share from 0 to 1"),
        (["--mix-ngram", "much"], "--mix-ngram much: expected a share from 0 to 1, or auto"),
        (["--mix-ngram", "auto", "--index", "book.index"], "book.index has no validation part to choose on"),
        (["--index", "book.index"], "--index book.index: what for?"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(sample, options, message):
    code, out, err = sample(*options)
    assert (code, out) == (1, "")
    assert message in err


def test_an_ngram_model_changes_what_is_likely(sample):
    options = ["--format", "json", "--index", "book.index"]
    plain, mixed = (
        json.loads(sample(*options, *more)[1]) for more in (("--max-copy", 1000), ("--mix-ngram", 1))
    )
    assert plain["text"] == BOOK
    assert mixed["text"] != BOOK


def test_the_share_of_an_ngram_model_is_chosen_on_validation_text(home, sample):
    (home / "long.txt").write_text("bead face cede. " * 40 + BOOK + "bead face cede. " * 8)
    assert run(["index", "long.txt", "--vocab", "v.json", "--split", "80/20/0", "-o", "long.index"]) == 0
    code, out, err = sample("--index", "long.index", "--mix-ngram", "auto", "--json")
    told = re.search(r"--mix-ngram auto: (0\.\d+), the best for validation text", err)
    assert code == 0
    assert 0.2 < float(told[1]) < 1
    assert sample("--index", "long.index", "--mix-ngram", told[1], "--json")[1] == out


@pytest.mark.parametrize("option", [("--max-copy", 5), ("--mix-ngram", "auto"), ("--mix-ngram", 0.3)])
def test_a_replay_searches_the_same_corpus_or_says_that_it_changed(home, sample, capfdbinary, option):
    _, out, _ = sample(*option, "--index", "book.txt", "--receipt", "r.json")
    assert run(["replay", "r.json"]) == 0
    assert capfdbinary.readouterr().out.decode() == out
    (home / "book.txt").write_text(BOOK[::-1])
    assert run(["replay", "r.json"]) == 1
    again, err = capfdbinary.readouterr()
    message = b"seqgen: error: r.json: the corpus that was searched has changed since; restore it\n"
    assert (again, err.endswith(message)) == (b"", True)


@pytest.mark.parametrize("share", ["auto", 0.3])
def test_an_index_with_nothing_to_count_is_told_at_once(sample, capfdbinary, share):
    assert run(["index", "book.txt", "--vocab", "v.json", "--split", "1/99/0", "-o", "late.index"]) == 0
    capfdbinary.readouterr()
    told = "seqgen: error: late.index: its training part is empty; there is nothing to look up\n"
    assert sample("--index", "late.index", "--mix-ngram", share) == (1, "", told)


def test_a_corpus_of_the_model_that_is_not_here_is_told_with_the_model(sample):
    code, out, err = sample("--mix-ngram", 0.5)
    assert (code, out) == (1, "")
    assert err.startswith(
        "seqgen: error: m: its own corpus cannot be read from here (letters.txt: no such file"
    )
    assert err.endswith("; go where it lies, or name one with --index\n")


def test_a_changed_corpus_of_the_model_is_not_searched_for_the_one_it_was(home, sample):
    (home / "letters.txt").write_text(BOOK)
    code, out, err = sample("--max-copy", 5)
    assert (code, out) == (1, "")
    message = "seqgen: error: m: its corpus letters.txt has changed since; name one with --index"
    assert err.splitlines()[-1] == message


def forget(model, *keys):
    """Leave out of a model what a program of one's own may not have written."""
    path = model / "artifact.yaml"
    record = yaml.safe_load(path.read_text())
    record["source"] = {key: value for key, value in record["source"].items() if key not in keys}
    path.write_text(yaml.safe_dump(record))


def test_a_model_that_does_not_name_its_corpus_is_told(home, sample):
    forget(home / "m", "corpus", "corpus_hash")
    told = "seqgen: error: m: does not say what it was trained on; name one with --index\n"
    assert sample("--max-copy", 5) == (1, "", told)


def test_a_model_that_has_no_hash_of_its_corpus_takes_what_it_names(home, sample):
    forget(home / "m", "corpus_hash")
    (home / "letters.txt").write_text(BOOK)
    code, _, err = sample("--max-copy", 5)
    assert code == 0
    assert "m: does not say whether its corpus letters.txt is as it was" in err


def test_bars_are_filled_without_looking_anything_up(home, sample):
    tokenizer = note_tokenizer([abc_piece(TUNE)])
    write_model(home / "m", tokenizer, end=2.0)
    (home / "tune.abc").write_text(TUNE)
    tokenizer.save(home / "notes.json")
    assert run(["index", "tune.abc", "--vocab", "notes.json", "--split", "100/0/0", "-o", "tune.index"]) == 0
    given = ["--prompt", "tune.abc", "--infill", 2, "--index", "tune.index", "--max-copy", 9]
    code, out, err = sample(*given)
    assert (code, out) == (1, "")
    message = "seqgen: error: --infill 2: fits bars into the tune; without --max-copy, --mix-ngram"
    assert err.splitlines()[-1] == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "G"], "--key: this model writes text, which has no notes"),
        (["--fix", "pitch"], "--fix pitch: this model makes text; it is for models of music"),
        (["--starts", "xyz"], "--starts xyz: there is no such text"),
        (["--beam", "3"], "--beam: nothing is drawn; --max-copy and --mix-ngram are for what is"),
    ],
)
def test_what_cannot_be_is_refused_before_a_corpus_is_searched(sample, monkeypatch, arguments, message):
    monkeypatch.setattr("seqgen.cli.sample.look_up", lambda *given: pytest.fail("searched"))
    code, out, err = sample("--max-copy", 5, *arguments)
    assert (code, out) == (1, "")
    assert message in err

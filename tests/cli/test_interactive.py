import re

import pytest

from seqgen.cli.app import run
from seqgen.cli.prompts import standard_input
from tests.sampling.models import char_tokenizer, spelling_weights, write_model


@pytest.fixture
def talk(capfdbinary):
    """Return a function that says lines to the command and gives its exit code, stdout and stderr."""

    def talked(lines, model, *arguments):
        with standard_input(lines if isinstance(lines, bytes) else lines.encode()):
            code = run(["sample", str(model), "--interactive", "--seed", "1", *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return talked


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "letters", end=-20.0).path


@pytest.fixture
def speller(tmp_path):
    weights = spelling_weights(char_tokenizer(), "a bad cab")
    return write_model(tmp_path / "speller", cell="rnn", weights=weights).path


def test_each_line_is_gone_on_from_and_only_what_is_new_is_shown(speller, talk):
    assert talk("a b\n\n", speller) == (0, "ad cab\na bad cab\n", "")


def test_an_empty_line_goes_on_where_the_last_text_was_cut(speller, talk):
    code, out, _ = talk("a b\n\n\n\n\n", speller, "--length", 2)
    assert (code, out) == (0, "ad\n c\nab\n\na \n")  # at its end there is nothing to go on from


def test_turns_differ_and_the_same_lines_give_the_same_text(model, talk):
    _, out, _ = talk("bad\nbad\n", model, "--length", 20)
    first, second = out.replace("\n\n", "\n")[:20], out[-21:]
    assert first != second
    assert out == talk("bad\nbad", model, "--length", 20)[1]


def test_each_reply_obeys_the_constraint_by_itself(model, talk):
    code, out, err = talk("e\nd\n\n", model, "--regex", "[ab]{4}", "--starts", "a")
    assert (code, err) == (0, "")
    replies = out.splitlines()
    assert len(replies) == 3
    assert all(re.fullmatch("a[ab]{3}", reply) for reply in replies)


def test_unseen_characters_are_told_and_the_talk_goes_on(speller, talk):
    code, _, err = talk("é\na\n", speller)
    assert (code, err) == (0, "seqgen: prompt: the model has never seen é; read as <unk>\n")


def test_a_line_that_is_not_utf_8_is_told(speller, talk):
    code, out, err = talk(b"a b\n\xff\n", speller)
    assert (code, out) == (1, "ad cab\n")
    assert err == "seqgen: error: --interactive: line 2 of standard input is not UTF-8\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", 2], "--interactive: reads prompts and shows texts one by one, without --count"),
        (["--prompt", "-"], "--interactive: reads prompts and shows texts one by one, without --prompt"),
        (["--receipt", "r"], "--interactive: reads prompts and shows texts one by one, without --receipt"),
        (["--json"], "--interactive: shows text, and this model or --format gives something else"),
        (
            ["--length", 0],
            "--length 0: text streams without end; tunes, searches, turns and receipts need a length",
        ),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(model, talk, arguments, message):
    assert talk("a\n", model, *arguments) == (1, "", f"seqgen: error: {message}\n")

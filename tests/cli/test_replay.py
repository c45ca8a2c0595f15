import json
import shutil
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import pytest
import typer

from seqgen.cli import prompts, recording
from seqgen.cli.app import run
from seqgen.cli.recording import plan_again
from seqgen.cli.sample import FormatName, plan_samples
from seqgen.cli.sample_music import Kept
from tests.sampling.models import TUNE, abc_piece, note_tokenizer, write_model

OTHERS = {int: 17, float: 0.25, str: "text", Path: Path("place"), bool: True, FormatName: FormatName.TOKENS}
OTHERS |= {list[str]: ["a b", "-c=1"], Kept: Kept.PITCH}


@pytest.fixture
def model(tmp_path):
    return str(write_model(tmp_path / "letters", end=-1.0).path)


@pytest.fixture
def player(tmp_path):
    """A model of notes with random weights: what it plays is no music, but it is always the same."""
    tokenizer = note_tokenizer([abc_piece(TUNE)])
    return str(write_model(tmp_path / "player", tokenizer, end=2.0).path)


@pytest.fixture
def call(capfdbinary):
    """Return a function that runs a command and gives its exit code, stdout and stderr."""

    def called(*arguments):
        code = run([*map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    return called


def said(count):
    return f"seqgen: {count} of {count} samples are those of the receipt\n"


def other_values():
    """Return a value that is not the default one for each option of the command."""
    values = {}
    for name, hint in get_type_hints(plan_samples).items():
        if name != "return":
            kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not NoneType]
            values[name] = OTHERS[kinds[0]]
    return values


def test_every_option_comes_back_from_a_receipt_as_it_was():
    seen = {}

    @wraps(plan_samples)
    def capture(**given):
        seen.update(given)

    values = other_values()
    app = typer.Typer()
    app.command()(capture)
    arguments = ["--exact", "--json", "--interactive", "--valid"]
    for name, value in values.items():
        option = {"model": None, "form": "--format", "pitch_range": "--range"}.get(
            name, "--" + name.replace("_", "-")
        )
        if not isinstance(value, bool):
            listed = value if isinstance(value, list) else [value]
            arguments += [f"{option}={one}" if option else str(one) for one in listed]
    app(arguments, standalone_mode=False)
    called = dict(seen)
    assert called == values
    stored = json.loads(json.dumps({name: recording._plain(value) for name, value in called.items()}))
    seen.clear()
    plan_again(capture, stored, source=Path("r"))
    assert seen == called
    assert all(type(seen[name]) is type(called[name]) for name in called)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", 5],
        ["-n", 3, "--json", "--temperature", "1.5:0.5", "--top-p", 0.9, "--repetition-penalty", 1.2],
        ["-n", 2, "--regex", "[a-d]{3,}[.]", "--ban", "a", "--boost", "b=1", "--no-repeat-ngram", 3],
        ["--beam", 6, "--n-best", 3, "--diverse", 0.5, "--length-penalty", 0.7],
        ["-n", 2, "--best-of", 4, "--exact", "--stop", "e"],
        ["--prompt", "bad ", "--format", "tokens"],
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_a_replay_gives_the_same_bytes_at_any_batch_size(model, call, tmp_path, arguments, batch_size):
    given = ["--length", 30, "--receipt", tmp_path / "r.json", *arguments]
    code, out, _ = call("sample", model, *given)
    assert (code, out != b"") == (0, True)
    count = len(json.loads((tmp_path / "r.json").read_text())["samples"])
    assert call("replay", tmp_path / "r.json", "--batch-size", batch_size) == (0, out, said(count))


def test_a_replay_needs_no_option_again_that_came_from_a_file_name(player, call, tmp_path):
    receipt = tmp_path / "r.json"
    for name in ("tunes.abc", "tune.mid", "tune.jsonl"):
        call("sample", player, "--receipt", receipt, "-o", tmp_path / name)
        content = (tmp_path / name).read_bytes()
        assert call("replay", receipt) == (0, content, said(1))


def test_a_tune_may_be_as_long_in_json_as_in_abc(player, call, tmp_path):
    for form in ("abc", "json", "tokens"):
        call("sample", player, "--seed", 1, "--receipt", tmp_path / "r.json", "--format", form)
        assert json.loads((tmp_path / "r.json").read_text())["settings"]["length"] == 2000


def test_several_tune_files_are_made_again_as_files(player, call, tmp_path):
    call("sample", player, "-n", 2, "--receipt", tmp_path / "r.json", "-o", tmp_path / "a.musicxml")
    assert call("replay", tmp_path / "r.json", "-o", tmp_path / "b.musicxml") == (0, b"", said(2))
    for number in (1, 2):
        contents = {(tmp_path / f"{name}-{number}.musicxml").read_bytes() for name in "ab"}
        assert len(contents) == 1
    code, out, err = call("replay", tmp_path / "r.json")
    assert (code, out, err.count("\n")) == (1, b"", 1)


def test_a_receipt_holds_what_came_from_standard_input(model, player, call, tmp_path):
    receipt = tmp_path / "r.json"
    for path, content in ((model, "bad é\n".encode()), (model, b"-"), (player, TUNE.encode())):
        with prompts.standard_input(content):
            _, out, _ = call("sample", path, "--length", 20, "--prompt", "-", "--receipt", receipt)
        with prompts.standard_input(b"something else"):
            code, again, err = call("replay", receipt)
        assert (code, again) == (0, out)
        assert err.endswith(said(1))


def test_a_moved_model_is_named_and_keeps_its_name_in_titles(player, call, tmp_path):
    _, out, _ = call("sample", player, "--receipt", tmp_path / "r.json")
    shutil.move(player, tmp_path / "elsewhere")
    code, nothing, err = call("replay", tmp_path / "r.json")
    assert (code, nothing) == (1, b"")
    receipt = tmp_path / "r.json"
    assert (
        err == f"seqgen: error: {player}: no such model; "
        f"{receipt} was made with it; --model DIR says where it is now\n"
    )
    assert b"T:player, seed" in out
    assert call("replay", tmp_path / "r.json", "--model", tmp_path / "elsewhere") == (0, out, said(1))


def test_another_model_is_refused(model, call, tmp_path):
    call("sample", model, "--receipt", tmp_path / "r.json")
    write_model(tmp_path / "letters", seed=1)
    code, out, err = call("replay", tmp_path / "r.json")
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert err.startswith(f"seqgen: error: {model}: another model (sha256 ")


def edit(path, **changes):
    record = json.loads(path.read_text())
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            record[part][key] = value
        else:
            record[part] = value
    path.write_text(json.dumps(record))


def test_samples_that_differ_are_not_written(model, call, tmp_path):
    receipt = tmp_path / "r.json"
    call("sample", model, "-n", 2, "--receipt", receipt)
    edit(receipt, settings__seed=99)
    code, out, err = call("replay", receipt)
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert ": sample 1 comes out as " in err
    assert err.endswith("; was the receipt edited?\n")


def test_another_machine_is_named_as_the_cause_and_passed_over_if_the_bytes_are_the_same(
    model, call, tmp_path
):
    receipt = tmp_path / "r.json"
    _, expected, _ = call("sample", model, "--seed", 3, "--receipt", receipt)
    edit(receipt, machine__features="neon")
    code, out, err = call("replay", receipt)
    assert (code, out) == (0, expected)
    assert "although made elsewhere (features neon then and " in err
    edit(receipt, settings__seed=99)
    code, out, err = call("replay", receipt)
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert "; this is another kind of machine: features neon then and " in err


def test_more_or_fewer_samples_are_told(model, call, tmp_path):
    receipt = tmp_path / "r.json"
    call("sample", model, "-n", 2, "--receipt", receipt)
    samples = json.loads(receipt.read_text())["samples"]
    edit(receipt, samples=samples[:1])
    assert call("replay", receipt)[2].endswith(": 1 samples, but more came out\n")
    edit(receipt, samples=[*samples, samples[0]])
    assert call("replay", receipt)[2].endswith(": 3 samples, but only 2 came out\n")


def test_a_file_that_was_read_must_be_the_same(model, call, tmp_path):
    receipt, words = tmp_path / "r.json", tmp_path / "words"
    words.write_text("bad cab")
    _, out, _ = call("sample", model, "--words-from", words, "--receipt", receipt)
    assert call("replay", receipt)[:2] == (0, out)
    words.write_text("bad bed")
    assert call("replay", receipt)[::2] == (
        1, f"seqgen: error: {words}: changed since the receipt was made; restore it\n"
    )  # fmt: skip
    words.unlink()
    assert call("replay", receipt)[2].startswith(f"seqgen: error: {words}: no such file; ")


def test_an_option_unknown_here_is_told(model, call, tmp_path):
    receipt = tmp_path / "r.json"
    call("sample", model, "--receipt", receipt)
    edit(receipt, settings__sparkle=3)
    code, _, err = call("replay", receipt)
    assert (code, err.count("\n")) == (1, 1)
    assert "sparkle 3 is no option of this seqgen sample; replay it with the version that made it" in err


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 1, "samples": 3}', "\xff"])
def test_what_is_no_receipt_is_told(call, tmp_path, content):
    (tmp_path / "r.json").write_text(content, encoding="latin-1")
    code, out, err = call("replay", tmp_path / "r.json")
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert "not a receipt, or damaged" in err


def test_a_newer_receipt_and_a_missing_one_are_told(call, tmp_path):
    (tmp_path / "r.json").write_text('{"format": 2}')
    assert "format 2, this seqgen reads up to 1; upgrade seqgen" in call("replay", tmp_path / "r.json")[2]
    assert (
        call("replay", tmp_path / "absent")[2]
        == f"seqgen: error: {tmp_path}/absent: no such file; check its name and folder\n"
    )


def test_a_run_that_fails_leaves_the_old_receipt(model, call, tmp_path):
    (tmp_path / "r.json").write_text("old")
    assert call("sample", model, "--receipt", tmp_path / "r.json", "--ban", "zz")[0] == 1
    assert (tmp_path / "r.json").read_text() == "old"
    code, _, err = call("sample", model, "--receipt", tmp_path / "x", "-o", tmp_path / "x")
    assert (code, err) == (1, f"seqgen: error: --receipt {tmp_path}/x: name a file of its own\n")

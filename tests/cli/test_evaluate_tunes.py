import json

import pytest

from seqgen.cli.app import run

SMALL = [
    "--hidden-size",
    "8",
    "--embedding-size",
    "4",
    "--batch-size",
    "4",
    "--epochs",
    "1",
    "--device",
    "cpu",
]
TUNES = "\n".join(
    f"X:{n}\nT:Tune {n}\nM:2/4\nL:1/8\nK:D\n{'DEFGABcd'[n % 7]}A FA | d2 {'GABc'[n % 4]}2 | D4 |]\n"
    for n in range(24)
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a book of tunes of three bars of two quarters, and a model of it."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQGEN_CACHE", str(path / "cache"))
        (path / "book.abc").write_text(TUNES)
        book = str(path / "book.abc")
        assert run(["train", book, "-o", str(path / "m"), "--split", "60/20/20", *SMALL]) == 0
        yield path


def test_music_is_scored_per_note_and_per_quarter(home, capsys):
    assert run(["evaluate", str(home / "m"), "--part", "test", "--device", "cpu", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["units"]["quarters"] == 6 * record["documents"]
    assert record["bits_per"]["quarter"] * 6 == pytest.approx(record["bits_per"]["note"] * 7, abs=1e-3)


def test_samples_stand_beside_the_part_that_is_scored(home, capsys):
    arguments = ["evaluate", str(home / "m"), "--samples", "3", "--device", "cpu"]
    assert run([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)["samples"]
    assert record["drawn"]["pieces"] == 3
    assert record["valid"]["bar_validity"] == record["valid"]["in_key_rate"] == 1
    assert run(arguments) == 0
    table = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert "(valid 100.0%)" in table["notes in key"]


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--samples", "2", "--per-token"], "--samples: it compares tunes, and --per-token prints losses")],
)
def test_what_makes_no_sense_is_one_line_and_exit_1(home, capsys, options, message):
    assert run(["evaluate", str(home / "m"), *options]) == 1
    assert capsys.readouterr().err.startswith(f"seqgen: error: {message}")

"""Tunes under rules by the command line."""

import pytest

from seqgen.cli.app import run
from seqgen.music.measures import measures, wrong_measures
from seqgen.music.read import parse_unit, split_music
from tests.sampling.models import TUNE, abc_piece, char_tokenizer, note_tokenizer, write_model

JIG = "X:1\nM:6/8\nL:1/8\nK:G\nD | GAB def | gfe d2 B | c3 cBA | G3 G2 |]\n"


@pytest.fixture
def model(tmp_path):
    write_model(tmp_path / "m", note_tokenizer([abc_piece(TUNE), abc_piece(JIG)]))
    return str(tmp_path / "m")


def tunes(path):
    return [parse_unit(unit) for unit in split_music(path)]


def test_tunes_are_whole_unless_they_may_be_any(model, tmp_path, capsys):
    path = tmp_path / "tunes.abc"
    command = ["sample", model, "--count", "20", "--seed", "1", "--temperature", "3", "--length", "90"]
    assert run([*command, "-o", str(path)]) == 0
    assert [wrong_measures(tune) for tune in tunes(path)] == [[]] * 20
    assert capsys.readouterr().err == ""
    assert run([*command, "--any", "--ban", "<eos>", "-o", str(path)]) == 0
    assert any(wrong_measures(tune) for tune in tunes(path))


def test_options_reach_the_tune(model, tmp_path):
    path = tmp_path / "tunes.abc"
    asked = ["--key", "G", "--meter", "6/8", "--bars", "5", "--range", "D4:D5", "--scale", "key"]
    more = ["--max-leap", "5", "--end-on", "tonic"]
    assert run(["sample", model, "--seed", "1", *asked, *more, "-o", str(path)]) == 0
    (tune,) = tunes(path)
    heights = [note.pitch.midi for note in tune.parts[0].notes if note.pitch]
    assert (tune.keys[0][1].name, tune.meters[0][1].name) == ("G-major", "6/8")
    assert measures(tune)[-1].number == 5
    assert 62 <= min(heights) <= max(heights) <= 74
    assert heights[-1] % 12 == 7


def test_what_is_impossible_is_one_line(model, capsys):
    assert run(["sample", model, "--key", "Bb", "--seed", "1"]) == 1
    told = capsys.readouterr().err
    assert told == "seqgen: error: --key Bb: the model knows no Bb-major, but D-major, G-major\n"


def test_a_crooked_prompt_is_remarked(model, tmp_path, capsys):
    (tmp_path / "crooked.abc").write_text("X:1\nM:6/8\nL:1/8\nK:G\nGAB def | GAB d2 | GAB\n")
    prompt = ["--prompt", str(tmp_path / "crooked.abc")]
    assert run(["sample", model, *prompt, "--seed", "1", "--length", "9"]) == 0
    assert "bars need not add up here: --prompt: " in capsys.readouterr().err


def test_texts_and_tunes_have_options_of_their_own(model, tmp_path, capsys):
    write_model(tmp_path / "text", char_tokenizer())
    assert run(["sample", str(tmp_path / "text"), "--bars", "4", "--seed", "1"]) == 1
    assert "--bars: this model writes text, which has no notes" in capsys.readouterr().err
    assert run(["sample", model, "--lines", "4", "--seed", "1"]) == 1
    assert "--lines: this model makes music, which has no text" in capsys.readouterr().err

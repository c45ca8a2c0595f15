"""The models that come along: whole, small, made by their recipes, and able to write."""

from pathlib import Path

import pytest

from seqgen.artifacts import load_artifact
from seqgen.cli.app import run
from seqgen.config import load_yaml, to_plain
from seqgen.music.measures import wrong_measures
from seqgen.music.read import parse_unit, split_music

ROOT = Path(__file__).parents[1]
MODELS = sorted(
    path for path in (ROOT / "models").iterdir() if (ROOT / "recipes" / f"{path.name}.yaml").exists()
)
MOST_BYTES = 4_000_000


def test_three_models_come_along():
    assert [model.name for model in MODELS] == ["chorale", "fiddle", "pydoc"]


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_a_model_is_whole_and_small_and_as_its_recipe_says(model):
    artifact = load_artifact(model)  # checks the hash of every file
    files = [path for path in model.rglob("*") if path.is_file() and "checkpoint" not in path.parts]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    plain = to_plain(artifact.config)
    for section, values in load_yaml(ROOT / "recipes" / f"{model.name}.yaml").items():
        assert {key: plain[section][key] for key in values} == values
    card = (model / "README.md").read_text(encoding="utf-8")
    assert f"recipes/{model.name}.yaml" in card
    assert f"{artifact.scores['valid']['loss_nats']:.4f}" in card


def test_the_fiddle_plays_tunes_whose_bars_add_up(tmp_path):
    path = tmp_path / "tunes.abc"
    asked = ["--key", "G", "--meter", "6/8", "--count", "5", "--seed", "1"]
    assert run(["sample", str(ROOT / "models" / "fiddle"), *asked, "-o", str(path)]) == 0
    tunes = [parse_unit(unit) for unit in split_music(path)]
    assert [(tune.keys[0][1].name, tune.meters[0][1].name) for tune in tunes] == [("G-major", "6/8")] * 5
    assert not any(wrong_measures(tune) for tune in tunes)


def test_the_chorale_sings_in_four_voices(tmp_path):
    path = tmp_path / "chorale.mid"
    assert run(["sample", str(ROOT / "models" / "chorale"), "--seed", "3", "-o", str(path)]) == 0
    (unit,) = split_music(path)
    assert len(parse_unit(unit).parts) == 4


def test_the_reference_goes_on_with_words(capsys):
    model = str(ROOT / "models" / "pydoc")
    assert (
        run(["sample", model, "--prompt", "The ", "--length", "400", "--temperature", "0.5", "--seed", "1"])
        == 0
    )
    words = capsys.readouterr().out.split()
    assert words[0] == "The"
    assert len({"the", "is", "of", "a", "to"} & set(words)) >= 3

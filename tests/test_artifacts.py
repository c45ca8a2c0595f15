import numpy as np
import pytest
import yaml

from seqgen.artifacts import (
    Checkpoint,
    load_artifact,
    load_checkpoint,
    require_task,
    write_artifact,
    write_checkpoint,
)
from seqgen.config import build_config
from seqgen.errors import ArtifactError
from tests.corpora import MemoryCorpus, sentences

WEIGHTS = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "head.bias": np.ones(2, np.float32)}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    write(path)
    return path


def write(path, weights=WEIGHTS):
    write_artifact(
        path,
        config=build_config({"model": {"layers": 3}}),
        weights=weights,
        tokenizer=MemoryCorpus(sentences(20)).tokenizer,
        history=[{"step": 1, "valid_loss_nats": 2.5}],
        source={"corpus": ["a.txt"], "corpus_hash": "x", "index_hash": "y"},
        scores={"valid": {"protocol": "carried", "loss_nats": 2.5}},
        card="# model\n",
    )


def test_an_artifact_reads_back_as_it_was_written(model):
    artifact = load_artifact(model)
    assert artifact.config.model.layers == 3
    assert artifact.scores["valid"]["loss_nats"] == 2.5
    assert artifact.history() == [{"step": 1, "valid_loss_nats": 2.5}]
    assert artifact.tokenizer.decode(artifact.tokenizer.encode("the cat")) == "the cat"
    assert all((artifact.weights()[name] == array).all() for name, array in WEIGHTS.items())


def test_writing_again_replaces_the_weights_and_leaves_no_old_ones(model):
    write(model, {"head.bias": np.zeros(2, np.float32)})
    assert set(load_artifact(model).weights()) == {"head.bias"}
    assert len(list(model.glob("weights-*"))) == 1


def test_a_changed_byte_is_told_with_its_file(model):
    (file,) = model.glob("weights-*")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{file.name}: changed since it was written"):
        load_artifact(model)


def test_a_missing_file_is_told_with_its_name(model):
    (model / "tokenizer" / "vocab.json").unlink()
    with pytest.raises(ArtifactError, match=r"vocab\.json: missing"):
        load_artifact(model)


def test_a_folder_that_is_no_model_says_so(tmp_path):
    with pytest.raises(ArtifactError, match="not a model directory"):
        load_artifact(tmp_path)


def test_a_model_that_does_not_exist_says_how_to_make_it(tmp_path):
    with pytest.raises(ArtifactError, match="no such model; `seqgen train CORPUS -o"):
        load_artifact(tmp_path / "none")


def test_a_newer_format_asks_for_an_upgrade(model):
    file = model / "artifact.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "format": 99}))
    with pytest.raises(ArtifactError, match="format 99, this seqgen reads up to"):
        load_artifact(model)


def test_damaged_metadata_is_one_line(model):
    (model / "artifact.yaml").write_text("format: 1\nconfig: {model: {layers: many}}\n")
    with pytest.raises(ArtifactError, match=r"artifact\.yaml: damaged"):
        load_artifact(model)


def checkpoint():
    return Checkpoint(
        tensors={"model.x": np.arange(3.0)},
        progress={"step": 7},
        config=build_config({}),
        source={"index_hash": "y"},
        history=[{"step": 5}],
    )


def test_a_checkpoint_reads_back_as_it_was_written(tmp_path):
    write_checkpoint(tmp_path, checkpoint())
    found = load_checkpoint(tmp_path)
    assert found.progress == {"step": 7}
    assert found.history == [{"step": 5}]
    assert found.config == checkpoint().config
    assert (found.tensors["model.x"] == np.arange(3.0)).all()


def test_a_changed_checkpoint_is_refused(tmp_path):
    write_checkpoint(tmp_path, checkpoint())
    (file,) = (tmp_path / "checkpoint").glob("state-*")
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ArtifactError, match="changed since it was written"):
        load_checkpoint(tmp_path)


def test_resuming_from_nothing_says_so(tmp_path):
    with pytest.raises(ArtifactError, match="no checkpoint to resume from"):
        load_checkpoint(tmp_path)


def test_a_model_without_a_task_is_a_language_model(model):
    file = model / "artifact.yaml"
    record = yaml.safe_load(file.read_text())
    for key in ("task", "classify"):
        del record["config"][key]
    file.write_text(yaml.safe_dump(record))
    artifact = load_artifact(model)
    assert require_task(artifact, "lm") is artifact


def test_a_model_of_another_task_is_told_with_the_command_that_takes_it(model):
    file = model / "artifact.yaml"
    record = yaml.safe_load(file.read_text())
    record["config"]["task"] = "translate"
    file.write_text(yaml.safe_dump(record))
    expected = (
        rf"{model}: a translation model, where a language model is needed; use `seqgen translate {model}`"
    )
    with pytest.raises(ArtifactError, match=expected):
        require_task(load_artifact(model), "lm")

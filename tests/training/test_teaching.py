"""Soft targets, and models that teach another what they expect of a fold they have not seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seqgen.artifacts import load_artifact, load_checkpoint
from seqgen.config import build_config
from seqgen.errors import ArtifactError, ConfigError
from seqgen.evaluation.losses import restore_model
from seqgen.training import teaching
from seqgen.training.loop import Trainer, train
from seqgen.training.teaching import SoftTargets, Teachers
from tests.corpora import MemoryCorpus, sentences

CPU = torch.device("cpu")
FOLDS = 3


@pytest.fixture(scope="module")
def corpus():
    return MemoryCorpus(sentences(60))


def settings(**training):
    return build_config(
        {
            "vocab": {"level": "char"},
            "model": {"cell": "lstm", "hidden_size": 64, "embedding_size": 16, "dropout": 0.0},
            "training": {
                "epochs": 40, "batch_size": 8, "bptt": 20, "learning_rate": 1e-2, "warmup_steps": 3,
                "device": "cpu", "validations": 8, **training,
            },
        }
    )  # fmt: skip


def run(corpus, path, config, **options):
    return list(train(corpus, config, path=path, source={"corpus": ["memory"]}, **options))


@pytest.fixture(scope="module")
def teachers(corpus, tmp_path_factory):
    """Return the folders of a teacher for each fold."""
    folder = tmp_path_factory.mktemp("teachers")
    for number in range(1, FOLDS + 1):
        run(corpus, folder / str(number), settings(epochs=12, fold=f"{number}/{FOLDS}"))
    return [str(folder / str(number)) for number in range(1, FOLDS + 1)]


def artifacts(paths):
    return [load_artifact(Path(path)) for path in paths]


def told_one_by_one(path, tokens):
    """Return what a model expects at each place of a stream, read in order from EOS, (N, V)."""
    model = restore_model(load_artifact(Path(path)), "cpu")
    inputs = torch.from_numpy(np.append(0, tokens[:-1]).astype(np.int64))[:, None]
    with torch.inference_mode():
        features, _ = model(inputs, model.initial_state(1), inputs == 0)
        return torch.softmax(model.logits(features), dim=-1)[:, 0].numpy()


class Rows:
    def __init__(self, *rows):
        self.told = np.array(rows, np.float32)

    def rows(self, places):
        return self.told[places]


def test_soft_targets_mix_their_sources_by_their_shares():
    one, other = Rows([1, 0], [0.5, 0.5]), Rows([0, 1], [0, 1])
    targets = SoftTargets(((0.1, one), (0.3, other)))
    assert targets.share == pytest.approx(0.4)
    assert targets.spread(np.array([[0, 1]])) == pytest.approx(np.array([[[0.25, 0.75], [0.125, 0.875]]]))
    assert SoftTargets(((0.1, one),)).spread(np.array([1])) == pytest.approx(np.array([[0.5, 0.5]]))
    assert SoftTargets(((0.1, None),)).spread(np.array([1])) is None
    assert SoftTargets(()).share == 0


def test_each_fold_is_told_by_the_teacher_that_has_not_seen_it(corpus, teachers):
    tokens = corpus.tokens("train")
    found = Teachers(corpus, artifacts(teachers), CPU, "float32").rows(np.arange(len(tokens)))
    third = len(tokens) // FOLDS
    first, _, last = (told_one_by_one(path, tokens) for path in teachers)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert found[:third] == pytest.approx(first[:third], abs=2e-3)
    # The last fold is read from its beginning, which is within a document.
    begins = 2 * third + np.argmax(tokens[2 * third :] == 0) + 1
    assert found[begins:] == pytest.approx(last[begins:], abs=2e-3)
    assert np.abs(found[:third] - last[:third]).max() > 0.1


def test_teachers_of_one_fold_are_averaged(corpus, teachers):
    places = np.arange(50)
    alone = Teachers(corpus, artifacts(teachers), CPU, "float32").rows(places)
    doubled = Teachers(corpus, artifacts([*teachers, teachers[0]]), CPU, "float32").rows(places)
    assert doubled == pytest.approx(alone, abs=2e-3)


def test_a_fold_is_not_trained_on(corpus, tmp_path):
    trainer = Trainer(corpus, settings(fold="2/2"), path=tmp_path, source={})
    tokens = corpus.tokens("train")
    assert np.array_equal(trainer.tokens, tokens[: len(tokens) // 2])


def test_a_taught_network_overfits_less(corpus, teachers, tmp_path):
    losses = {}
    for taught in ((), tuple(teachers)):
        steps = run(corpus, tmp_path / str(len(taught)), settings(teachers=taught, distillation=0.6))
        losses[bool(taught)] = [step.validation.loss_nats for step in steps if step.validation]
    assert losses[True][-1] < losses[False][-1] - 0.05


def test_a_taught_training_resumes_bit_for_bit(corpus, teachers, tmp_path):
    config = settings(teachers=tuple(teachers), epochs=4, ngram_smoothing=0.2)
    whole = run(corpus, tmp_path / "whole", config)
    steps = train(corpus, config, path=tmp_path / "cut", source={"corpus": ["memory"]})
    for _ in range(len(whole) // 2):
        next(steps)
    steps.close()
    run(corpus, tmp_path / "cut", config, checkpoint=load_checkpoint(tmp_path / "cut"))
    expected, found = (load_checkpoint(tmp_path / name).tensors for name in ("whole", "cut"))
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_teachers_that_do_not_suit_are_refused(corpus, teachers, tmp_path):
    def refused(paths, other=corpus):
        with pytest.raises(ConfigError) as caught:
            Teachers(other, artifacts(paths), CPU, "float32")
        return str(caught.value)

    assert refused(teachers[:2]) == "--teacher: none left out 3/3; train one more with --fold 3/3"
    elsewhere = MemoryCorpus(sentences(50))
    assert refused(teachers, elsewhere) == (
        f"{teachers[0]}: is of another corpus, vocabulary or split; teachers are of this one"
    )
    run(corpus, tmp_path / "all", settings(epochs=1))
    assert refused([str(tmp_path / "all")]) == (
        f"{tmp_path / 'all'}: has seen all of the text; train a teacher with --fold K/N"
    )
    run(corpus, tmp_path / "half", settings(epochs=1, fold="2/2"))
    assert refused([teachers[0], str(tmp_path / "half")]) == (
        f"{tmp_path / 'half'}: left out 2/2, but {teachers[0]} 1/3; use one N"
    )


def test_more_than_memory_should_hold_is_refused(corpus, teachers, monkeypatch):
    monkeypatch.setattr(teaching, "MOST_BYTES", 1e3)
    with pytest.raises(ConfigError, match=r"--teacher: what they expect of .* kinds takes .* GB, and"):
        Teachers(corpus, artifacts(teachers), CPU, "float32")


def test_a_teacher_that_is_not_there_is_told(corpus, tmp_path):
    with pytest.raises(ArtifactError, match="gone"):
        Trainer(corpus, settings(teachers=(str(tmp_path / "gone"),)), path=tmp_path, source={})


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"label_smoothing": 0.1},
            "--teacher and --label-smoothing both spread targets; ask for one of them",
        ),
        (
            {"ngram_smoothing": 0.4, "distillation": 0.6},
            "--ngram-smoothing and --distillation leave nothing of a target; lower one of them",
        ),
        ({"fold": "1/2"}, "--fold is for teachers, and these have none: leave out --teacher or --fold"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(corpus, training, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        Trainer(corpus, settings(teachers=("m",), **training), path=tmp_path, source={})
    assert str(caught.value) == message

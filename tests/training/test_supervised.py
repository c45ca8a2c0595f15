from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from seqgen.artifacts import load_checkpoint
from seqgen.config import build_config
from seqgen.errors import ArtifactError, ConfigError
from seqgen.training.supervised import train_supervised

N, FEATURES, CLASSES = 61, 5, 3
TRAINING = {"batch_size": 8, "epochs": 4, "validations": 4, "learning_rate": 0.05, "warmup_steps": 0}


@dataclass
class Accuracy:
    loss_nats: float
    merit: float

    @property
    def summary(self):
        return f"accuracy {self.merit:.2f}"

    def record(self):
        return {"accuracy": self.merit}


@dataclass
class Blobs:
    """Points around three centres; the mean of what validates is told by `merits` where they are given."""

    merits: list = field(default_factory=list)
    frozen: str = ""
    scale: float = 1.0
    written: list = field(default_factory=list)
    outcomes = CLASSES

    def __post_init__(self):
        random = np.random.default_rng(7)
        self.labels = torch.from_numpy(random.integers(CLASSES, size=N))
        centres = random.normal(size=(CLASSES, FEATURES))
        self.points = torch.from_numpy(centres[self.labels] + random.normal(size=(N, FEATURES)) / 2).float()
        self.lengths = random.integers(1, 9, size=N)
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(FEATURES, 4), nn.Tanh(), nn.Linear(4, CLASSES))

    def loss(self, examples, *, seed, progress, precision):
        noise = torch.randn(len(examples), FEATURES, generator=torch.Generator().manual_seed(seed)) / 10
        chosen = torch.from_numpy(examples)
        logits = self.model(self.points[chosen] + noise)
        return self.scale * nn.functional.cross_entropy(logits, self.labels[chosen])

    def validate(self, *, precision):
        with torch.no_grad():
            logits = self.model(self.points)
        loss = float(nn.functional.cross_entropy(logits, self.labels))
        right = float((logits.argmax(1) == self.labels).float().mean())
        return Accuracy(loss, self.merits.pop(0) if self.merits else right)

    def rate_share(self, parameter, epoch):
        return 0.0 if self.frozen and parameter.startswith(self.frozen) else 1.0

    def write(self, path, *, history, scores):
        weights = {name: tensor.detach().clone() for name, tensor in self.model.named_parameters()}
        self.written.append((dict(scores), weights))


def run(objective, path, *, steps=None, checkpoint=None, **training):
    config = build_config({"task": "classify", "training": {**TRAINING, **training}})
    source = {"corpus_hash": "blobs"}
    done = []
    generator = train_supervised(objective, config, path=path, source=source, checkpoint=checkpoint)
    for step in generator:
        done.append(step)
        if len(done) == steps:
            generator.close()
            break
    return done


def weights_of(objective):
    return [parameter.detach().numpy() for parameter in objective.model.parameters()]


def test_a_model_learns_and_validates_at_even_marks(tmp_path):
    objective = Blobs()
    steps = run(objective, tmp_path)
    assert [step.step for step in steps if step.validation] == [8, 16, 24, 32]
    assert steps[-1].validation.merit > 0.8
    assert steps[-1].epoch == 4


def test_the_best_weights_are_kept_and_not_the_last(tmp_path):
    objective = Blobs(merits=[0.5, 0.8, 0.7, 0.6])
    steps = run(objective, tmp_path)
    assert [step.is_best for step in steps if step.validation] == [True, True, False, False]
    assert [scores["valid"]["accuracy"] for scores, _ in objective.written] == [0.5, 0.8]


def test_patience_stops_early(tmp_path):
    steps = run(Blobs(merits=[0.8, 0.7, 0.6, 0.9]), tmp_path, patience=2)
    assert steps[-1].stopped_early
    assert steps[-1].step == 24


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(tmp_path):
    trained = []
    for seed in (1, 1, 2):
        trained.append(Blobs())
        run(trained[-1], tmp_path, seed=seed)
    first, second, other = map(weights_of, trained)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    whole, broken, resumed = Blobs(), Blobs(), Blobs()
    run(whole, tmp_path / "whole", average="ema")
    run(broken, tmp_path / "broken", steps=13, average="ema")
    steps = run(resumed, tmp_path / "broken", checkpoint=load_checkpoint(tmp_path / "broken"), average="ema")
    assert steps[0].step == 14
    assert all((a == b).all() for a, b in zip(weights_of(whole), weights_of(resumed), strict=True))


def test_a_parameter_whose_rate_has_no_share_stays_as_it_is(tmp_path):
    objective = Blobs(frozen="0.")
    before = [weights.copy() for weights in weights_of(objective)]
    run(objective, tmp_path)
    after = weights_of(objective)
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [True, True, False, False]


def test_interrupting_before_the_first_validation_leaves_a_model_and_a_checkpoint(tmp_path):
    objective = Blobs()
    run(objective, tmp_path, steps=3)
    assert [scores for scores, _ in objective.written] == [{}]
    assert load_checkpoint(tmp_path).progress["step"] == 3


def test_a_checkpoint_of_another_corpus_is_refused(tmp_path):
    run(Blobs(), tmp_path, steps=3)
    checkpoint = load_checkpoint(tmp_path)
    checkpoint.source["corpus_hash"] = "other"
    with pytest.raises(ArtifactError, match="another corpus"):
        run(Blobs(), tmp_path, checkpoint=checkpoint)


def test_a_training_without_finite_losses_gives_up_with_advice(tmp_path):
    with pytest.raises(ConfigError, match="lower --learning-rate"):
        run(Blobs(scale=float("nan")), tmp_path)

"""What every training loop does, whatever a batch is: budget, validations, the best weights, checkpoints.

A subclass says what a batch is, how a step learns from it and how the model is scored and written. What is
random about a step is a function of (seed, epoch, step), so a training that is resumed ends as one that was
not.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import nn

from seqgen.artifacts import Checkpoint, write_checkpoint
from seqgen.config import Config
from seqgen.errors import ArtifactError, ConfigError
from seqgen.networks.encoders import State
from seqgen.training.averaging import WeightAverage, averaging_rule
from seqgen.training.budget import Budget
from seqgen.training.divergence import MOST_RECOVERIES, DivergenceError, LossWatch
from seqgen.training.meter import Meter
from seqgen.training.optim import make_optimizer
from seqgen.training.state import restore_tensors, training_tensors
from seqgen.training.step import Step, Validation


class Learned(NamedTuple):
    """What an optimiser step leaves to tell."""

    loss_nats: float
    gradient_norm: float
    learning_rate: float
    tokens: int


class Measured(Validation, Protocol):
    """A validation by which the best weights are chosen."""

    @property
    def merit(self) -> float:
        """What is to be as large as possible, such as accuracy or minus the loss."""
        ...

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        ...


class BaseTrainer(ABC):
    """A model in training: its weights, their average, its optimiser, and where it stands.

    Args:
        model: What is trained, on its device.
        config: The complete configuration.
        path: The model directory.
        source: What is trained on.
        outcomes: How many outcomes a prediction has.
        apart: Whether each parameter has a learning rate of its own.
    """

    batches: Sized
    """Those of the present epoch."""
    origin: str
    """The key of `source` whose value a checkpoint must have in common with it."""

    def __init__(
        self,
        model: nn.Module,
        config: Config,
        *,
        path: Path,
        source: Mapping[str, Any],
        outcomes: int,
        apart: bool = False,
    ) -> None:
        settings = config.training
        self._network = model
        self.config, self.path, self.source = config, path, dict(source)
        self.optimizer = make_optimizer(model, settings, apart=apart)
        self.average = WeightAverage(model, averaging_rule(settings))
        self.watch = LossWatch(outcomes)
        self.batches = self._batches_of(epoch=0)
        self.budget = Budget.of(settings, steps_per_epoch=len(self.batches))
        self.state = self._first_state()
        self.step = 0
        self.seconds = 0.0
        self.best_loss: float | None = None
        self.stale = 0
        self.recoveries = 0
        self.history: list[dict[str, Any]] = []
        self.good = self.snapshot()

    @abstractmethod
    def _batches_of(self, epoch: int) -> Sized:
        """Return the batches of an epoch."""

    @abstractmethod
    def warm_up(self) -> None:
        """Run one batch without learning from it, so that compiling does not count as training time."""

    @abstractmethod
    def _learn(self, progress: float) -> Learned:
        """Take one optimiser step.

        Raises:
            DivergenceError: If the loss or the gradient is past mending; the weights are then as before.
        """

    @abstractmethod
    def _score(self) -> Measured | None:
        """Score the averaged weights on what validates; None where there is nothing."""

    @property
    @abstractmethod
    def losses(self) -> list[float]:
        """What is to be as small as possible at each validation so far, as schedules and averages take it."""

    @abstractmethod
    def write(self, scores: Mapping[str, Any]) -> None:
        """Write the present weights, or their average if there is one, as the model."""

    def _first_state(self) -> State:
        """Return the state that is carried into an epoch; none here."""
        return []

    def _remarks(self, cost: float) -> dict[str, Any]:
        """Return what the history keeps of a validation, whose cost is to be as small as possible."""
        return {}

    def run(self) -> Iterator[Step]:
        """Take all steps, and leave a checkpoint at the end or where the caller stops.

        A training that fails writes nothing more: the folder stays as its last validation left it.
        """
        try:
            yield from self.steps()
        except (GeneratorExit, KeyboardInterrupt):
            self.save()
            raise
        self.save()

    def steps(self) -> Iterator[Step]:
        """Train until the budget is used up or the score stops improving."""
        self.warm_up()
        meter, notice = Meter(self.seconds), None
        settings = self.config.training
        while (before := self.budget.progress(self.step, self.seconds)) < 1:
            try:
                learned = self._learn(before)
                meter.count(learned.tokens, clipped=learned.gradient_norm > settings.clip_norm)
                self.seconds = meter.seconds()
                progress = self.budget.progress(self.step, self.seconds)
                score, is_best = None, False
                if self._validation_is_due(before, progress):
                    with meter.pause():
                        score, is_best = self._validate(learned.loss_nats)
            except DivergenceError as error:
                notice = self._recover(error)
                continue
            self.seconds = meter.seconds()
            stopped = settings.patience is not None and self.stale >= settings.patience
            yield Step(
                step=self.step,
                epoch=self.step / len(self.batches),
                progress=1.0 if stopped else progress,
                loss_nats=learned.loss_nats,
                gradient_norm=learned.gradient_norm,
                clipped_share=meter.clipped_share(),
                learning_rate=learned.learning_rate,
                seconds=self.seconds,
                tokens_per_second=meter.tokens_per_second(),
                validation=score,
                gate_saturation=None if score is None else self.history[-1].get("gate_saturation"),
                is_best=is_best,
                stopped_early=stopped,
                notice=notice,
            )
            notice = None
            if stopped:
                return

    def _validation_is_due(self, before: float, progress: float) -> bool:
        """Tell whether a step has passed one of the evenly spread marks of the budget."""
        count = self.config.training.validations
        return progress >= 1 or int(progress * count) > int(before * count)

    def _validate(self, training_loss: float) -> tuple[Measured | None, bool]:
        score = self._score()
        loss = training_loss if score is None else score.loss_nats
        self.watch.check_validation(loss)
        cost = loss if score is None else -score.merit
        is_best = self.best_loss is None or cost < self.best_loss
        self.stale = 0 if is_best else self.stale + 1
        record = {
            "step": self.step,
            "epoch": round(self.step / len(self.batches), 4),
            "seconds": round(self.seconds, 3),
            "train_loss_nats": round(training_loss, 5),
            "valid_loss_nats": None if score is None else round(score.loss_nats, 5),
            **self._remarks(cost),
        }
        self.history.append(record)
        if is_best:
            self.best_loss = cost
            self.write({} if score is None else {"valid": score.record()})
        self.save()
        return score, is_best

    def _recover(self, error: DivergenceError) -> str:
        """Go back to the last good state at half the learning rate; return what to tell of it.

        Raises:
            ConfigError: If that was done `MOST_RECOVERIES` times before.
        """
        step, recoveries = self.step, self.recoveries + 1
        self.restore(self.good)
        if recoveries > MOST_RECOVERIES:
            raise ConfigError(
                f"{error} after step {step}, with the learning rate halved {MOST_RECOVERIES} times; "
                "train again with a lower --learning-rate"
            )
        self.recoveries = recoveries
        return (
            f"{error} after step {step}: going on from step {self.step} at half the learning rate "
            f"({recoveries} of {MOST_RECOVERIES} times)"
        )

    def save(self) -> None:
        """Write the checkpoint, and the model itself if no validation has written it yet."""
        present = self.snapshot()
        if all(np.isfinite(array).all() for array in present.tensors.values()):
            self.good = present
        else:
            self.restore(self.good)
        write_checkpoint(self.path, self.good)
        if self.best_loss is None:
            self.write({})

    def snapshot(self) -> Checkpoint:
        """Copy everything that `restore` needs to go on from here."""
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "best_loss": self.best_loss,
            "stale": self.stale,
            "recoveries": self.recoveries,
            "averaged": self.average.count,
            "training_loss": self.watch.record(),
        }
        return Checkpoint(
            tensors=training_tensors(self._network, self.optimizer, self.average, self.state),
            progress=progress,
            config=self.config,
            source=self.source,
            history=list(self.history),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same source.

        Raises:
            ArtifactError: If it was made from another one.
        """
        if checkpoint.source.get(self.origin) != self.source.get(self.origin):
            raise ArtifactError(f"{self.path}: its checkpoint was trained on another corpus; use another -o")
        progress = checkpoint.progress
        self.step = int(progress["step"])
        self.seconds = float(progress["seconds"])
        self.best_loss = progress["best_loss"]
        self.stale = int(progress["stale"])
        self.recoveries = int(progress.get("recoveries", 0))
        self.watch.restore(progress.get("training_loss", {}))
        self.history = list(checkpoint.history)
        self.batches = self._batches_of(self.step // len(self.batches))
        self.average.count = int(progress.get("averaged", 0))
        self.state = restore_tensors(
            checkpoint.tensors, self._network, self.optimizer, self.average, self.state, steps=self.step
        )
        self.good = checkpoint

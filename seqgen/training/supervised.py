"""The training loop for batches of whole examples, as a generator of `Step` values.

What an example is, its loss and its score belong to an `Objective`; batches of similar lengths, the budget,
rates, clipping, averages, checkpoints and the best weights are the same for every task and are done here.
Randomness is a function of (seed, epoch, step), so a training that is resumed ends as one that was not.
"""

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from seqgen.artifacts import Checkpoint, write_checkpoint
from seqgen.config import Config
from seqgen.data.batches import Integers
from seqgen.data.buckets import bucketed_batches
from seqgen.errors import ArtifactError, ConfigError
from seqgen.kernels.recurrent import choose_precision
from seqgen.training.averaging import WeightAverage, averaging_rule
from seqgen.training.budget import Budget
from seqgen.training.divergence import MOST_RECOVERIES, DivergenceError, LossWatch
from seqgen.training.meter import Meter
from seqgen.training.optim import clip_gradients, make_optimizer
from seqgen.training.schedules import rate_factor
from seqgen.training.state import restore_tensors, training_tensors
from seqgen.training.step import Step, Validation


class Measured(Validation, Protocol):
    """A validation by which the best weights are chosen."""

    @property
    def merit(self) -> float:
        """What is to be as large as possible, such as accuracy or minus the loss."""
        ...

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        ...


class Objective(Protocol):
    """What examples are, and how well a model does on them."""

    @property
    def model(self) -> nn.Module:
        """What is trained, on its device; built after `seqgen.runtime.prepare_torch` has seeded torch."""
        ...

    @property
    def lengths(self) -> Integers:
        """The tokens of each training example, (N,)."""
        ...

    @property
    def outcomes(self) -> int:
        """How many outcomes a prediction has: labels, or tokens of a vocabulary."""
        ...

    def loss(self, examples: Integers, *, seed: int, progress: float, precision: torch.dtype) -> Tensor:
        """Return the mean loss in nats of training examples, by their numbers.

        Args:
            examples: (B,), of similar lengths.
            seed: Decides all that is random about this step.
            progress: Share of the budget used, 0 to 1.
            precision: Of the matrix products.
        """
        ...

    def validate(self, *, precision: torch.dtype) -> Measured | None:
        """Score the model as it stands on what validates; None where there is nothing."""
        ...

    def rate_share(self, parameter: str, epoch: float) -> float:
        """Return the share of the learning rate that a parameter has; 0 leaves it as it is."""
        ...

    def write(self, path: Path, *, history: list[dict[str, Any]], scores: Mapping[str, Any]) -> None:
        """Write the model as it stands as an artifact."""
        ...


def train_supervised(
    objective: Objective,
    config: Config,
    *,
    path: Path,
    source: Mapping[str, Any],
    checkpoint: Checkpoint | None = None,
) -> Generator[Step, None, None]:
    """Train a model on examples, writing the best weights to the artifact at `path` as they come.

    Args:
        objective: The task.
        config: The complete configuration.
        path: The model directory.
        source: What is trained on; its `corpus_hash` must be that of a checkpoint.
        checkpoint: Where to go on from.

    Yields:
        A Step after every optimiser step. Where training fell apart it goes on from the last validation at
        half the learning rate: the next Step is of an earlier step, and says so.

    Raises:
        ConfigError: If training falls apart again and again.
        ArtifactError: If the checkpoint is of another corpus.
    """
    trainer = SupervisedTrainer(objective, config, path=path, source=source)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    try:
        yield from trainer.steps()
    finally:
        trainer.save()


class _Learned(NamedTuple):
    loss_nats: float
    gradient_norm: float
    learning_rate: float
    tokens: int


class SupervisedTrainer:
    """A model in training, and where it stands."""

    def __init__(
        self, objective: Objective, config: Config, *, path: Path, source: Mapping[str, Any]
    ) -> None:
        settings = config.training
        self.objective, self.config, self.path, self.source = objective, config, path, dict(source)
        self.model = objective.model
        device = next(self.model.parameters()).device
        self.precision = choose_precision(device, settings.precision)
        self.optimizer = make_optimizer(self.model, settings, apart=True)
        self.average = WeightAverage(self.model, averaging_rule(settings))
        self.watch = LossWatch(objective.outcomes)
        self.batches = self._batches_of(epoch=0)
        self.budget = Budget.of(
            epochs=settings.epochs, minutes=settings.minutes, steps_per_epoch=len(self.batches)
        )
        self.step = 0
        self.seconds = 0.0
        self.best_merit: float | None = None
        self.stale = 0
        self.recoveries = 0
        self.history: list[dict[str, Any]] = []
        self.good = self.snapshot()

    def _batches_of(self, epoch: int) -> list[Integers]:
        settings = self.config.training
        random = np.random.default_rng([settings.seed, epoch])
        return bucketed_batches(self.objective.lengths, settings.batch_size, random)

    def warm_up(self) -> None:
        """Run one batch without learning from it, so that compiling does not count as training time."""
        self.model.train()
        loss = self.objective.loss(self.batches[0], seed=0, progress=0.0, precision=self.precision)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)

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
                is_best=is_best,
                stopped_early=stopped,
                notice=notice,
            )
            notice = None
            if stopped:
                return

    def _learn(self, progress: float) -> _Learned:
        """Take one optimiser step.

        Raises:
            DivergenceError: If the loss or the gradient is past mending; the weights are then as before.
        """
        settings = self.config.training
        epoch, position = divmod(self.step, len(self.batches))
        if position == 0:
            self.batches = self._batches_of(epoch)
        examples = self.batches[position]
        self.model.train()
        loss = self.objective.loss(
            examples, seed=settings.seed + (self.step << 20), progress=progress, precision=self.precision
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_gradients(self.model, settings.clip_norm)
        self.watch.check_step(loss.item(), norm)
        factor = rate_factor(settings, self.step, progress, self.losses)
        rate = settings.learning_rate * factor * 0.5**self.recoveries
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.objective.rate_share(group["name"], self.step / len(self.batches))
        self.optimizer.step()
        self.step += 1
        self.average.update(self.step, progress, self.losses)
        return _Learned(loss.item(), norm, rate, int(self.objective.lengths[examples].sum()))

    @property
    def losses(self) -> list[float]:
        """What is to be as small as possible at each validation so far, as schedules and averages take it."""
        return [-record["merit"] for record in self.history]

    def _validation_is_due(self, before: float, progress: float) -> bool:
        """Tell whether a step has passed one of the evenly spread marks of the budget."""
        count = self.config.training.validations
        return progress >= 1 or int(progress * count) > int(before * count)

    def _validate(self, training_loss: float) -> tuple[Measured | None, bool]:
        with self.average.in_place():
            score = self.objective.validate(precision=self.precision)
        self.watch.check_validation(training_loss if score is None else score.loss_nats)
        merit = -training_loss if score is None else score.merit
        is_best = self.best_merit is None or merit > self.best_merit
        self.stale = 0 if is_best else self.stale + 1
        record = {
            "step": self.step,
            "epoch": round(self.step / len(self.batches), 4),
            "seconds": round(self.seconds, 3),
            "train_loss_nats": round(training_loss, 5),
            "valid_loss_nats": None if score is None else round(score.loss_nats, 5),
            "merit": round(merit, 6),
        }
        self.history.append(record)
        if is_best:
            self.best_merit = merit
            self.write({} if score is None else {"valid": score.record()})
        self.save()
        return score, is_best

    def write(self, scores: Mapping[str, Any]) -> None:
        """Write the present weights, or their average if there is one, as the model."""
        with self.average.in_place():
            self.objective.write(self.path, history=self.history, scores=scores)

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
        if self.best_merit is None:
            self.write({})

    def snapshot(self) -> Checkpoint:
        """Copy everything that `restore` needs to go on from here."""
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "best_merit": self.best_merit,
            "stale": self.stale,
            "recoveries": self.recoveries,
            "averaged": self.average.count,
            "training_loss": self.watch.record(),
        }
        return Checkpoint(
            tensors=training_tensors(self.model, self.optimizer, self.average, []),
            progress=progress,
            config=self.config,
            source=self.source,
            history=list(self.history),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same corpus.

        Raises:
            ArtifactError: If it was made from another one.
        """
        if checkpoint.source.get("corpus_hash") != self.source.get("corpus_hash"):
            raise ArtifactError(f"{self.path}: its checkpoint was trained on another corpus; use another -o")
        progress = checkpoint.progress
        self.step = int(progress["step"])
        self.seconds = float(progress["seconds"])
        self.best_merit = progress["best_merit"]
        self.stale = int(progress["stale"])
        self.recoveries = int(progress["recoveries"])
        self.watch.restore(progress["training_loss"])
        self.history = list(checkpoint.history)
        self.batches = self._batches_of(self.step // len(self.batches))
        self.average.count = int(progress["averaged"])
        restore_tensors(checkpoint.tensors, self.model, self.optimizer, self.average, [], steps=self.step)
        self.good = checkpoint

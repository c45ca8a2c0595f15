"""The training loop for batches of whole examples, as a generator of `Step` values.

What an example is, its loss and its score belong to an `Objective`; batches of similar lengths, rates and
clipping are the same for every task and are done here, all else in `seqgen.training.trainer`.
"""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from seqgen.artifacts import Checkpoint
from seqgen.config import Config
from seqgen.data.batches import Integers
from seqgen.data.buckets import bucketed_batches
from seqgen.kernels.recurrent import choose_precision
from seqgen.training.optim import clip_gradients
from seqgen.training.schedules import rate_factor
from seqgen.training.step import Step
from seqgen.training.trainer import BaseTrainer, Learned, Measured


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

        A part of its gradient may be in the parameters already; `backward` adds the rest.

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
    yield from trainer.run()


class SupervisedTrainer(BaseTrainer):
    """A model in training on whole examples."""

    batches: list[Integers]
    origin = "corpus_hash"

    def __init__(
        self, objective: Objective, config: Config, *, path: Path, source: Mapping[str, Any]
    ) -> None:
        self.objective, self.config = objective, config
        self.model = objective.model
        device = next(self.model.parameters()).device
        self.precision = choose_precision(device, config.training.precision)
        outcomes = objective.outcomes
        super().__init__(self.model, config, path=path, source=source, outcomes=outcomes, apart=True)

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

    def _learn(self, progress: float) -> Learned:
        settings = self.config.training
        epoch, position = divmod(self.step, len(self.batches))
        if position == 0:
            self.batches = self._batches_of(epoch)
        examples = self.batches[position]
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective.loss(
            examples, seed=settings.seed + (self.step << 20), progress=progress, precision=self.precision
        )
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
        return Learned(loss.item(), norm, rate, int(self.objective.lengths[examples].sum()))

    @property
    def losses(self) -> list[float]:
        """What is to be as small as possible at each validation so far, minus the merit."""
        return [-record["merit"] for record in self.history]

    def _score(self) -> Measured | None:
        with self.average.in_place():
            return self.objective.validate(precision=self.precision)

    def _remarks(self, cost: float) -> dict[str, Any]:
        return {"merit": round(-cost, 6)}

    def write(self, scores: Mapping[str, Any]) -> None:
        """Write the present weights, or their average if there is one, as the model."""
        with self.average.in_place():
            self.objective.write(self.path, history=self.history, scores=scores)

"""The training loop: truncated BPTT with carried state, as a generator of `Step` values.

The caller draws, prints and samples. Closing the generator, or its end, leaves a checkpoint from which
`train(..., checkpoint=...)` goes on bit for bit on a CPU: randomness is a function of (seed, epoch, step).
"""

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Checkpoint, write_artifact, write_checkpoint
from seqgen.config import Config
from seqgen.data.batches import Integers, TrainingBatches
from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ArtifactError, ConfigError
from seqgen.evaluation import Score, evaluate
from seqgen.kernels.recurrent import choose_precision
from seqgen.networks.tasks import LanguageModel, activation_penalties
from seqgen.networks.unrolled import saturated_share
from seqgen.runtime import choose_device, prepare_torch
from seqgen.training.averaging import WeightAverage, averaging_rule
from seqgen.training.budget import Budget
from seqgen.training.card import model_card
from seqgen.training.divergence import MOST_RECOVERIES, DivergenceError, LossWatch
from seqgen.training.meter import Meter
from seqgen.training.optim import clip_gradients, make_optimizer, set_rate
from seqgen.training.schedules import rate_factor
from seqgen.training.state import restore_tensors, training_tensors
from seqgen.training.step import Step
from seqgen.training.transfer import Arrays, take_over

VALIDATION_PROTOCOL = "chunks:1024"
VALIDATION_TOKENS = 50_000
"""Most tokens of the validation part that are read during training; the final score reads all of it."""


class Corpus(Protocol):
    """What training needs of an index; `seqgen.data.index.TokenIndex` is one."""

    @property
    def tokenizer(self) -> Tokenizer: ...  # noqa: D102
    @property
    def content_hash(self) -> str: ...  # noqa: D102
    def tokens(self, part: str) -> NDArray[np.unsignedinteger]: ...  # noqa: D102
    def documents(self, part: str) -> Integers: ...  # noqa: D102
    def counts(self, part: str) -> Mapping[str, int]: ...  # noqa: D102


def train(
    index: Corpus,
    config: Config,
    *,
    path: Path,
    source: Mapping[str, Any],
    checkpoint: Checkpoint | None = None,
    initial: Arrays | None = None,
) -> Generator[Step, None, None]:
    """Train a language model, writing the best weights to the artifact at `path` as they come.

    Args:
        index: The token index.
        config: The complete configuration.
        path: The model directory.
        source: What is trained on, for the artifact.
        checkpoint: Where to go on from.
        initial: Weights by parameter name to start with, such as those of another model.

    Yields:
        A Step after every optimiser step. Where training fell apart it goes on from the last good state at
        half the learning rate: the next Step is of an earlier step, and says so.

    Raises:
        ConfigError: If a device is missing, or training falls apart again and again.
        ArtifactError: If the checkpoint is of another corpus or vocabulary.
    """
    trainer = Trainer(index, config, path=path, source=source)
    if initial is not None:
        take_over(trainer.model, initial)
        trainer.good = trainer.snapshot()
    if checkpoint is not None:
        trainer.restore(checkpoint)
    try:
        yield from trainer.steps()
    finally:
        trainer.save()


class _Learned(NamedTuple):
    """What an optimiser step leaves to tell."""

    loss_nats: float
    gradient_norm: float
    learning_rate: float
    tokens: int


class Trainer:
    """A model in training: its weights, their average, its optimiser, and where it stands."""

    def __init__(self, index: Corpus, config: Config, *, path: Path, source: Mapping[str, Any]) -> None:
        settings = config.training
        self.index, self.config, self.path = index, config, path
        self.source = {**source, "index_hash": index.content_hash}
        self.device = torch.device(choose_device(settings.device))
        self.precision = choose_precision(self.device, settings.precision)
        prepare_torch(settings.seed)
        vocab_size = len(index.tokenizer.tokens)
        if settings.temporal_regularization and config.model.dropout and not config.model.locked_dropout:
            raise ConfigError("--tar compares steps, which free dropout makes differ: add --locked-dropout")
        self.model = LanguageModel(config.model, vocab_size).to(self.device)
        self.optimizer = make_optimizer(self.model, settings)
        self.average = WeightAverage(self.model, averaging_rule(settings))
        self.watch = LossWatch(vocab_size)
        self.tokens = index.tokens("train")
        self.batches = self._batches_of(epoch=0)
        self.budget = Budget.of(
            epochs=settings.epochs, minutes=settings.minutes, steps_per_epoch=len(self.batches)
        )
        self.state = self.model.initial_state(self.batches.rows)
        self.step = 0
        self.seconds = 0.0
        self.best_loss: float | None = None
        self.stale = 0
        self.recoveries = 0
        self.history: list[dict[str, Any]] = []
        self.good = self.snapshot()

    def _batches_of(self, epoch: int) -> TrainingBatches:
        """Cut the stream for an epoch; rows and windows shrink where the corpus is smaller than a batch."""
        settings = self.config.training
        rows, bptt = fit_batch(len(self.tokens), batch_size=settings.batch_size, bptt=settings.bptt)
        random = np.random.default_rng([settings.seed, epoch])
        offset = int(random.integers(len(self.tokens))) if epoch else 0
        drawn = random if settings.random_bptt else None
        return TrainingBatches(self.tokens, batch_size=rows, bptt=bptt, offset=offset, random=drawn)

    def warm_up(self) -> None:
        """Run one batch without learning from it, so that compiling does not count as training time."""
        batch = self.batches[0]
        inputs, targets, resets = (torch.from_numpy(array).to(self.device) for array in batch[:3])
        features, _ = self.model(inputs, self.state, resets, precision=self.precision)
        self.model.mean_loss(features, targets, precision=self.precision).backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)

    def trial(self, steps: int = 3) -> float:
        """Return the tokens a second of the fastest of a few steps; the trainer is of no other use then."""
        self.warm_up()
        fastest = 0.0
        for _ in range(steps):
            began = time.perf_counter()
            learned = self._learn(progress=0.5)
            fastest = max(fastest, learned.tokens / (time.perf_counter() - began))
        return fastest

    def steps(self) -> Iterator[Step]:
        """Train until the budget is used up or the validation loss stops improving."""
        self.warm_up()
        meter, notice = Meter(self.seconds), None
        while (before := self.budget.progress(self.step, self.seconds)) < 1:
            try:
                learned = self._learn(before)
                meter.count(learned.tokens, clipped=learned.gradient_norm > self.config.training.clip_norm)
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
            patience = self.config.training.patience
            stopped = patience is not None and self.stale >= patience
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
                gate_saturation=None if score is None else self.history[-1]["gate_saturation"],
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
            self.state = self.model.initial_state(self.batches.rows)
        batch = self.batches[position]
        inputs, targets, resets = (torch.from_numpy(array).to(self.device) for array in batch[:3])
        seed = settings.seed + (self.step << 20)
        features, state = self.model(inputs, self.state, resets, seed=seed, precision=self.precision)
        loss = self.model.mean_loss(
            features, targets, smoothing=settings.label_smoothing, precision=self.precision
        )
        self.optimizer.zero_grad(set_to_none=True)
        self._regularized(loss, features, resets).backward()  # type: ignore[no-untyped-call]
        norm = clip_gradients(self.model, settings.clip_norm)
        self.watch.check_step(loss.item(), norm)
        rate = self._rate(progress, position)
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        self.state = self.model.encoder.detach(state)  # truncate BPTT, or the graph grows with every batch
        self.step += 1
        self.average.update(self.step, progress, self.losses)
        return _Learned(loss.item(), norm, rate, inputs.numel())

    def _regularized(self, loss: torch.Tensor, features: torch.Tensor, resets: torch.Tensor) -> torch.Tensor:
        """Add what large or restless features cost; the loss that is shown stays without it."""
        settings = self.config.training
        weights = settings.activation_regularization, settings.temporal_regularization
        if not any(weights):
            return loss
        size, change = activation_penalties(features, resets)
        # Under a locked mask a change is 1 / (1 - dropout) times what it would be without, on average.
        return loss + weights[0] * size + weights[1] * change * (1 - self.config.model.dropout)

    def _rate(self, progress: float, position: int) -> float:
        """Return the learning rate of a step; a window of random length has it in proportion."""
        settings = self.config.training
        rate = settings.learning_rate * rate_factor(settings, self.step, progress, self.losses)
        length = self.batches.relative_length(position) if settings.random_bptt else 1.0
        return rate * length * 0.5**self.recoveries

    @property
    def losses(self) -> list[float]:
        """The validation losses so far; training losses where there is no validation part."""
        return [
            record["train_loss_nats"] if record["valid_loss_nats"] is None else record["valid_loss_nats"]
            for record in self.history
        ]

    def _validation_is_due(self, before: float, progress: float) -> bool:
        """Tell whether a step has passed one of the evenly spread marks of the budget."""
        count = self.config.training.validations
        return progress >= 1 or int(progress * count) > int(before * count)

    def _validate(self, training_loss: float) -> tuple[Score | None, bool]:
        score = self._quick_score()
        loss = training_loss if score is None else score.loss_nats
        self.watch.check_validation(loss)
        is_best = self.best_loss is None or loss < self.best_loss
        self.stale = 0 if is_best else self.stale + 1
        record = {
            "step": self.step,
            "epoch": round(self.step / len(self.batches), 4),
            "seconds": round(self.seconds, 3),
            "train_loss_nats": round(training_loss, 5),
            "valid_loss_nats": None if score is None else round(score.loss_nats, 5),
            "protocol": None if score is None else score.protocol,
            "gate_saturation": saturated_share(self.model, self.tokens),
        }
        self.history.append(record)
        if is_best:
            self.best_loss = loss
            self.write_artifact({} if score is None else {"valid": score.record()})
        self.save()
        return score, is_best

    def _quick_score(self) -> Score | None:
        """Score the averaged weights on the validation part, or None where there is none."""
        tokens, documents = self.index.tokens("valid"), self.index.documents("valid")
        if not len(tokens):
            return None
        if len(tokens) > VALIDATION_TOKENS:
            tokens = tokens[:VALIDATION_TOKENS]
            documents = np.append(documents[documents < VALIDATION_TOKENS], VALIDATION_TOKENS)
        with self.average.in_place():
            return evaluate(
                self.model, tokens, documents, protocol=VALIDATION_PROTOCOL, precision=self.precision
            )

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

    def write_artifact(self, scores: Mapping[str, Any]) -> None:
        """Write the present weights, or their average if there is one, as the model."""
        with self.average.in_place():
            parameters = self.model.named_parameters()
            weights = {name: parameter.detach().float().cpu().numpy() for name, parameter in parameters}
            write_artifact(
                self.path,
                config=self.config,
                weights=weights,
                tokenizer=self.index.tokenizer,
                history=self.history,
                source=self.source,
                scores=scores,
                card=model_card(
                    self.path.name, self.config, self.source, scores, self.model.parameter_count()
                ),
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
            self.write_artifact({})

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
            tensors=training_tensors(self.model, self.optimizer, self.average, self.state),
            progress=progress,
            config=self.config,
            source=self.source,
            history=list(self.history),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same corpus and vocabulary.

        Raises:
            ArtifactError: If it was made from another index.
        """
        if checkpoint.source.get("index_hash") != self.source["index_hash"]:
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
            checkpoint.tensors, self.model, self.optimizer, self.average, self.state, steps=self.step
        )
        self.good = checkpoint


def fit_batch(tokens: int, *, batch_size: int, bptt: int) -> tuple[int, int]:
    """Return (rows, steps), fewer than asked where the corpus is too small to fill every row."""
    steps = max(1, min(bptt, tokens))
    return max(1, min(batch_size, tokens // steps)), steps

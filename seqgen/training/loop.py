"""The training loop: truncated BPTT with carried state, as a generator of `Step` values.

The caller draws, prints and samples. Closing the generator, or its end, leaves a checkpoint from which
`train(..., checkpoint=...)` goes on bit for bit on a CPU: randomness is a function of (seed, epoch, step).
"""

import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Checkpoint, load_artifact, write_artifact, write_checkpoint
from seqgen.config import Config
from seqgen.data.batches import Integers, TrainingBatches
from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ArtifactError, ConfigError
from seqgen.evaluation import Score, evaluate, restore_model, units_of
from seqgen.kernels.recurrent import choose_precision
from seqgen.networks.tasks import LanguageModel
from seqgen.runtime import choose_device, prepare_torch
from seqgen.training.budget import Budget, rate_factor
from seqgen.training.card import model_card
from seqgen.training.optim import make_optimizer, optimizer_arrays, restore_optimizer, set_rate

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


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of training, or the validation that followed it.

    Attributes:
        step: Steps done, this one included.
        epoch: Passes over the training part, as a fraction.
        progress: Share of the budget used, 0 to 1.
        loss_nats: Mean training loss of this batch per token.
        gradient_norm: Before clipping.
        tokens_per_second: Since training began or was resumed, validations not counted.
        validation: The score measured after this step, if it was due.
        is_best: Whether that score is the best so far.
        stopped_early: Whether this is the last step because the score no longer improved.
    """

    step: int
    epoch: float
    progress: float
    loss_nats: float
    gradient_norm: float
    learning_rate: float
    seconds: float
    tokens_per_second: float
    validation: Score | None = None
    is_best: bool = False
    stopped_early: bool = False


def train(
    index: Corpus,
    config: Config,
    *,
    path: Path,
    source: Mapping[str, Any],
    checkpoint: Checkpoint | None = None,
) -> Generator[Step, None, None]:
    """Train a language model, writing the best weights to the artifact at `path` as they come.

    Args:
        index: The token index.
        config: The complete configuration.
        path: The model directory.
        source: What is trained on, for the artifact.
        checkpoint: Where to go on from.

    Yields:
        A Step after every optimiser step.

    Raises:
        ConfigError: If a device is missing or the loss is no longer finite.
        ArtifactError: If the checkpoint is of another corpus or vocabulary.
    """
    trainer = Trainer(index, config, path=path, source=source)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    try:
        yield from trainer.steps()
    finally:
        trainer.save()


class Trainer:
    """A model in training: its weights, its optimiser, and where it stands."""

    def __init__(self, index: Corpus, config: Config, *, path: Path, source: Mapping[str, Any]) -> None:
        settings = config.training
        self.index, self.config, self.path = index, config, path
        self.source = {**source, "index_hash": index.content_hash}
        self.device = torch.device(choose_device(settings.device))
        self.precision = choose_precision(self.device, settings.precision)
        prepare_torch(settings.seed)
        self.model = LanguageModel(config.model, len(index.tokenizer.tokens)).to(self.device)
        self.optimizer = make_optimizer(self.model, settings)
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
        self.history: list[dict[str, Any]] = []

    def _batches_of(self, epoch: int) -> TrainingBatches:
        """Cut the stream for an epoch; rows and windows shrink where the corpus is smaller than a batch."""
        settings = self.config.training
        rows, bptt = fit_batch(len(self.tokens), batch_size=settings.batch_size, bptt=settings.bptt)
        random = np.random.default_rng([settings.seed, epoch])
        offset = int(random.integers(len(self.tokens))) if epoch else 0
        return TrainingBatches(self.tokens, batch_size=rows, bptt=bptt, offset=offset)

    def warm_up(self) -> None:
        """Run one batch without learning from it, so that compiling does not count as training time."""
        batch = self.batches[0]
        inputs, targets, resets = (torch.from_numpy(array).to(self.device) for array in batch[:3])
        features, _ = self.model(inputs, self.state, resets, precision=self.precision)
        self.model.mean_loss(features, targets, precision=self.precision).backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)

    def steps(self) -> Iterator[Step]:
        """Train until the budget is used up or the validation loss stops improving."""
        self.warm_up()
        began = time.perf_counter() - self.seconds
        trained, idle = 0.0, 0.0
        while (progress := self.budget.progress(self.step, self.seconds)) < 1:
            before = progress
            loss, norm, rate = self._learn(progress)
            self.seconds = time.perf_counter() - began
            trained += self.batches.rows * self.batches.row_length / len(self.batches)
            progress = self.budget.progress(self.step, self.seconds)
            score, is_best = None, False
            if self._validation_is_due(before, progress):
                paused = time.perf_counter()
                score, is_best = self._validate(loss)
                idle += time.perf_counter() - paused
                self.seconds = time.perf_counter() - began
            patience = self.config.training.patience
            stopped = patience is not None and self.stale >= patience
            yield Step(
                step=self.step,
                epoch=self.step / len(self.batches),
                progress=1.0 if stopped else progress,
                loss_nats=loss,
                gradient_norm=norm,
                learning_rate=rate,
                seconds=self.seconds,
                tokens_per_second=trained / max(self.seconds - idle, 1e-9),
                validation=score,
                is_best=is_best,
                stopped_early=stopped,
            )
            if stopped:
                return

    def _learn(self, progress: float) -> tuple[float, float, float]:
        """Take one optimiser step; return the loss, the gradient norm and the learning rate."""
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
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        factor = rate_factor(self.step, progress, warmup_steps=settings.warmup_steps)
        set_rate(self.optimizer, settings.learning_rate * factor)
        self.optimizer.step()
        self.state = self.model.encoder.detach(
            state
        )  # truncate BPTT here, or the graph grows with every batch
        self.step += 1
        if not math.isfinite(loss.item()):
            raise ConfigError(f"the loss is no longer finite at step {self.step}; lower --learning-rate")
        return loss.item(), norm.item(), settings.learning_rate * factor

    def _validation_is_due(self, before: float, progress: float) -> bool:
        """Tell whether a step has passed one of the evenly spread marks of the budget."""
        count = self.config.training.validations
        return progress >= 1 or int(progress * count) > int(before * count)

    def _validate(self, training_loss: float) -> tuple[Score | None, bool]:
        score = self._quick_score()
        loss = training_loss if score is None else score.loss_nats
        is_best = self.best_loss is None or loss < self.best_loss
        self.stale = 0 if is_best else self.stale + 1
        record = {
            "step": self.step,
            "epoch": round(self.step / len(self.batches), 4),
            "seconds": round(self.seconds, 3),
            "train_loss_nats": round(training_loss, 5),
            "valid_loss_nats": None if score is None else round(score.loss_nats, 5),
            "protocol": None if score is None else score.protocol,
        }
        self.history.append(record)
        if is_best:
            self.best_loss = loss
            self.write_artifact({} if score is None else {"valid": score.record()})
        self.save()
        return score, is_best

    def _quick_score(self) -> Score | None:
        """Score the present weights on the validation part, or None where there is none."""
        tokens, documents = self.index.tokens("valid"), self.index.documents("valid")
        if not len(tokens):
            return None
        if len(tokens) > VALIDATION_TOKENS:
            tokens = tokens[:VALIDATION_TOKENS]
            documents = np.append(documents[documents < VALIDATION_TOKENS], VALIDATION_TOKENS)
        return evaluate(self.model, tokens, documents, protocol=VALIDATION_PROTOCOL, precision=self.precision)

    def write_artifact(self, scores: Mapping[str, Any]) -> None:
        """Write the present weights as the model."""
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
            card=model_card(self.path.name, self.config, self.source, scores, self.model.parameter_count()),
        )

    def save(self) -> None:
        """Write the checkpoint, and the model itself if no validation has written it yet."""
        tensors = {f"model.{name}": p.detach().cpu().numpy() for name, p in self.model.named_parameters()}
        moments = optimizer_arrays(self.model, self.optimizer)
        tensors |= {f"optimizer.{name}": array for name, array in moments.items()}
        for layer, parts in enumerate(self.state):
            tensors |= {f"state.{layer}.{k}": part.cpu().numpy() for k, part in enumerate(parts)}
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "best_loss": self.best_loss,
            "stale": self.stale,
        }
        checkpoint = Checkpoint(
            tensors=tensors, progress=progress, config=self.config, source=self.source, history=self.history
        )
        write_checkpoint(self.path, checkpoint)
        if self.best_loss is None:
            self.write_artifact({})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same corpus and vocabulary.

        Raises:
            ArtifactError: If it was made from another index.
        """
        if checkpoint.source.get("index_hash") != self.source["index_hash"]:
            raise ArtifactError(f"{self.path}: its checkpoint was trained on another corpus; use another -o")
        arrays = checkpoint.tensors
        self.step = int(checkpoint.progress["step"])
        self.seconds = float(checkpoint.progress["seconds"])
        self.best_loss = checkpoint.progress["best_loss"]
        self.stale = int(checkpoint.progress["stale"])
        self.history = list(checkpoint.history)
        self.batches = self._batches_of(self.step // len(self.batches))
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(torch.from_numpy(arrays[f"model.{name}"]))
        moments = {name.removeprefix("optimizer."): array for name, array in arrays.items()}
        restore_optimizer(self.model, self.optimizer, moments, self.step)
        self.state = [
            tuple(torch.from_numpy(arrays[f"state.{layer}.{k}"]).to(self.device) for k in range(len(parts)))
            for layer, parts in enumerate(self.state)
        ]


def fit_batch(tokens: int, *, batch_size: int, bptt: int) -> tuple[int, int]:
    """Return (rows, steps), fewer than asked where the corpus is too small to fill every row."""
    steps = max(1, min(bptt, tokens))
    return max(1, min(batch_size, tokens // steps)), steps


def finish(index: Corpus, path: Path, *, device: str = "auto") -> Score | None:
    """Score the best weights on the whole validation part with state carried, and store that in the artifact.

    Returns:
        The score, or None where the index has no validation part.
    """
    if not len(index.tokens("valid")):
        return None
    artifact = load_artifact(path)
    model = restore_model(artifact, device)
    score = evaluate(
        model,
        index.tokens("valid"),
        index.documents("valid"),
        protocol="carried",
        units=units_of(index.counts("valid")),
    )
    scores = {**artifact.scores, "valid": score.record()}
    write_artifact(
        path,
        config=artifact.config,
        weights=artifact.weights(),
        tokenizer=artifact.tokenizer,
        history=artifact.history(),
        source=artifact.source,
        scores=scores,
        card=model_card(path.name, artifact.config, artifact.source, scores, model.parameter_count()),
    )
    return score

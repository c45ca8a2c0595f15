"""The training loop: truncated BPTT with carried state, as a generator of `Step` values.

The caller draws, prints and samples. Closing the generator, or its end, leaves a checkpoint from which
`train(..., checkpoint=...)` goes on bit for bit on a CPU: randomness is a function of (seed, epoch, step).
"""

import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Checkpoint, write_artifact
from seqgen.config import Config
from seqgen.data.batches import Integers, TrainingBatches
from seqgen.data.folds import parse_fold
from seqgen.data.tokenizers import Tokenizer
from seqgen.evaluation import Score, evaluate
from seqgen.kernels.recurrent import choose_precision
from seqgen.networks.encoders import State
from seqgen.networks.tasks import LanguageModel, activation_penalties
from seqgen.networks.unrolled import saturated_share
from seqgen.runtime import choose_device, prepare_torch
from seqgen.training.card import model_card
from seqgen.training.checks import check_settings
from seqgen.training.optim import clip_gradients, set_rate
from seqgen.training.schedules import rate_factor
from seqgen.training.step import Step
from seqgen.training.teaching import soft_targets
from seqgen.training.trainer import BaseTrainer, Learned
from seqgen.training.transfer import Arrays, take_over

VALIDATION_PROTOCOL = "chunks:1024"
VALIDATION_TOKENS = 50_000
"""Most tokens of the validation part that are read during training; the final score reads all of it."""
COUNTED_TOKENS = 1_000_000
"""Most tokens of the training part whose frequencies a model begins with."""


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
    yield from trainer.run()


class Trainer(BaseTrainer):
    """A language model in training on the stream of an index, its state carried from batch to batch."""

    batches: TrainingBatches
    origin = "index_hash"

    def __init__(self, index: Corpus, config: Config, *, path: Path, source: Mapping[str, Any]) -> None:
        settings = config.training
        self.index = index
        self.device = torch.device(choose_device(settings.device))
        self.precision = choose_precision(self.device, settings.precision)
        prepare_torch(settings.seed)
        vocab_size = len(index.tokenizer.tokens)
        check_settings(config)
        self.config = config
        self.model = LanguageModel(config.model, vocab_size).to(self.device)
        self.tokens = index.tokens("train")
        if settings.fold:
            self.tokens = parse_fold(settings.fold).left_out(self.tokens)
        counts = np.bincount(self.tokens[:COUNTED_TOKENS], minlength=vocab_size)
        self.model.head.expect(torch.from_numpy(counts).to(self.device, torch.float32))
        self.soft_targets = soft_targets(index, self.tokens, settings, self.device)
        source = {**source, "index_hash": index.content_hash}
        super().__init__(self.model, config, path=path, source=source, outcomes=vocab_size)

    def _first_state(self) -> State:
        return self.model.initial_state(self.batches.rows)

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
        self._loss(features, targets, batch.positions).backward()  # type: ignore[no-untyped-call]
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

    def _learn(self, progress: float) -> Learned:
        settings = self.config.training
        epoch, position = divmod(self.step, len(self.batches))
        if position == 0:
            self.batches = self._batches_of(epoch)
            self.state = self._first_state()
        batch = self.batches[position]
        inputs, targets, resets = (torch.from_numpy(array).to(self.device) for array in batch[:3])
        seed = settings.seed + (self.step << 20)
        features, state = self.model(inputs, self.state, resets, seed=seed, precision=self.precision)
        loss = self._loss(features, targets, batch.positions)
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
        return Learned(loss.item(), norm, rate, inputs.numel())

    def _loss(self, features: torch.Tensor, targets: torch.Tensor, positions: Integers) -> torch.Tensor:
        """Return the mean loss; its gradient is that of soft targets."""
        spread = self.soft_targets.spread(positions)
        return self.model.mean_loss(
            features,
            targets,
            smoothing=self.soft_targets.share,
            spread=None if spread is None else torch.from_numpy(spread).to(self.device),
            precision=self.precision,
        )

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

    def _remarks(self, cost: float) -> dict[str, Any]:
        return {
            "protocol": VALIDATION_PROTOCOL if len(self.index.tokens("valid")) else None,
            "gate_saturation": saturated_share(self.model, self.tokens),
        }

    def _score(self) -> Score | None:
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

    def write(self, scores: Mapping[str, Any]) -> None:
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
                    self.path.name,
                    self.config,
                    self.source,
                    scores,
                    self.model.parameter_count(),
                    self.history,
                ),
            )


def fit_batch(tokens: int, *, batch_size: int, bptt: int) -> tuple[int, int]:
    """Return (rows, steps), fewer than asked where the corpus is too small to fill every row."""
    steps = max(1, min(bptt, tokens))
    return max(1, min(batch_size, tokens // steps)), steps

"""Memory tests taken: networks are trained to answer at a distance, and asked at it.

As in the literature each distance has a network of its own, which sees no shorter one to learn from. With a
curriculum one network learns all distances, every batch of one that is drawn evenly on a logarithmic scale.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from seqgen.config import ModelConfig, TrainingConfig
from seqgen.data.memory_tasks import CLOSE, MemoryTask, Questions
from seqgen.networks.memory import NumberAnswers, TokenAnswers
from seqgen.runtime import prepare_torch
from seqgen.training.budget import Budget
from seqgen.training.optim import clip_gradients, make_optimizer, set_rate
from seqgen.training.schedules import rate_factor

TEST_BATCHES, TEST_ROWS = 16, 32
"""Sequences of a batch have one plan, such as where their clauses end, so a test takes many batches."""
HELD = 0.95
"""The share of right answers that counts as remembering."""
_ENOUGH_STEPS = 50
"""Training ends early once so many batches in a row have a loss that is small enough."""
_TRAINING, _TEST = 0, 1

Answers = TokenAnswers | NumberAnswers


class Trained(NamedTuple):
    """A network that was trained, and what that took."""

    model: Answers
    steps: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """How well an encoder remembers.

    Attributes:
        cell: The encoder.
        parameters: How many numbers a network learned.
        steps: Of training, of all networks together.
        seconds: They took.
        accuracy: Share of right answers by distance, of `TEST_BATCHES` × `TEST_ROWS` sequences.
    """

    cell: str
    parameters: int
    steps: int
    seconds: float
    accuracy: dict[int, float]

    @property
    def reach(self) -> int:
        """The longest distance up to which at least `HELD` of the answers are right; 0 if none."""
        held = 0
        for distance in sorted(self.accuracy):
            if self.accuracy[distance] < HELD:
                break
            held = distance
        return held

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "reach": self.reach}


def take_test(
    task: MemoryTask,
    config: ModelConfig,
    settings: TrainingConfig,
    distances: Sequence[int],
    *,
    open_first: bool,
    curriculum: bool,
) -> tuple[Answers, Remembered]:
    """Train an encoder and ask it at each distance.

    Args:
        task: The test.
        config: The encoder.
        settings: Optimiser, rate, batch size, seed and the budget of a network; an epoch is one step.
        distances: Ascending.
        open_first: Whether gates begin open, see `open_gates`.
        curriculum: Whether one network learns all distances, or each has its own.

    Returns:
        The network of the longest distance, and the results.
    """
    longest, shares, steps, seconds = distances[-1], {}, 0, 0.0
    for distance in [longest] if curriculum else distances:
        model = build(task, config, settings.seed)
        if open_first:
            open_gates(model, distance)
        span = (task.distances[0] if curriculum else distance, distance)
        trained = learn(model, task, settings, span)
        steps, seconds = steps + trained.steps, seconds + trained.seconds
        asked = distances if curriculum else [distance]
        shares.update({k: accuracy(model, task, k, settings.seed) for k in asked})
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return model, Remembered(
        cell=config.cell, parameters=parameters, steps=steps, seconds=seconds, accuracy=shares
    )


def build(task: MemoryTask, config: ModelConfig, seed: int) -> Answers:
    """Return an untrained network for a task; the same seed gives the same weights."""
    prepare_torch(seed)
    if task.tokenizer is None:
        return NumberAnswers(config, size=task.size, tolerance=CLOSE)
    return TokenAnswers(config, len(task.tokenizer.tokens))


def open_gates(model: Answers, distance: int) -> None:
    """Let gates begin as memories of twice a distance k; cells without gates stay as they are.

    In all units the bias of an LSTM's forget gate and of a GRU's update gate is log 2k, that of an LSTM's
    input gate -log 2k. Chrono initialisation (Tallec and Ollivier 2018) draws spans up to k instead.
    """
    gates = {"lstm": 4, "gru": 3}.get(getattr(model.encoder, "cell", ""))
    if gates is None:
        return
    for layer in model.encoder:
        bias = cast(torch.Tensor, layer.bias_ih)
        size = len(bias) // gates
        with torch.no_grad():
            bias[size : 2 * size] = math.log(2 * distance)  # the second gate of both keeps
            if gates == 4:
                bias[:size] = -math.log(2 * distance)


def learn(model: Answers, task: MemoryTask, settings: TrainingConfig, span: tuple[int, int]) -> Trained:
    """Train a network on distances of a span, until the budget ends or there is nothing left to learn.

    Args:
        model: As `build` made it.
        task: What is learned.
        settings: Optimiser, rate, batch size, seed and budget; an epoch is one step.
        span: The shortest and the longest distance.
    """
    budget = Budget.of(settings, steps_per_epoch=1)
    optimizer, began, step, enough = make_optimizer(model, settings), time.perf_counter(), 0, 0
    while enough < _ENOUGH_STEPS:
        progress = budget.progress(step, time.perf_counter() - began)
        if progress >= 1:
            break
        random = np.random.default_rng([settings.seed, _TRAINING, step])
        distance = int(math.exp(random.uniform(math.log(span[0]), math.log(span[1] + 1))))
        inputs, answers = _tensors(task.draw(random, max(span[0], distance), settings.batch_size))
        loss = model.answer_loss(inputs, answers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(model, settings.clip_norm)
        set_rate(optimizer, settings.learning_rate * rate_factor(settings, step, progress, []))
        optimizer.step()
        step += 1
        enough = enough + 1 if loss.item() < task.small_loss else 0
    return Trained(model, step, time.perf_counter() - began)


def accuracy(model: Answers, task: MemoryTask, distance: int, seed: int) -> float:
    """Return the share of right answers at a distance, on sequences that training does not draw."""
    random, shares = np.random.default_rng([seed, _TEST, distance]), []
    for _ in range(TEST_BATCHES):
        questions = task.draw(random, distance, TEST_ROWS)
        with torch.inference_mode():
            right = model.are_right(*_tensors(questions))[-questions.counted :]
        shares.append(float(right.double().mean()))
    return sum(shares) / len(shares)


def _tensors(questions: Questions) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(questions.inputs), torch.from_numpy(questions.answers)

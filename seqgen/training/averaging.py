"""Averages of the weights over training: what validation sees and the artifact keeps, beside the raw weights.

Three rules say when averaging begins and how much the present weights count each time:

    ema      from the start, each with a share that forgets the past exponentially (Polyak and Juditsky 1992)
    tail     the last part of the budget, all alike
    nt-asgd  all alike, from when the validation loss no longer improves (Merity et al. 2018)

Only every `EVERY`-th step counts: neighbours differ little, and a pass over all weights costs time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqgen.config import TrainingConfig
from seqgen.errors import ConfigError

EVERY = 8

Rule = Callable[[int, int, float, Sequence[float]], float]
"""Of the weights averaged so far, the step, the progress and the validation losses: the share of the present
weights in the new average; 0 while averaging has not begun."""


def averaging_rule(config: TrainingConfig) -> Rule:
    """Return the rule that a configuration asks for.

    Raises:
        ConfigError: If nt-asgd, which averages by its own rule, is given another.
    """
    if config.optimizer == "nt-asgd":
        if config.average != "none":
            raise ConfigError(f"--average {config.average}: nt-asgd averages by itself; use --optimizer sgd")
        return _after_stalling(config.average_after)
    rules = {"none": _never, "ema": _ema(config.average_decay), "tail": _tail(config.average_tail)}
    return rules[config.average]


def _never(_count: int, _step: int, _progress: float, _losses: Sequence[float]) -> float:
    return 0.0


def _ema(decay: float) -> Rule:
    def share(_count: int, step: int, _progress: float, _losses: Sequence[float]) -> float:
        slowed = min(decay, (1 + step) / (10 + step))  # or the random first weights would stay in for long
        return 1 - slowed**EVERY

    return share


def _tail(last: float) -> Rule:
    def share(count: int, _step: int, progress: float, _losses: Sequence[float]) -> float:
        return 1 / (count + 1) if progress >= 1 - last else 0.0

    return share


def _after_stalling(patience: int) -> Rule:
    def share(count: int, _step: int, _progress: float, losses: Sequence[float]) -> float:
        return 1 / (count + 1) if count or _has_stalled(losses, patience) else 0.0

    return share


def _has_stalled(losses: Sequence[float], patience: int) -> bool:
    """Tell whether a loss was ever worse than the best of those more than `patience` before it."""
    return any(
        loss > best for loss, best in zip(losses[patience + 1 :], accumulate(losses, min), strict=False)
    )


class WeightAverage:
    """The average of a model's weights.

    Attributes:
        count: How many weights it is the average of; 0 while there is none.
    """

    def __init__(self, model: nn.Module, rule: Rule) -> None:
        self._parameters = dict(model.named_parameters())
        self._rule = rule
        self._weights: list[Tensor] = []
        self.count = 0

    @torch.no_grad()
    def update(self, step: int, progress: float, losses: Sequence[float]) -> None:
        """Let the weights after `step` steps count."""
        if step % EVERY:
            return
        share = self._rule(self.count, step, progress, losses)
        if not share:
            return
        if not self.count:
            self._weights = [parameter.detach().clone() for parameter in self._parameters.values()]
        for average, parameter in zip(self._weights, self._parameters.values(), strict=True):
            average.lerp_(parameter, share)
        self.count += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the model, if there is one, and the raw weights back afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for parameter, average in zip(self._parameters.values(), self._weights, strict=False):
            parameter.data, average.data = average.data, parameter.data

    def tensors(self) -> dict[str, Tensor]:
        """Return the average by parameter name; empty while there is none."""
        return dict(zip(self._parameters, self._weights, strict=False))

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Put copies of what `tensors` returned back; `count` is for the caller to set."""
        self._weights = [
            torch.tensor(arrays[name], device=parameter.device)
            for name, parameter in self._parameters.items()
            if name in arrays
        ]

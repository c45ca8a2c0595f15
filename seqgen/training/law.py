"""What loss a training may expect: the law that the budget planner goes by, fitted to trainings of our own.

It has the form of Hoffmann et al. (2022, "Training compute-optimal large language models"), one power of the
model's size and one of the steps taken, with a third term for what passing over a small corpus again and
again costs, and one for the first steps. benchmarks/budget has the trainings and fits it.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

LAW = Path(__file__).with_name("planner_law.json")
RATE, LOWEST_RATE, HIGHEST_RATE = 1e-2, 2.5e-3, 1.2e-2
"""Peak learning rate of a thousand steps of 4,096 tokens of a model of 256 units, and its bounds."""
OFTEN = 10
LARGE_MODEL, HIGHEST_LARGE_RATE = 1024, 2e-3
"""From this hidden size on, 4e-3 can be too much."""
MOST_ROWS = 64
"""Of a batch."""
EPOCH_SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01)
"""What share of the time may be used, where more would only overfit."""


class Prospect(NamedTuple):
    """What a candidate promises."""

    loss_nats: float
    dropout: float
    smoothing: float
    epochs: float
    whole: bool
    """Whether the time there is would be used up."""


@dataclass(frozen=True)
class Law:
    """The loss that a training ends with, in nats a token, on a validation part of the same corpus.

    All but `begun` is in proportion to the loss of the best n-gram model, which tells how much of the corpus
    can be guessed and, being counted in the same data, how much of that so little data shows.

    Attributes:
        floor: (factor, power of the millions of tokens of the corpus): what is left to a large model that
            has seen enough; n-grams gain more by data, up to the million that is counted.
        size: (factor, power, dropout's power) of the hidden size, of which dropout leaves a part.
        steps: (factor, power, dropout's power) of the thousands of optimiser steps.
        begun: (factor in nats, power) of the hundreds of optimiser steps: what a training that has hardly
            begun still lacks, whatever the corpus.
        again: (factor, powers of the epochs, of the tokens of the corpus in thousands, of the hidden size,
            of 1 - dropout): overfitting.
        lstm: Factor on `steps` and `begun`, and on `again`, for an LSTM; GRUs have 1.
        smoothed: Powers of the share of targets that n-gram smoothing leaves as they are, on what `steps` and
            `begun` are divided by, and on `again`.
        muon: Factor on `steps` and `begun`, and on `again`, for the optimiser muon; adamw has 1.
        rows: (power,) of how many times fewer rows than those of `batch_for` a batch has, on the steps that
            its own are worth.
    """

    floor: tuple[float, float]
    size: tuple[float, float, float]
    steps: tuple[float, float, float]
    begun: tuple[float, float]
    again: tuple[float, float, float, float, float]
    lstm: tuple[float, float]
    smoothed: tuple[float, float]
    muon: tuple[float, float]
    rows: tuple[float]

    def loss(
        self,
        ngram_nats: float,
        *,
        cell: str,
        hidden_size: int,
        dropout: float,
        train_tokens: int,
        seen_tokens: float,
        smoothing: float = 0.0,
        rows: int | None = None,
        optimizer: str = "adamw",
    ) -> float:
        """Return the expected loss; a batch has the rows of `batch_for` unless told otherwise."""
        kept, plain = 1 - dropout, 1 - smoothing
        slower, fitter = self.lstm if cell == "lstm" else (1.0, 1.0)
        if optimizer == "muon":
            slower, fitter = slower * self.muon[0], fitter * self.muon[1]
        slower, fitter = slower * plain ** -self.smoothed[0], fitter * plain ** self.smoothed[1]
        size = self.size[0] * (hidden_size / 256) ** -self.size[1] * kept ** -self.size[2]
        floor = self.floor[0] * min(train_tokens / 1e6, 1.0) ** self.floor[1]
        batch = batch_for(train_tokens)
        steps = seen_tokens / (batch["batch_size"] * batch["bptt"])
        if rows is not None:
            steps *= (batch["batch_size"] / rows) ** self.rows[0]
        learning = slower * self.steps[0] * (steps / 1e3) ** -self.steps[1] * kept ** -self.steps[2]
        begun = slower * self.begun[0] * (steps / 100) ** -self.begun[1]
        factor, by_epochs, by_tokens, by_size, by_kept = self.again
        again = (
            fitter
            * factor
            * (seen_tokens / train_tokens) ** by_epochs
            * (train_tokens / 1e3) ** -by_tokens
            * (hidden_size / 256) ** by_size
            * kept**by_kept
        )
        return float(ngram_nats * (floor + size + learning + again) + begun)

    def best(
        self,
        ngram_nats: float,
        *,
        cell: str,
        hidden_size: int,
        dropouts: Sequence[float],
        train_tokens: int,
        affordable: Mapping[float, float],
        rows: int | None = None,
        optimizer: str = "adamw",
    ) -> Prospect:
        """Return the best of some dropouts, some n-gram smoothings, and all shares of the time.

        Args:
            ngram_nats: The loss of the best n-gram model.
            cell: gru or lstm.
            hidden_size: H.
            dropouts: To choose from.
            train_tokens: N.
            affordable: The tokens that could be seen, by the n-gram smoothings to choose from.
            rows: B; those of `batch_for` unless given.
            optimizer: adamw or muon.
        """

        def prospects() -> Iterator[Prospect]:
            for dropout, smoothing, share in product(dropouts, affordable, EPOCH_SHARES):
                seen_tokens = share * affordable[smoothing]
                loss = self.loss(
                    ngram_nats,
                    cell=cell,
                    hidden_size=hidden_size,
                    dropout=dropout,
                    train_tokens=train_tokens,
                    seen_tokens=seen_tokens,
                    smoothing=smoothing,
                    rows=rows,
                    optimizer=optimizer,
                )
                yield Prospect(loss, dropout, smoothing, seen_tokens / train_tokens, share == 1.0)

        return min(prospects())


@cache
def fitted_law() -> Law:
    """Return the law that benchmarks/budget/fit.py has written."""
    values = json.loads(LAW.read_text(encoding="utf-8"))
    return Law(**{name: tuple(value) for name, value in values.items()})


def rate_for(steps: float, *, train_tokens: int, batch_tokens: int, hidden_size: int) -> float:
    """Return the peak learning rate of AdamW that suits a training: the shorter and smaller, the higher.

    Args:
        steps: How many optimiser steps there will be.
        train_tokens: N; what is passed over more than `OFTEN` times is learned by heart, slower is better.
        batch_tokens: B · T; a smaller batch tells less of the gradient.
        hidden_size: H.
    """
    rate = RATE * math.sqrt(1_000 / max(steps, 1.0) * 256 / hidden_size)
    rate = min(rate, HIGHEST_RATE) * math.sqrt(batch_tokens / 4_096)
    rate *= math.sqrt(min(1.0, OFTEN * train_tokens / (steps * batch_tokens)))
    highest = HIGHEST_LARGE_RATE if hidden_size >= LARGE_MODEL else HIGHEST_RATE
    return float(f"{min(max(rate, LOWEST_RATE), highest):.1e}")


def batch_for(train_tokens: int) -> dict[str, Any]:
    """Return the `training` values of a batch that suits a corpus: at least eight steps an epoch."""
    bptt = 64 if train_tokens >= 20_000 else 32
    rows = MOST_ROWS
    while rows > 4 and rows * bptt * 8 > train_tokens:
        rows //= 2
    return {"batch_size": rows, "bptt": bptt}

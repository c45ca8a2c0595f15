"""The budget planner: which model to train in the minutes there are.

A few steps of each candidate tell how many tokens it would see on this machine; a law fitted to trainings on
corpora of many sizes (benchmarks/budget) tells what loss that leads to. It has the form of Hoffmann et al.
(2022, "Training compute-optimal large language models"), one power of the model's size and one of the steps
taken, a third term for what passing over a small corpus again and again costs, and one for the first steps.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from seqgen.config import build_config, merge
from seqgen.data.baseline import ngram_loss
from seqgen.errors import ConfigError
from seqgen.training.budget import DEFAULT_MINUTES
from seqgen.training.loop import Corpus, Trainer, fit_batch
from seqgen.training.memory import in_words, memory_needed

EXPERIENCE = "so far off by up to 20 %"
"""How the expected losses compared with those reached, in benchmarks/budget/README.md."""
LAW = Path(__file__).with_name("planner_law.json")
SHORTEST = 30.0
"""Seconds; a shorter budget is not planned: timing candidates would take too much of it."""
HIDDEN_SIZES = (64, 128, 256, 512, 1024)
CELLS = ("gru", "lstm")
DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
EPOCH_SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01)
"""What share of the time may be used, where more would only overfit."""
LARGEST_VOCABULARY = 1_000
"""Words need many more steps than the law, which is of characters, says."""
LARGE_MODEL = 1024
"""From this hidden size on, a peak rate of 4e-3 is too much."""


class Prospect(NamedTuple):
    """What a candidate promises."""

    loss_nats: float
    dropout: float
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
    """

    floor: tuple[float, float]
    size: tuple[float, float, float]
    steps: tuple[float, float, float]
    begun: tuple[float, float]
    again: tuple[float, float, float, float, float]
    lstm: tuple[float, float]

    def loss(
        self,
        ngram_nats: float,
        *,
        cell: str,
        hidden_size: int,
        dropout: float,
        train_tokens: int,
        seen_tokens: float,
    ) -> float:
        """Return the expected loss."""
        kept = 1 - dropout
        slower, fitter = self.lstm if cell == "lstm" else (1.0, 1.0)
        size = self.size[0] * (hidden_size / 256) ** -self.size[1] * kept ** -self.size[2]
        floor = self.floor[0] * min(train_tokens / 1e6, 1.0) ** self.floor[1]
        batch = batch_for(train_tokens)
        steps = seen_tokens / (batch["batch_size"] * batch["bptt"])
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
        affordable: float,
    ) -> Prospect:
        """Return the best of some dropouts and all shares of the affordable tokens."""

        def prospects() -> Iterator[Prospect]:
            for dropout in dropouts:
                for share in EPOCH_SHARES:
                    loss = self.loss(
                        ngram_nats,
                        cell=cell,
                        hidden_size=hidden_size,
                        dropout=dropout,
                        train_tokens=train_tokens,
                        seen_tokens=share * affordable,
                    )
                    yield Prospect(loss, dropout, share * affordable / train_tokens, share == 1.0)

        return min(prospects())


@cache
def fitted_law() -> Law:
    """Return the law that benchmarks/budget/fit.py has written."""
    values = json.loads(LAW.read_text(encoding="utf-8"))
    return Law(**{name: tuple(value) for name, value in values.items()})


def planned_seconds(settled: Mapping[str, Any]) -> float:
    """Return the budget in seconds that a plan would be made for."""
    return 60 * (build_config(settled).training.minutes or DEFAULT_MINUTES)


def reason_not_to_plan(settled: Mapping[str, Any], vocab_size: int) -> str | None:
    """Say why there is nothing to plan; None where there is."""
    config, model = build_config(settled).training, settled.get("model", {})
    if "hidden_size" in model:
        return "the hidden size is given"
    if config.steps is not None or config.epochs is not None:
        return "the budget is not in minutes"
    if model.get("cell", CELLS[0]) not in CELLS:
        return f"it knows {' and '.join(CELLS)}, not {model['cell']}"
    if config.optimizer != "adamw":
        return f"it knows adamw, not {config.optimizer}"
    if vocab_size > LARGEST_VOCABULARY:
        return (
            f"it knows vocabularies of up to {LARGEST_VOCABULARY:,} tokens, and this one has {vocab_size:,}"
        )
    if planned_seconds(settled) < SHORTEST:
        return f"less than {SHORTEST:g} seconds are too few to time candidates"
    return None


def batch_for(train_tokens: int) -> dict[str, Any]:
    """Return the `training` values of a batch that suits a corpus: at least eight steps an epoch."""
    bptt = 64 if train_tokens >= 20_000 else 32
    rows = 64
    while rows > 4 and rows * bptt * 8 > train_tokens:
        rows //= 2
    return {"batch_size": rows, "bptt": bptt}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A model and how to train it.

    Attributes:
        values: Nested configuration values; what the user chose is among them.
        loss_nats: What the law expects, in nats a token.
        tokens_per_second: As timed.
        epochs: How often the corpus would be passed over.
        whole: Whether all of the time is worth using.
        timed: What was timed, such as "gru 256: 180,000 tokens/s, 1.42", with the loss expected of it.
        seconds: What planning took.
        lasts: What training will take, in seconds.
    """

    values: Mapping[str, Any]
    loss_nats: float
    tokens_per_second: float
    epochs: float
    whole: bool
    timed: tuple[str, ...]
    seconds: float
    lasts: float


def make_plan(
    index: Corpus, chosen: Mapping[str, Any], *, seconds: float, memory: float | None = None
) -> Plan:
    """Choose what the user left open by timing candidates on the corpus itself.

    Sizes are tried from small to large for as long as the expected loss falls, then the other cell at the
    best size.

    Args:
        index: The token index.
        chosen: Nested configuration values that are settled.
        seconds: The budget.
        memory: Most bytes that the process may take.

    Raises:
        ConfigError: If no candidate fits into the memory, or what was chosen contradicts itself.
    """
    return _Planner(index, chosen, seconds=seconds, memory=memory).plan()


class _Candidate(NamedTuple):
    prospect: Prospect
    cell: str
    hidden_size: int
    tokens_per_second: float


class _Planner:
    def __init__(
        self, index: Corpus, chosen: Mapping[str, Any], *, seconds: float, memory: float | None
    ) -> None:
        self.index, self.chosen, self.seconds, self.memory = index, chosen, seconds, memory
        self.began = time.perf_counter()
        self.train_tokens = len(index.tokens("train"))
        self.vocab_size = len(index.tokenizer.tokens)
        self.ngram_nats = ngram_loss(index.tokens("train"), index.tokens("valid"), vocab_size=self.vocab_size)
        chosen_dropout = chosen.get("model", {}).get("dropout")
        self.dropouts = DROPOUTS if chosen_dropout is None else (chosen_dropout,)
        self.candidates: list[_Candidate] = []
        self.least_memory: float = math.inf

    def plan(self) -> Plan:
        model = self.chosen.get("model", {})
        cells = [model["cell"]] if "cell" in model else list(CELLS)
        best: _Candidate | None = None
        for size in HIDDEN_SIZES:
            candidate = self._try(cells[0], size)
            if candidate is None or (best is not None and candidate.prospect > best.prospect):
                break
            best = candidate
        if best is None:
            least = f"{cells[0]} with {HIDDEN_SIZES[0]} units takes {in_words(int(self.least_memory))}"
            raise ConfigError(f"--memory {(self.memory or 0) / 1e9:g}: even {least}; allow that much")
        for cell in cells[1:]:
            self._try(cell, best.hidden_size)
        left = self._left()  # which was more when the first were tried
        self.candidates = [self._candidate(*candidate[1:], left) for candidate in self.candidates]
        return self._plan_of(min(self.candidates))

    def _try(self, cell: str, hidden_size: int) -> _Candidate | None:
        """Time a candidate; None if it does not fit into the memory."""
        config = build_config(self._values(cell, hidden_size, dropout=DROPOUTS[2]))
        settings = config.training
        rows, steps = fit_batch(self.train_tokens, batch_size=settings.batch_size, bptt=settings.bptt)
        sizes = {"rows": rows, "steps": steps, "tokens": self.train_tokens}
        needed = memory_needed(config, vocab_size=self.vocab_size, **sizes)
        self.least_memory = min(self.least_memory, needed)
        if self.memory is not None and needed > self.memory:
            return None
        speed = Trainer(self.index, config, path=Path(), source={}).trial()
        candidate = self._candidate(cell, hidden_size, speed, self._left())
        self.candidates.append(candidate)
        return candidate

    def _left(self) -> float:
        return max(self.seconds - (time.perf_counter() - self.began), 0.0)

    def _candidate(self, cell: str, hidden_size: int, speed: float, left: float) -> _Candidate:
        """Return a candidate with what it promises in so many seconds."""
        prospect = fitted_law().best(
            self.ngram_nats,
            cell=cell,
            hidden_size=hidden_size,
            dropouts=self.dropouts,
            train_tokens=self.train_tokens,
            affordable=speed * left,
        )
        return _Candidate(prospect, cell, hidden_size, speed)

    def _values(self, cell: str, hidden_size: int, *, dropout: float) -> dict[str, Any]:
        model: dict[str, Any] = {"cell": cell, "hidden_size": hidden_size, "dropout": dropout}
        model["embedding_size"] = min(hidden_size, 128)
        values = {"model": model, "training": batch_for(self.train_tokens)}
        if hidden_size >= LARGE_MODEL:
            values["training"]["learning_rate"] = 2e-3
        return merge(values, self.chosen)

    def _plan_of(self, best: _Candidate) -> Plan:
        prospect = best.prospect
        values = self._values(best.cell, best.hidden_size, dropout=prospect.dropout)
        seconds = time.perf_counter() - self.began
        training: dict[str, Any] = {"minutes": (self.seconds - seconds) / 60}
        if not prospect.whole:
            training = {"epochs": prospect.epochs}
        return Plan(
            values=merge(values, {"training": training}),
            loss_nats=prospect.loss_nats,
            tokens_per_second=best.tokens_per_second,
            epochs=prospect.epochs,
            whole=prospect.whole,
            timed=tuple(
                f"{each.cell} {each.hidden_size}: {each.tokens_per_second:,.0f} tokens/s, "
                f"{each.prospect.loss_nats:.3f}"
                for each in self.candidates
            ),
            seconds=seconds,
            lasts=prospect.epochs * self.train_tokens / best.tokens_per_second,
        )

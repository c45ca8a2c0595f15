"""The budget planner: which model to train in the minutes there are.

A few steps of each candidate tell how many tokens it would see on this machine; a law fitted to trainings on
corpora of many sizes (benchmarks/budget) tells what loss that leads to.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqgen.config import Config, build_config, merge
from seqgen.data.baseline import ngram_loss
from seqgen.data.left_out import LeftOutNgrams
from seqgen.errors import ConfigError
from seqgen.training.budget import DEFAULT_MINUTES, Budget, suited_to
from seqgen.training.law import MOST_ROWS, Prospect, batch_for, fitted_law, rate_for
from seqgen.training.loop import Corpus, Trainer, fit_batch
from seqgen.training.memory import in_words, memory_needed, process_bytes

EXPERIENCE = "so far off by up to 20 %"
"""How the expected losses compared with those reached, in benchmarks/budget/README.md."""
SHORTEST = 30.0
"""Seconds; a shorter budget is not planned: timing candidates would take too much of it."""
HIDDEN_SIZES = (64, 128, 256, 512, 1024)
CELLS = ("gru", "lstm")
OPTIMIZERS = ("adamw", "muon")
FEWEST_TURNED = 20_000
"""Tokens; smaller corpora ended worse by Muon."""
DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SMOOTHINGS = (0.0, 0.3, 0.5)
"""Shares of the targets that n-grams spread."""
MOST_SMOOTHED = 2_000_000
"""Tokens; larger corpora are not overfitted soon, and counting their n-grams takes a while."""
LOOKED_UP = 4_096
"""Tokens by whose n-grams the cost of looking them up is timed."""
TRIALS = 3
LARGEST_VOCABULARY = 1_000
"""Words need many more steps than the law, which is of characters, says."""


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
    if config.optimizer not in OPTIMIZERS:
        return f"it knows {' and '.join(OPTIMIZERS)}, not {config.optimizer}"
    if vocab_size > LARGEST_VOCABULARY:
        return (
            f"it knows vocabularies of up to {LARGEST_VOCABULARY:,} tokens, and this one has {vocab_size:,}"
        )
    if planned_seconds(settled) < SHORTEST:
        return f"less than {SHORTEST:g} seconds are too few to time candidates"
    return None


def suited_rate(index: Corpus, config: Config) -> float | None:
    """Return the peak learning rate for a model whose size is settled; None where it is not known.

    How many steps a budget in minutes is worth is told by timing one.
    """
    training = config.training
    if config.model.cell not in CELLS or training.optimizer not in OPTIMIZERS:
        return None
    tokens = len(index.tokens("train"))
    rows, bptt = fit_batch(tokens, batch_size=training.batch_size, bptt=training.bptt)
    budget = Budget.of(training, steps_per_epoch=max(1, tokens // (rows * bptt)))
    steps = math.inf if budget.steps is None else float(budget.steps)
    if budget.seconds is not None:
        plain = replace(config, training=replace(training, ngram_smoothing=0.0, teachers=()))
        speed = Trainer(index, plain, path=Path(), source={}).trial(steps=1)
        steps = min(steps, speed * budget.seconds / (rows * bptt))
    return rate_for(
        steps, train_tokens=tokens, batch_tokens=rows * bptt, hidden_size=config.model.hidden_size
    )


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

    Sizes are tried from small to large for as long as the expected loss falls, then the other optimiser, the
    other cell and smaller batches at the best size.

    Args:
        index: The token index.
        chosen: Nested configuration values that are settled.
        seconds: The budget.
        memory: Most bytes that the process may take.

    Raises:
        ConfigError: If no candidate fits into the memory, or what was chosen contradicts itself.
    """
    return _Planner(index, chosen, seconds=seconds, memory=memory).plan()


class _Choice(NamedTuple):
    cell: str
    hidden_size: int
    rows: int
    optimizer: str


class _Candidate(NamedTuple):
    prospect: Prospect
    choice: _Choice
    smoothings: Sequence[float]
    tokens_per_second: float


class _Planner:
    def __init__(
        self, index: Corpus, chosen: Mapping[str, Any], *, seconds: float, memory: float | None
    ) -> None:
        self.index, self.chosen, self.seconds, self.memory = index, chosen, seconds, memory
        self.began, self.held = time.perf_counter(), process_bytes()
        self.train_tokens = len(index.tokens("train"))
        self.vocab_size = len(index.tokenizer.tokens)
        self.ngram_nats = ngram_loss(index.tokens("train"), index.tokens("valid"), vocab_size=self.vocab_size)
        chosen_dropout = chosen.get("model", {}).get("dropout")
        self.dropouts = DROPOUTS if chosen_dropout is None else (chosen_dropout,)
        self.smoothings = self._smoothings()
        self.smoothing_seconds = self._smoothing_seconds() if any(self.smoothings) else 0.0
        self.candidates: list[_Candidate] = []
        self.least_memory: float = math.inf

    def plan(self) -> Plan:
        settled = build_config(merge({"training": batch_for(self.train_tokens)}, self.chosen))
        first = _Choice(CELLS[0], HIDDEN_SIZES[0], settled.training.batch_size, settled.training.optimizer)
        other_cells: Sequence[str] = CELLS[1:]
        if "cell" in self.chosen.get("model", {}):
            first, other_cells = first._replace(cell=settled.model.cell), ()
        best: _Candidate | None = None
        for size in HIDDEN_SIZES:
            candidate = self._try(first._replace(hidden_size=size))
            if candidate is None or (best is not None and candidate.prospect > best.prospect):
                break
            best = candidate
        if best is None:
            least = f"{first.cell} with {HIDDEN_SIZES[0]} units takes {in_words(int(self.least_memory))}"
            raise ConfigError(f"--memory {(self.memory or 0) / 1e9:g}: even {least}; allow that much")
        settled_training = self.chosen.get("training", {})
        if "optimizer" not in settled_training and self.train_tokens >= FEWEST_TURNED:
            self._try(best.choice._replace(optimizer="muon"))
        best = min(self.candidates)
        for cell in other_cells:
            self._try(best.choice._replace(cell=cell))
        best = min(self.candidates)
        # Muon gains next to nothing by smaller batches, and takes as long for each.
        if (
            best.choice.optimizer == "adamw"
            and first.rows == MOST_ROWS
            and "batch_size" not in settled_training
        ):
            self._try(best.choice._replace(rows=first.rows // 2))
        left = self._left()  # which was more when the first were tried
        self.candidates = [self._candidate(*candidate[1:], left) for candidate in self.candidates]
        return self._plan_of(min(self.candidates))

    def _smoothings(self) -> Sequence[float]:
        """Return the shares of n-gram smoothing to choose from."""
        settled = build_config(self.chosen)
        training, softmax = settled.training, settled.model.softmax
        if "ngram_smoothing" in self.chosen.get("training", {}):
            return (training.ngram_smoothing,)
        excluded = training.label_smoothing or training.teachers or softmax == "adaptive"
        # Of music n-grams say what the bar does not allow; fiddle got worse.
        if excluded or self.index.tokenizer.level == "note" or self.train_tokens > MOST_SMOOTHED:
            return (0.0,)
        return SMOOTHINGS

    def _smoothing_seconds(self) -> float:
        """Return what looking up the n-grams of a token adds to a step."""
        ngrams = LeftOutNgrams(self.index.tokens("train"), self.vocab_size)
        places = np.linspace(0, self.train_tokens - 1, LOOKED_UP).astype(np.int64)
        fastest = math.inf
        for _ in range(1 + TRIALS):  # the first compiles
            began = time.perf_counter()
            ngrams.rows(places)
            fastest = min(fastest, time.perf_counter() - began)
        return fastest / len(places)

    def _try(self, choice: _Choice) -> _Candidate | None:
        """Time a candidate; None if it does not fit into the memory."""
        values = self._values(choice, dropout=DROPOUTS[2])
        needed = {share: self._memory_needed(values, share) for share in self.smoothings}
        self.least_memory = min(self.least_memory, *needed.values())
        limit = math.inf if self.memory is None else self.memory
        smoothings = [share for share in self.smoothings if needed[share] <= limit]
        if not smoothings:
            return None
        plain = build_config(merge(values, {"training": {"ngram_smoothing": 0.0, "teachers": ()}}))
        speed = Trainer(self.index, plain, path=Path(), source={}).trial()
        candidate = self._candidate(choice, smoothings, speed, self._left())
        self.candidates.append(candidate)
        return candidate

    def _memory_needed(self, values: Mapping[str, Any], smoothing: float) -> int:
        config = build_config(merge(values, {"training": {"ngram_smoothing": smoothing}}))
        settings = config.training
        rows, steps = fit_batch(self.train_tokens, batch_size=settings.batch_size, bptt=settings.bptt)
        sizes = {"rows": rows, "steps": steps, "tokens": self.train_tokens, "held": self.held}
        return memory_needed(config, vocab_size=self.vocab_size, **sizes)

    def _left(self) -> float:
        return max(self.seconds - (time.perf_counter() - self.began), 0.0)

    def _candidate(
        self, choice: _Choice, smoothings: Sequence[float], speed: float, left: float
    ) -> _Candidate:
        """Return a candidate with what it promises in so many seconds."""
        prospect = fitted_law().best(
            self.ngram_nats,
            **choice._asdict(),
            dropouts=self.dropouts,
            train_tokens=self.train_tokens,
            affordable={share: self._with_smoothing(speed, share) * left for share in smoothings},
        )
        return _Candidate(prospect, choice, smoothings, speed)

    def _with_smoothing(self, speed: float, share: float) -> float:
        """Return the tokens a second that a speed becomes where targets are smoothed."""
        return 1 / (1 / speed + self.smoothing_seconds) if share else speed

    def _values(self, choice: _Choice, *, dropout: float) -> dict[str, Any]:
        model = {"cell": choice.cell, "hidden_size": choice.hidden_size, "dropout": dropout}
        model["embedding_size"] = min(choice.hidden_size, 128)
        batch = {**batch_for(self.train_tokens), "batch_size": choice.rows, "optimizer": choice.optimizer}
        values = merge({"model": model, "training": batch}, suited_to(choice.optimizer))
        return merge(values, self.chosen)

    def _rate(self, values: Mapping[str, Any], prospect: Prospect) -> float:
        config = build_config(values)
        batch_tokens = config.training.batch_size * config.training.bptt
        steps = prospect.epochs * self.train_tokens / batch_tokens
        size = {"batch_tokens": batch_tokens, "hidden_size": config.model.hidden_size}
        return rate_for(steps, train_tokens=self.train_tokens, **size)

    def _plan_of(self, best: _Candidate) -> Plan:
        prospect = best.prospect
        speed = self._with_smoothing(best.tokens_per_second, prospect.smoothing)
        seconds = time.perf_counter() - self.began
        training: dict[str, Any] = {"minutes": (self.seconds - seconds) / 60}
        if not prospect.whole:
            training = {"epochs": prospect.epochs}
        if prospect.smoothing:
            training["ngram_smoothing"] = prospect.smoothing
        values = merge(self._values(best.choice, dropout=prospect.dropout), {"training": training})
        return Plan(
            values=merge({"training": {"learning_rate": self._rate(values, prospect)}}, values),
            loss_nats=prospect.loss_nats,
            tokens_per_second=speed,
            epochs=prospect.epochs,
            whole=prospect.whole,
            timed=tuple(map(_timed_text, self.candidates)),
            seconds=seconds,
            lasts=prospect.epochs * self.train_tokens / speed,
        )


def _timed_text(candidate: _Candidate) -> str:
    cell, hidden_size, rows, optimizer = candidate.choice
    name = f"{cell} {hidden_size}, {rows} rows, {optimizer}"
    return f"{name}: {candidate.tokens_per_second:,.0f} tokens/s, {candidate.prospect.loss_nats:.3f}"

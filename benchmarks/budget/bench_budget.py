"""Train by the budget planner and beside it by a grid of fixed choices: planned and reached score and time.

Corpora: `poem` is 3,000 characters of alice29.txt, `names` has one name a line, `play` is tinyshakespeare,
`wikitext2` its characters, and `generated` 300 MB that follow the pairs of words of bible.txt. A tenth of
each is for validation (wikitext2 has its own). The clock is that of the command after indexing: planning,
training and validations.

    PYTHONPATH=. python benchmarks/budget/bench_budget.py --corpora poem names play --minutes 1 --grid
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.machine import describe_machine
from seqgen.config import build_config, merge
from seqgen.data.index import TokenIndex
from seqgen.data.indexing import ensure_index
from seqgen.training.budget import suited_to
from seqgen.training.law import batch_for
from seqgen.training.loop import train
from seqgen.training.planner import FEWEST_TURNED, MOST_SMOOTHED, make_plan, suited_rate

SHARED = Path(__file__).parents[3] / "shared" / "data"
POEM_BEGINS = "`You are old, Father William,' the young man said"
GENERATED_BYTES = 300_000_000
CHAINS = 2_000


class Choice(NamedTuple):
    """A model of the grid."""

    cell: str
    hidden_size: int
    dropout: float
    ngram_smoothing: float = 0.0
    optimizer: str = "adamw"
    rows: int | None = None

    def __str__(self) -> str:
        smoothed = f", n-gram smoothing {self.ngram_smoothing:g}" if self.ngram_smoothing else ""
        rows = f", {self.rows} rows" if self.rows else ""
        return (
            f"{self.cell} 2 x {self.hidden_size}, dropout {self.dropout:g}{smoothed}, {self.optimizer}{rows}"
        )


GRID = (
    Choice("gru", 128, 0.2),
    Choice("gru", 128, 0.0, optimizer="muon"),
    Choice("gru", 256, 0.1, optimizer="muon"),
    Choice("lstm", 128, 0.0, optimizer="muon"),
    Choice("lstm", 256, 0.1, optimizer="muon"),
)
SMOOTHED = (
    *(choice._replace(ngram_smoothing=0.3) for choice in GRID),
    Choice("lstm", 256, 0.4, 0.3, "muon"),
)
"""Of corpora that the planner would smooth."""
SMALL = (
    Choice("gru", 128, 0.2, 0.5),
    Choice("lstm", 128, 0.4, 0.5),
    Choice("lstm", 256, 0.4, 0.3),
    Choice("lstm", 256, 0.6, 0.5),
    Choice("lstm", 128, 0.4, 0.5, "muon"),
)
"""Of corpora that are passed over hundreds of times."""


def grid_of(train_tokens: int) -> Sequence[Choice]:
    """Return fixed choices that suit a corpus."""
    if train_tokens < FEWEST_TURNED:
        return SMALL
    return SMOOTHED if train_tokens <= MOST_SMOOTHED else GRID


def write_poem(path: Path) -> None:
    text = (SHARED / "canterbury" / "alice29.txt").read_text(encoding="ascii")
    begin = text.index(POEM_BEGINS)
    path.write_text(text[begin : begin + 3_000], encoding="ascii")


def write_generated(path: Path) -> None:
    """Write text in which each word follows one that it follows in bible.txt."""
    words = (SHARED / "canterbury" / "bible.txt").read_text(encoding="ascii").split(" ")
    kinds, ids = np.unique(np.array(words), return_inverse=True)
    order = np.argsort(ids[:-1], kind="stable")
    followers = ids[1:][order]
    counts = np.bincount(ids[:-1], minlength=len(kinds))
    begins = np.cumsum(counts) - counts
    random = np.random.default_rng(1)
    present = ids[random.integers(len(ids) - 1, size=CHAINS)]
    steps = int(GENERATED_BYTES / CHAINS / np.mean([len(word) + 1 for word in words]))
    chains = np.empty((steps, CHAINS), dtype=np.int32)
    for step in range(steps):
        chains[step] = present
        drawn = begins[present] + (random.random(CHAINS) * counts[present]).astype(np.int64)
        present = np.where(counts[present] > 0, followers[np.minimum(drawn, len(followers) - 1)], ids[0])
    with path.open("w", encoding="ascii") as file:
        for chain in range(CHAINS):
            file.write(" ".join(kinds[chains[:, chain]]) + "\n")


def open_corpus(name: str, folder: Path) -> tuple[TokenIndex, dict[str, Any]]:
    """Return the index of a corpus and the settled values."""
    values: dict[str, Any] = {"vocab": {"level": "char"}, "index": {"split": [90, 10, 0]}}
    source = str(folder / f"{name}.txt")
    if name == "poem":
        write_poem(Path(source))
    elif name == "generated":
        write_generated(Path(source))
    elif name == "names":
        source, values["corpus"] = str(SHARED / "names" / "names.txt"), {"documents": "lines"}
    elif name == "play":
        source = str(SHARED / "tinyshakespeare" / "input.txt")
    else:
        source = "wikitext2"
    return ensure_index([source], build_config(values)), values


def run(index: TokenIndex, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train and return the best and the last validation loss, how much was seen, and the clock."""
    steps = list(train(index, build_config(values), path=folder / "model", source={"corpus": ["it"]}))
    losses = [step.validation.loss_nats for step in steps if step.validation]
    return {
        "reached_nats": round(min(losses), 4),
        "last_nats": round(losses[-1], 4),
        "epochs": round(steps[-1].epoch, 3),
        "learning_rate": values["training"]["learning_rate"],
        "training_seconds": round(steps[-1].seconds, 1),
    }


def planned(index: TokenIndex, values: Mapping[str, Any], minutes: float, folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    settled = merge(values, {"training": {"minutes": minutes}})
    plan = make_plan(index, settled, seconds=60 * minutes)
    result = run(index, plan.values, folder)
    model, training = plan.values["model"], plan.values["training"]
    smoothing = training.get("ngram_smoothing", 0.0)
    choice = Choice(
        model["cell"],
        model["hidden_size"],
        model["dropout"],
        smoothing,
        training["optimizer"],
        training["batch_size"],
    )
    return {
        "choice": str(choice),
        "timed": plan.timed,
        "planned_nats": round(plan.loss_nats, 4),
        "planned_seconds": round(plan.seconds + plan.lasts, 1),
        "planning_seconds": round(plan.seconds, 1),
        **result,
        "wall_seconds": round(time.perf_counter() - began, 1),
    }


def fixed(
    index: TokenIndex, values: Mapping[str, Any], minutes: float, choice: Choice, folder: Path
) -> dict[str, Any]:
    model = {"cell": choice.cell, "hidden_size": choice.hidden_size, "dropout": choice.dropout}
    model["embedding_size"] = min(choice.hidden_size, 128)
    training = {
        **batch_for(len(index.tokens("train"))),
        "minutes": minutes,
        "ngram_smoothing": choice.ngram_smoothing,
        "optimizer": choice.optimizer,
    }
    values = merge(values, suited_to(choice.optimizer))
    values = merge(values, {"model": model, "training": training})
    rate = suited_rate(index, build_config(values))
    result = run(index, merge(values, {"training": {"learning_rate": rate}}), folder)
    return {"choice": str(choice), **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", default=["poem", "names", "play", "wikitext2", "generated"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 5.0])
    parser.add_argument("--grid", action="store_true", help="also train the grid of fixed choices")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.corpora:
            index, values = open_corpus(name, Path(scratch))
            for minutes in options.minutes:
                row = {"corpus": name, "minutes": minutes}
                row |= planned(index, values, minutes, Path(scratch))
                if options.grid:
                    row["grid"] = []
                    for choice in grid_of(len(index.tokens("train"))):
                        row["grid"].append(fixed(index, values, minutes, choice, Path(scratch)))
                        print(name, minutes, row["grid"][-1], file=sys.stderr, flush=True)
                rows.append(row)
                print(json.dumps(row), file=sys.stderr)
    print(json.dumps({"machine": describe_machine(), "rows": rows}))


if __name__ == "__main__":
    main()

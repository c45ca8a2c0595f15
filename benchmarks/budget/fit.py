"""Fit the budget planner's law to runs.jsonl, and tell how far off it is on runs that it was not fitted to.

PYTHONPATH=. python benchmarks/budget/fit.py [--write]
"""

import argparse
import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from benchmarks.budget.collect import CORPORA, RUNS
from seqgen.config import build_config
from seqgen.data.baseline import ngram_loss
from seqgen.data.indexing import ensure_index
from seqgen.training.law import LAW, Law, batch_for

START = Law(
    floor=(0.75, 0.05),
    size=(0.05, 0.5, 0.5),
    steps=(0.1, 0.5, 0.5),
    begun=(0.2, 1.5),
    again=(0.05, 0.6, 0.4, 0.5, 1.0),
    lstm=(1.2, 1.0),
    smoothed=(0.1, 1.0),
    muon=(0.8, 1.2),
    rows=(0.3,),
)
"""A guess; what the runs do not tell stays near it."""
FAITH = 0.05
"""The error that is as bad as a constant that is e times the guess."""
OFFSETS = 0.3
"""The error that is as bad as an offset of e."""
FOLDS = 5
FEWEST_STEPS = 80


@cache
def ngram_nats(corpus: str, train_tokens: int) -> float:
    """Return the n-gram loss of a corpus cut to a size."""
    path, documents = CORPORA[corpus]
    values = {"corpus": {"documents": documents}, "vocab": {"level": "char"}, "index": {"split": [90, 10, 0]}}
    index = ensure_index([str(path)], build_config(values))
    return ngram_loss(
        index.tokens("train")[:train_tokens],
        index.tokens("valid"),
        vocab_size=len(index.tokenizer.tokens),
    )


def steps_of(run: dict[str, Any]) -> float:
    """Return how many optimiser steps a run took."""
    batch = batch_for(run["train_tokens"])
    return float(run["seen_tokens"] / (batch["batch_size"] * batch["bptt"]))


def law_of(logs: NDArray[np.float64]) -> Law:
    """Return the law whose constants have these logarithms."""
    values, place, parts = np.exp(logs).tolist(), 0, {}
    for name, start in vars(START).items():
        parts[name] = tuple(values[place : place + len(start)])
        place += len(start)
    return Law(**parts)


def errors(law: Law, runs: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Return ln(expected / reached) of each run."""
    return np.array(
        [
            math.log(
                law.loss(
                    ngram_nats(run["corpus"], run["train_tokens"]),
                    cell=run["cell"],
                    hidden_size=run["hidden_size"],
                    dropout=run["dropout"],
                    train_tokens=run["train_tokens"],
                    seen_tokens=run["seen_tokens"],
                    smoothing=run.get("smoothing", 0.0),
                    rows=run.get("rows"),
                    optimizer=run.get("optimizer", "adamw"),
                )
                / run["last_loss_nats"]
            )
            for run in runs
        ]
    )


def fit(runs: Sequence[dict[str, Any]]) -> Law:
    """Fit by least squares of the errors; what is far off counts less.

    How far a slice can be learned at all differs by some percent from what its n-grams tell. Each slice
    therefore has an offset of its own, so that choices are judged by what differs within a slice; the floor
    is fitted again without.
    """
    start = np.log(np.concatenate([np.array(part) for part in vars(START).values()]))
    slices = sorted({(run["corpus"], run["train_tokens"]) for run in runs})
    place = np.array([slices.index((run["corpus"], run["train_tokens"])) for run in runs])

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        logs, offsets = values[: len(start)], values[len(start) :]
        misses = errors(law_of(logs), runs) + offsets[place]
        return np.concatenate([misses, FAITH * (logs - start), OFFSETS * offsets])

    spread = np.concatenate([np.full(len(start), 4.0), np.full(len(slices), 0.3)])
    first = np.concatenate([start, np.zeros(len(slices))])
    found = least_squares(
        residuals, first, bounds=(first - spread, first + spread), loss="soft_l1", f_scale=0.02
    )
    choices = found.x[: len(start)]

    def without_offsets(floor: NDArray[np.float64]) -> NDArray[np.float64]:
        return errors(law_of(np.concatenate([floor, choices[2:]])), runs)

    floor = least_squares(without_offsets, choices[:2], loss="soft_l1", f_scale=0.02).x
    return law_of(np.concatenate([floor, choices[2:]]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the law into the package")
    options = parser.parse_args()
    runs = [json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()]
    # So short a run has hardly left its start, and no budget leads there.
    runs = [run for run in runs if steps_of(run) >= FEWEST_STEPS]
    # A run that overfitted beyond use says nothing on the runs that a planner would choose.
    runs = [run for run in runs if run["last_loss_nats"] < 1.25 * run["valid_loss_nats"]]
    unseen = np.concatenate(
        [
            errors(fit([run for place, run in enumerate(runs) if place % FOLDS != fold]), runs[fold::FOLDS])
            for fold in range(FOLDS)
        ]
    )
    law = fit(runs)
    if options.write:
        constants = {name: [round(value, 5) for value in part] for name, part in vars(law).items()}
        LAW.write_text(json.dumps(constants, indent=1) + "\n", encoding="utf-8")
    result = {
        "runs": len(runs),
        "median_error": round(float(np.median(np.abs(errors(law, runs)))), 4),
        "median_error_unseen": round(float(np.median(np.abs(unseen))), 4),
        "worst_error_unseen": round(float(np.abs(unseen).max()), 4),
        "law": vars(law),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

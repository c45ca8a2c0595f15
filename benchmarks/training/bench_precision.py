"""Train with float32 and with bfloat16 products from several seeds: do the loss curves agree?

Two layers on a text, the same batches for the same seed. Training losses are averaged over windows of 100
steps; the distance of two curves is the mean absolute difference of these averages. bfloat16 agrees within
seed noise if its curve is no further from that of float32 and the same seed than the curves of two seeds of
float32 are from each other. Without AMX the products round the same, only slower.

    PYTHONPATH=. python benchmarks/training/bench_precision.py /path/to/tinyshakespeare.txt
"""

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from seqgen.config import build_config
from seqgen.data.indexing import ensure_index
from seqgen.training.loop import train

WINDOW = 100
"""Steps whose losses are averaged."""
Curve = NDArray[np.float64]


def learn(corpus: str, *, precision: str, seed: int, options: argparse.Namespace) -> tuple[Curve, float]:
    """Return the training losses, averaged over windows, and the last validation loss."""
    values = {
        "vocab": {"level": "char"},
        "index": {"split": [90, 10, 0]},
        "model": {
            "cell": options.cell,
            "hidden_size": options.hidden_size,
            "embedding_size": 64,
            "dropout": 0.1,
        },
        "training": {"batch_size": 32, "bptt": 64, "learning_rate": 4e-3, "steps": options.steps}
        | {"precision": precision, "seed": seed},
    }
    config = build_config(values)
    with tempfile.TemporaryDirectory() as folder:
        steps = list(train(ensure_index([corpus], config), config, path=Path(folder) / "model", source={}))
    losses = np.array([step.loss_nats for step in steps])
    validations = [step.validation.loss_nats for step in steps if step.validation]
    return losses.reshape(-1, WINDOW).mean(axis=1), validations[-1]


def distance(one: Curve, other: Curve) -> float:
    return float(np.abs(one - other).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru"])
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=1000, help=f"a multiple of {WINDOW}")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    curves: dict[str, list[Curve]] = {"float32": [], "bfloat16": []}
    rows = []
    for seed, precision in itertools.product(range(1, options.seeds + 1), curves):
        curve, valid = learn(options.corpus, precision=precision, seed=seed, options=options)
        curves[precision].append(curve)
        rows.append({"precision": precision, "seed": seed, "valid_nats": round(valid, 4)})
        rows[-1]["train_nats"] = [round(float(value), 4) for value in curve]
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    between_seeds = [distance(*pair) for pair in itertools.combinations(curves["float32"], 2)]
    between_precisions = [distance(*pair) for pair in zip(*curves.values(), strict=True)]
    result = {
        "machine": describe_machine(),
        "model": f"{options.cell} 2 x {options.hidden_size}",
        "rows": rows,
        "between_seeds_nats": [round(value, 4) for value in between_seeds],
        "between_precisions_nats": [round(value, 4) for value in between_precisions],
        "within_seed_noise": max(between_precisions) <= max(between_seeds),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

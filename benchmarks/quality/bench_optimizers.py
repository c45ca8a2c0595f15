"""Train one model by several optimisers, batches and learning rates: the tables of docs/training.md.

Each training sees as many characters of tinyshakespeare, of which the first 90 % train, and is scored on the
first 50,000 of the others in chunks of 1,024. The seconds are those of training alone, validations included.

    PYTHONPATH=. python benchmarks/quality/bench_optimizers.py --cell gru --hidden-size 128 --rows 64 32
    PYTHONPATH=. python benchmarks/quality/bench_optimizers.py --optimizers adamw --rates 4e-3 8e-3 1.2e-2
"""

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.quality.bench_shakespeare import SHARED
from seqgen.config import build_config, merge
from seqgen.data.indexing import ensure_index
from seqgen.training.budget import suited_to
from seqgen.training.loop import train
from seqgen.training.planner import suited_rate


def run(options: argparse.Namespace, optimizer: str, rows: int, rate: float | None) -> dict[str, Any]:
    """Train once; the learning rate that suits the training is taken where none is given."""
    values: dict[str, Any] = {
        "vocab": {"level": "char"},
        "index": {"split": [90, 10, 0]},
        "model": {
            "cell": options.cell,
            "hidden_size": options.hidden_size,
            "embedding_size": min(128, options.hidden_size),
            "dropout": options.dropout,
        },
        "training": {
            "optimizer": optimizer,
            "batch_size": rows,
            "bptt": 64,
            "ngram_smoothing": options.ngram_smoothing,
            "validations": 1,
        },
    }
    values = merge(suited_to(optimizer), values)
    index = ensure_index([options.corpus], build_config(values), notify=lambda _text: None)
    values = merge(values, {"training": {"epochs": options.tokens / len(index.tokens("train"))}})
    rate = rate or suited_rate(index, build_config(values))
    config = build_config(merge(values, {"training": {"learning_rate": rate}}))
    with tempfile.TemporaryDirectory() as folder:
        steps = list(
            train(index, config, path=Path(folder) / "model", source={"corpus": ["tinyshakespeare"]})
        )
    losses = [step.validation.loss_nats for step in steps if step.validation]
    return {
        "optimizer": optimizer,
        "rows": rows,
        "rate": rate,
        "nats_per_char": round(losses[-1], 4),
        "seconds": round(steps[-1].seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cell", default="gru", choices=["gru", "lstm"])
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--ngram-smoothing", type=float, default=0.0)
    parser.add_argument("--tokens", type=int, default=1_200_000, help="characters seen in each training")
    parser.add_argument("--optimizers", nargs="+", default=["adamw", "muon"])
    parser.add_argument("--rows", nargs="+", type=int, default=[64])
    parser.add_argument("--rates", nargs="+", type=float, default=[None])
    parser.add_argument("--corpus", default=str(SHARED) if SHARED.is_file() else "tinyshakespeare")
    options = parser.parse_args()
    runs = []
    for choice in product(options.optimizers, options.rows, options.rates):
        runs.append(run(options, *choice))
        print(runs[-1], file=sys.stderr, flush=True)
    model = {name: getattr(options, name) for name in ("cell", "hidden_size", "dropout", "ngram_smoothing")}
    print(json.dumps({"machine": describe_machine(), **model, "tokens": options.tokens, "runs": runs}))


if __name__ == "__main__":
    main()

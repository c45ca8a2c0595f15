"""Train on tinyshakespeare by recipes and score the last tenth of it, under both protocols.

The first 90 % of the characters train, the last 10 % validate. The clock covers everything from the first
step to the last, validations included, compiling excluded; the points of the curve are scored afterwards from
weights that were set aside. Recipes of `--plain` are trained by torch's own recurrent layers, too.

    PYTHONPATH=. python benchmarks/quality/bench_shakespeare.py --recipes 1m 3m --plain 3m --plot curve.png
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe_machine
from seqgen.config import Config, build_config, load_yaml
from seqgen.data.index import TokenIndex
from seqgen.data.indexing import ensure_index
from seqgen.evaluation import evaluate
from seqgen.kernels import recurrent
from seqgen.networks.tasks import LanguageModel
from seqgen.training.loop import Trainer

RECIPES = Path(__file__).parents[2] / "recipes"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare" / "input.txt"
PROTOCOLS = ("windows:256", "carried")
NANOGPT = {"nanoGPT on an A100": (180.0, 1.4697), "nanoGPT on a CPU": (180.0, 1.88)}
"""Seconds and nats per character in windows of 256, from the README of karpathy/nanoGPT (2023)."""
SECONDS = (10, 20, 60, 180, 600)


@dataclass(frozen=True)
class Run:
    """A training: (seconds, nats in windows of 256) at each validation, and its final scores."""

    name: str
    curve: list[tuple[float, float]]
    nats_per_char: dict[str, float]
    epochs: float
    tokens_per_second: float


def train(name: str, config: Config, index: TokenIndex, folder: Path) -> Run:
    """Train one configuration and score what it had at each validation."""
    trainer = Trainer(index, config, path=folder / name, source={"corpus": ["tinyshakespeare"]})
    states: list[tuple[float, dict[str, torch.Tensor]]] = []
    step = None
    for step in trainer.steps():
        if step.validation:
            with trainer.average.in_place():
                weights = {key: value.clone() for key, value in trainer.model.state_dict().items()}
            states.append((step.seconds, weights))
    model = LanguageModel(config.model, len(index.tokenizer.tokens)).eval()

    def score(weights: dict[str, torch.Tensor], protocol: str) -> float:
        model.load_state_dict(weights)
        found = evaluate(model, index.tokens("valid"), index.documents("valid"), protocol=protocol)
        return round(found.loss_nats, 4)

    curve = [(round(seconds, 1), score(weights, PROTOCOLS[0])) for seconds, weights in states]
    final = {protocol: score(states[-1][1], protocol) for protocol in PROTOCOLS}
    return Run(name, curve, final, round(step.epoch, 2), round(step.tokens_per_second))


def plot(runs: list[Run], path: Path) -> None:
    """Draw the loss against time, beside nanoGPT's published points."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for run in runs:
        seconds, nats = zip(*run.curve, strict=True)
        style = "--" if run.name.endswith("plain") else "-"
        axes.plot(seconds, nats, style, marker="o", markersize=3, label=f"{run.name} ({nats[-1]:.3f})")
    for name, (seconds, nats) in NANOGPT.items():
        axes.plot(seconds, nats, "k*" if "A100" in name else "kx", label=f"{name} ({nats})")
    axes.set(
        xscale="log",
        xlabel="seconds of training, two CPU cores",
        ylabel="nats per character, windows of 256",
        ylim=(1.35, 2.0),
        title="tinyshakespeare, last tenth of the characters",
    )
    axes.set_xticks(SECONDS, map(str, SECONDS))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", nargs="+", default=["1m", "3m"])
    parser.add_argument("--plain", nargs="+", default=[], help="recipes to train by torch's own layers, too")
    parser.add_argument("--corpus", default=str(SHARED) if SHARED.is_file() else "tinyshakespeare")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in options.recipes:
            config = build_config(load_yaml(RECIPES / f"tinyshakespeare-{recipe}.yaml"))
            index = ensure_index([options.corpus], config, notify=lambda _text: None)
            for plain in [False, True] if recipe in options.plain else [False]:
                recurrent.HAS_NUMBA = not plain
                runs.append(train(recipe + (" plain" if plain else ""), config, index, Path(folder)))
                print(runs[-1], file=sys.stderr, flush=True)
    if options.plot:
        plot(runs, options.plot)
    result: dict[str, Any] = {"machine": describe_machine(), "runs": [vars(run) for run in runs]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()

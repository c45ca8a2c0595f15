"""Label the sentences of SST-2 by a bag of words, a Bi-LSTM, and ones that started from a language model.

python benchmarks/quality/bench_sentiment.py SST_FOLDER -o FOLDER [--language-model MODEL] [--only bag ...]

SST_FOLDER holds sst2_train.tsv, sst2_dev.tsv and sst2_test.tsv (6,920, 872 and 1,821 sentences). The
settings below were chosen on dev alone. MODEL is a word model of wikitext2, as `recipes/wikitext2-60m.yaml`
makes; for `fine-tuned` it first goes on to learn from the sentences of the training part, without labels.
Each network is trained from every seed, unless FOLDER holds it already; then those of a run label together,
and at last those of all runs.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from seqgen.artifacts import is_model, load_artifact

RUNS = {
    "bag": ["--cell", "bow", "--min-count", "1", "--epochs", "8"],
    "lstm": ["--bidirectional", "--epochs", "6"],
    "adversarial": ["--bidirectional", "--epochs", "4", "--average", "ema", "--adversarial", "2"],
    "vectors": [
        *["--vectors-only", "--bidirectional", "--hidden-size", "128", "--dropout", "0.5"],
        *["--epochs", "4", "--adversarial", "2"],
    ],
    "fine-tuned": [
        *["--epochs", "7", "--unfreeze-epochs", "0", "--rate-decay", "1", "--learning-rate", "1.5e-3"],
        *["--schedule", "cosine", "--pool", "max", "--weight-drop", "0.1", "--input-dropout", "0.5"],
        *["--dropout", "0.3", "--embedding-dropout", "0.05"],
    ],
}


def seqgen(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "seqgen", *arguments], check=True)


def minutes_of(model: Path) -> float:
    """Return how long a model was trained, starting up not included."""
    return round(load_artifact(model).history()[-1]["seconds"] / 60, 2)


def go_on(sst: Path, language_model: Path, model: Path) -> None:
    """Let a language model learn the training sentences, written as wikitext is."""
    rows = (sst / "sst2_train.tsv").read_text(encoding="utf-8").splitlines()
    text = model.with_name("sentences.tokens")
    text.write_text("".join(f" {row.rpartition(chr(9))[0]} \n" for row in rows), encoding="utf-8")
    options = ["--batch-size", "32", "--bptt", "35", "--learning-rate", "1e-3", "--min-count", "2"]
    options += ["--epochs", "4", "--split", "98/2/0", "--set", "training.validations=4"]
    target = ["--init-from", str(language_model), "-o", str(model), "--level", "word"]
    seqgen("train", str(text), *target, *options)


def train(sst: Path, model: Path, options: list[str], seed: int) -> dict[str, Any]:
    """Train a classifier, unless it is there already, and return its scores."""
    parts = ["--valid", str(sst / "sst2_dev.tsv"), "--test", str(sst / "sst2_test.tsv")]
    target = ["--task", "classify", "-o", str(model), "--seed", str(seed)]
    if not is_model(model):
        seqgen("train", str(sst / "sst2_train.tsv"), *parts, *target, *options)
    return {"seed": seed, **score([model]), "minutes": minutes_of(model)}


def score(models: list[Path]) -> dict[str, float]:
    """Return the accuracy of classifiers that label together."""
    first, *others = map(str, models)
    beside = [word for other in others for word in ("--with", other)]
    scores = {}
    for name, part in (("dev", "valid"), ("test", "test")):
        command = [sys.executable, "-m", "seqgen", "evaluate", first, *beside, "--part", part, "--json"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        scores[name] = json.loads(out)["accuracy"]
    return scores


def run(sst: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train all that is asked for and return the scores."""
    results: dict[str, Any] = {"machine": describe_machine()}
    starts = {"vectors": options.language_model, "fine-tuned": folder / "lm"}
    if "fine-tuned" in options.only:
        if not is_model(folder / "lm"):
            go_on(sst, options.language_model, folder / "lm")
        results["going on, minutes"] = minutes_of(folder / "lm")
    models: dict[str, list[Path]] = {}
    for name in options.only:
        start = ["--init-from", str(starts[name])] if name in starts else []
        models[name] = [folder / f"{name}-{seed}" for seed in options.seeds]
        each = [
            train(sst, model, [*RUNS[name], *start], seed)
            for model, seed in zip(models[name], options.seeds, strict=True)
        ]
        results[name] = {"each": each, "together": score(models[name])}
    results["all together"] = score([model for group in models.values() for model in group])
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sst", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--language-model", type=Path)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=["bag", "lstm"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    if not options.language_model and {"vectors", "fine-tuned"} & set(options.only):
        parser.error("vectors and fine-tuned need --language-model")
    options.output.mkdir(parents=True, exist_ok=True)
    print(json.dumps(run(options.sst, options.output, options)))


if __name__ == "__main__":
    main()

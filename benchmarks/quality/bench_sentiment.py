"""Label the sentences of SST-2 by a bag of words, a Bi-LSTM, and one that started from a language model.

python benchmarks/quality/bench_sentiment.py SST_FOLDER [--language-model MODEL] [--only bag lstm ...]

SST_FOLDER holds sst2_train.tsv, sst2_dev.tsv and sst2_test.tsv (6,920, 872 and 1,821 sentences). The
settings below were chosen on dev alone. MODEL is a word model of wikitext2, as `recipes/wikitext2-60m.yaml`
makes; it first goes on to learn from the sentences of the training part, without their labels.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine

RUNS = {
    "bag": ["--cell", "bow", "--min-count", "1", "--epochs", "8"],
    "lstm": ["--bidirectional", "--epochs", "6"],
    "vectors": [
        "--vectors-only",
        "--bidirectional",
        "--hidden-size",
        "256",
        "--dropout",
        "0.5",
        "--epochs",
        "3",
    ],
    "fine-tuned": [
        *["--epochs", "7", "--unfreeze-epochs", "0", "--rate-decay", "1", "--learning-rate", "1.5e-3"],
        *["--schedule", "cosine", "--pool", "max", "--weight-drop", "0.1", "--input-dropout", "0.5"],
        *["--dropout", "0.3", "--embedding-dropout", "0.05"],
    ],
}


def seqgen(*arguments: str) -> float:
    """Run a command and return the seconds it took, starting up included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "seqgen", *arguments], check=True)
    return time.perf_counter() - began


def go_on(sst: Path, language_model: str, folder: Path) -> float:
    """Let a language model learn the training sentences, written as wikitext is; return the seconds."""
    rows = (sst / "sst2_train.tsv").read_text(encoding="utf-8").splitlines()
    text = folder / "sentences.tokens"
    text.write_text("".join(f" {row.rpartition(chr(9))[0]} \n" for row in rows), encoding="utf-8")
    options = ["--batch-size", "32", "--bptt", "35", "--learning-rate", "1e-3", "--min-count", "2"]
    options += ["--epochs", "4", "--split", "98/2/0", "--set", "training.validations=4"]
    target = ["--init-from", language_model, "-o", str(folder / "lm"), "--level", "word"]
    return seqgen("train", str(text), *target, *options)


def classify(sst: Path, model: Path, options: list[str], seed: int) -> dict[str, Any]:
    """Train a classifier and return its scores."""
    parts = ["--valid", str(sst / "sst2_dev.tsv"), "--test", str(sst / "sst2_test.tsv")]
    target = ["--task", "classify", "-o", str(model), "--seed", str(seed)]
    seconds = seqgen("train", str(sst / "sst2_train.tsv"), *parts, *target, *options)
    scores = {}
    for part in ("valid", "test"):
        command = [sys.executable, "-m", "seqgen", "evaluate", str(model), "--part", part, "--json"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        scores[part] = json.loads(out)["accuracy"]
    return {"dev": scores["valid"], "test": scores["test"], "minutes": round(seconds / 60, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sst", type=Path)
    parser.add_argument("--language-model")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=["bag", "lstm"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": describe_machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        extra: list[str] = []
        if not options.language_model and {"vectors", "fine-tuned"} & set(options.only):
            parser.error("vectors and fine-tuned need --language-model")
        if options.language_model:
            results["going on, minutes"] = round(go_on(options.sst, options.language_model, folder) / 60, 2)
            extra = ["--init-from", str(folder / "lm")]
        for run in options.only:
            more = extra if run in ("vectors", "fine-tuned") else []
            results[run] = [
                {"seed": seed, **classify(options.sst, folder / f"{run}-{seed}", [*RUNS[run], *more], seed)}
                for seed in options.seeds
            ]
    print(json.dumps(results))


if __name__ == "__main__":
    main()

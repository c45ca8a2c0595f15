"""Train on tinyshakespeare for 180 seconds and score the last tenth of it, under both protocols.

The split is the usual one: the first 90 % of the characters train, the last 10 % validate. The clock covers
everything from the first step to the last, validations included, compiling excluded.

    python benchmarks/quality/bench_shakespeare.py [--minutes 3] [--corpus PATH]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import describe_machine

RECIPE = Path(__file__).parents[2] / "recipes" / "tinyshakespeare.yaml"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare" / "input.txt"


def seqgen(*arguments: str) -> str:
    command = [sys.executable, "-m", "seqgen", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--corpus", default=str(SHARED) if SHARED.is_file() else "tinyshakespeare")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "shakespeare")
        budget = ["--minutes", str(options.minutes)]
        seqgen("train", options.corpus, "-o", model, "--config", str(RECIPE), *budget)
        scores = [
            json.loads(seqgen("evaluate", model, "--protocol", protocol, "--json"))
            for protocol in ("carried", "windows:256")
        ]
        history = (Path(model) / "history.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(history[-1])
    for score in scores:
        print(f"{score['protocol']:12} {score['loss_nats']:.4f} nats per character")
    result = {
        "machine": describe_machine(),
        "seconds": last["seconds"],
        "epochs": last["epoch"],
        "nats_per_char": {score["protocol"]: score["loss_nats"] for score in scores},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Does a model that knows its corpus by heart copy no more than `--max-copy` allows? By plain search.

A GRU learns the first 20,000 characters of a text until it can recite them; samples are drawn with and
without the limit, and the longest stretch that stands in the text is found with Python's `in`.

    python benchmarks/sampling/check_copies.py TEXT
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine

LEARNT = 20_000  # characters
TRAINING = ["--level=char", "--split=95/5/0", "--cell=gru", "--layers=1", "--hidden-size=512", "--dropout=0"]
LAST = ["--batch-size=8", "--set=training.validations=1"]  # the last weights are kept: they know most


def longest_copy(sample: str, text: str) -> int:
    """Return the length of the longest stretch of a sample that stands in the text, in characters."""
    longest = 0
    for start in range(len(sample)):
        while start + longest < len(sample) and sample[start : start + longest + 1] in text:
            longest += 1
    return longest


def seqgen(*arguments: str) -> str:
    """Run a command and return what it printed."""
    command = [sys.executable, "-m", "seqgen", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def copies(model: Path, text: str, count: int, options: list[str]) -> dict[str, Any]:
    """Draw samples and return how long their longest copies are."""
    lines = seqgen("sample", str(model), "--count", str(count), "--length", "1000", "--json", *options)
    samples = [json.loads(line)["text"] for line in lines.splitlines()]
    longest = sorted(longest_copy(sample, text) for sample in samples)
    return {
        "samples": len(samples),
        "characters": sum(map(len, samples)),
        "longest": longest[-1],
        "median": longest[len(longest) // 2],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--max-copy", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        corpus, model = Path(name) / "corpus.txt", Path(name) / "model"
        text = options.text.read_text(encoding="utf-8")[:LEARNT]
        corpus.write_text(text, encoding="utf-8")
        seqgen("train", str(corpus), "-o", str(model), "--epochs", str(options.epochs), *TRAINING, *LAST)
        limited = ["--max-copy", str(options.max_copy), "--seed", "1"]
        result = {
            "benchmark": "copies",
            "machine": describe_machine(),
            "free": copies(model, text, options.count, ["--seed", "1"]),
            f"max_copy_{options.max_copy}": copies(model, text, options.count, limited),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

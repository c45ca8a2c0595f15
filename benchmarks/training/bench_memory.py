"""Compare the memory that a training is said to take with the peak it takes, each size in its own process.

PYTHONPATH=. python benchmarks/training/bench_memory.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from seqgen.config import build_config
from seqgen.data.tokenizers import make_tokenizer, ranked_vocab
from seqgen.training.loop import Trainer
from seqgen.training.memory import memory_needed, process_bytes

STEPS = 14
SIZES = [
    ("gru", 128, 64, 65, 16, 64),  # cell, hidden, embedding, vocabulary, rows, steps
    ("gru", 256, 128, 65, 64, 64),
    ("lstm", 512, 128, 65, 64, 100),
    ("lstm", 1024, 512, 65, 64, 100),
    ("lstm", 512, 512, 20000, 64, 64),
]


class RandomCorpus:
    """Tokens without structure; 20,000 of them validate."""

    content_hash = "random"

    def __init__(self, vocab: int, count: int) -> None:
        counts = {chr(0x4E00 + k): 1 for k in range(vocab - 3)}
        self.tokenizer = make_tokenizer(
            ranked_vocab("char", counts, options={"normalize": "none", "lowercase": False})
        )
        size = len(self.tokenizer.tokens)
        self._tokens = np.random.default_rng(1).integers(1, size, count).astype(np.uint16)

    def tokens(self, part: str) -> np.ndarray:
        return self._tokens if part == "train" else self._tokens[:20_000]

    def documents(self, part: str) -> np.ndarray:
        return np.array([0, len(self.tokens(part))])

    def counts(self, part: str) -> dict[str, int]:
        return {"tokens": len(self.tokens(part))}


def measure(cell: str, hidden: int, embedding: int, vocab: int, rows: int, steps: int) -> dict[str, object]:
    """Train a few steps and return the bytes told and taken."""
    config = build_config(
        {
            "model": {"cell": cell, "hidden_size": hidden, "embedding_size": embedding},
            "training": {"batch_size": rows, "bptt": steps, "epochs": 1, "validations": 2},
        }
    )
    corpus = RandomCorpus(vocab, rows * steps * STEPS)
    size = len(corpus.tokenizer.tokens)
    told = memory_needed(config, vocab_size=size, rows=rows, steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(corpus, config, path=Path(folder) / "model", source={})
        for _ in trainer.steps():
            pass
        trainer.save()
    taken = process_bytes()
    return {
        "cell": cell,
        "hidden_size": hidden,
        "vocabulary": size,
        "batch": [rows, steps],
        "parameters": trainer.model.parameter_count(),
        "told_mb": round(told / 1e6),
        "taken_mb": round(taken / 1e6),
        "ratio": round(told / taken, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, help="measure one of the sizes, in this process")
    options = parser.parse_args()
    if options.only is not None:
        print(json.dumps(measure(*SIZES[options.only])))
        return
    results = []
    for number in range(len(SIZES)):
        command = [sys.executable, __file__, "--only", str(number)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(done.stdout))
        print(done.stdout, end="", file=sys.stderr, flush=True)
    print(json.dumps({"machine": describe_machine(), "results": results}))


if __name__ == "__main__":
    main()

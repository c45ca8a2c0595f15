"""Train many small models on corpora of many sizes: the data that the budget planner's law is fitted to.

Each line of runs.jsonl is one training: the size of its corpus, its model, how many tokens it saw and what
validation loss that led to. The design is drawn from a seed; a run that is in the file already is not made
again, so the script can be stopped at any time. Speed plays no part in what is kept: budgets are in tokens.

    PYTHONPATH=. python benchmarks/budget/collect.py --seconds 80
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.config import build_config
from seqgen.data.batches import Integers
from seqgen.data.index import TokenIndex
from seqgen.data.indexing import ensure_index
from seqgen.data.tokenizers import Tokenizer
from seqgen.training.budget import suited_to
from seqgen.training.law import batch_for, rate_for
from seqgen.training.loop import train

RUNS = Path(__file__).parent / "runs.jsonl"
SHARED = Path(__file__).parents[3] / "shared" / "data"
CORPORA = {
    "tinyshakespeare": (SHARED / "tinyshakespeare" / "input.txt", "files"),
    "bible": (SHARED / "canterbury" / "bible.txt", "files"),
    "names": (SHARED / "names" / "names.txt", "lines"),
    "wikitext2": ("wikitext2", "files"),
}
SIZES = {
    "tinyshakespeare": (3_000, 30_000, 100_000, 300_000, 1_000_000),
    "bible": (30_000, 300_000, 1_000_000, 3_600_000),
    "names": (30_000, 200_000),
}
"""Tokens of the training part that are used, a run each."""
TOKENS_PER_SECOND = {64: 500e3, 128: 300e3, 256: 150e3, 512: 50e3}
"""Roughly, by hidden size; they only bound what a run of the design may cost."""
LONGEST = 30.0
MOST_EPOCHS = 120
"""Of the smallest corpus; larger ones are passed over less often."""


class Shortened(NamedTuple):
    """An index of which the training part is cut short; the validation part is whole."""

    index: TokenIndex
    size: int

    @property
    def tokenizer(self) -> Tokenizer:
        """Of the whole index."""
        return self.index.tokenizer

    @property
    def content_hash(self) -> str:
        """Of the whole index."""
        return self.index.content_hash

    def tokens(self, part: str) -> NDArray[np.unsignedinteger]:
        """Return a part's token ids."""
        return self.index.tokens(part)[: self.size] if part == "train" else self.index.tokens(part)

    def documents(self, part: str) -> Integers:
        """Return where a part's documents begin, and its end."""
        edges = self.index.documents(part)
        return np.append(edges[edges < self.size], self.size) if part == "train" else edges

    def counts(self, part: str) -> Mapping[str, int]:
        """Return what is counted in a part."""
        return self.index.counts(part)


class Design(NamedTuple):
    """One training of the design."""

    corpus: str
    train_tokens: int
    cell: str
    hidden_size: int
    dropout: float
    seen_tokens: float
    smoothing: float = 0.0
    rows: int | None = None
    """Of a batch, where they are not those of `batch_for`."""
    optimizer: str = "adamw"


def draw_designs(seed: int) -> Iterator[Design]:
    """Yield trainings without end, each of at most `LONGEST` seconds."""
    random = np.random.default_rng(seed)
    while True:
        corpus = str(random.choice(list(SIZES)))
        hidden_size = int(random.choice(list(TOKENS_PER_SECOND)))
        train_tokens = int(random.choice(SIZES[corpus]))
        useful = MOST_EPOCHS * train_tokens * (train_tokens / 3_000) ** -0.25
        most = min(useful, TOKENS_PER_SECOND[hidden_size] * LONGEST)
        fewest = min(useful / 12, most / 4)
        yield Design(
            corpus=corpus,
            train_tokens=train_tokens,
            cell=str(random.choice(["lstm", "gru"])),
            hidden_size=hidden_size,
            dropout=float(random.choice([0.0, 0.15, 0.3, 0.45, 0.6])),
            seen_tokens=round(float(np.exp(random.uniform(np.log(fewest), np.log(most)))), -3),
        )


REPEATED = (
    Design("names", 200_000, "gru", 256, 0.0, 4_000_000),
    Design("names", 200_000, "gru", 256, 0.3, 4_000_000),
    Design("tinyshakespeare", 300_000, "gru", 256, 0.0, 4_500_000),
    Design("tinyshakespeare", 300_000, "gru", 256, 0.45, 4_500_000),
    Design("tinyshakespeare", 300_000, "lstm", 512, 0.0, 2_400_000),
    Design("tinyshakespeare", 300_000, "lstm", 512, 0.45, 2_400_000),
    Design("tinyshakespeare", 1_000_000, "gru", 512, 0.0, 3_400_000),
)
"""What the drawn runs are too short for: passing over larger corpora often, with dropout and without."""
BEGUN = (
    *(Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, seen) for seen in (1_200_000, 4_500_000)),
    *(Design("tinyshakespeare", 1_000_000, "gru", 256, 0.0, seen) for seen in (550_000, 1_200_000)),
    Design("tinyshakespeare", 1_000_000, "gru", 256, 0.2, 1_200_000),
    Design("tinyshakespeare", 1_000_000, "gru", 512, 0.0, 550_000),
    Design("tinyshakespeare", 1_000_000, "lstm", 128, 0.0, 1_200_000),
    Design("tinyshakespeare", 1_000_000, "lstm", 256, 0.0, 1_200_000),
    Design("bible", 3_600_000, "gru", 128, 0.0, 1_200_000),
    Design("bible", 3_600_000, "gru", 256, 0.0, 1_200_000),
    Design("bible", 3_600_000, "lstm", 128, 0.0, 1_200_000),
)
"""What a slow machine makes of a large corpus in a minute."""
SMOOTHED = (
    Design("tinyshakespeare", 3_000, "lstm", 64, 0.3, 234_000, 0.5),
    Design("tinyshakespeare", 3_000, "lstm", 128, 0.6, 82_000, 0.3),
    Design("tinyshakespeare", 3_000, "lstm", 128, 0.6, 476_000, 0.5),
    Design("names", 3_000, "gru", 64, 0.3, 166_000, 0.5),
    Design("names", 3_000, "lstm", 512, 0.45, 45_000, 0.3),
    Design("bible", 3_000, "lstm", 128, 0.45, 250_000, 0.5),
    Design("bible", 3_000, "gru", 512, 0.45, 48_000, 0.3),
    Design("tinyshakespeare", 10_000, "gru", 64, 0.3, 579_000, 0.3),
    Design("tinyshakespeare", 10_000, "gru", 256, 0.3, 807_000, 0.5),
    Design("tinyshakespeare", 10_000, "lstm", 512, 0.6, 108_000, 0.5),
    Design("tinyshakespeare", 30_000, "lstm", 128, 0.0, 1_723_000, 0.3),
    Design("tinyshakespeare", 30_000, "gru", 128, 0.15, 1_063_000, 0.5),
    Design("tinyshakespeare", 30_000, "gru", 256, 0.0, 432_000, 0.5),
    Design("bible", 30_000, "gru", 128, 0.3, 890_000, 0.3),
    Design("names", 30_000, "gru", 128, 0.3, 788_000, 0.5),
    Design("names", 30_000, "gru", 256, 0.0, 512_000, 0.3),
    Design("tinyshakespeare", 100_000, "gru", 128, 0.0, 1_849_000, 0.3),
    Design("tinyshakespeare", 100_000, "gru", 128, 0.0, 2_707_000, 0.5),
    Design("tinyshakespeare", 100_000, "gru", 512, 0.15, 399_000, 0.5),
    Design("names", 200_000, "gru", 128, 0.45, 1_116_000, 0.5),
    Design("names", 200_000, "lstm", 64, 0.15, 2_830_000, 0.3),
    Design("tinyshakespeare", 300_000, "lstm", 256, 0.15, 505_000, 0.3),
    Design("tinyshakespeare", 300_000, "lstm", 256, 0.15, 505_000, 0.5),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 1_200_000, 0.5),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 4_500_000, 0.3),
    Design("tinyshakespeare", 1_000_000, "gru", 256, 0.0, 550_000, 0.3),
)
"""Twins of other runs, drawn ones among them, with n-gram smoothing."""
HALVED = (
    Design("tinyshakespeare", 100_000, "gru", 128, 0.0, 2_707_000, 0.5, 32),
    Design("tinyshakespeare", 300_000, "lstm", 256, 0.15, 505_000, 0.3, 32),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 1_200_000, 0.0, 32),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 4_500_000, 0.0, 32),
    Design("tinyshakespeare", 1_000_000, "gru", 256, 0.0, 550_000, 0.0, 32),
    Design("tinyshakespeare", 1_000_000, "gru", 256, 0.0, 1_200_000, 0.0, 32),
    Design("tinyshakespeare", 1_000_000, "gru", 512, 0.0, 550_000, 0.0, 32),
    Design("tinyshakespeare", 1_000_000, "lstm", 128, 0.0, 1_200_000, 0.0, 32),
    Design("tinyshakespeare", 1_000_000, "lstm", 256, 0.0, 1_200_000, 0.0, 32),
    Design("bible", 3_600_000, "gru", 128, 0.0, 1_200_000, 0.0, 32),
    Design("bible", 3_600_000, "gru", 256, 0.0, 1_200_000, 0.0, 32),
    Design("bible", 3_600_000, "lstm", 128, 0.0, 1_200_000, 0.0, 32),
    Design("names", 200_000, "gru", 128, 0.45, 1_116_000, 0.5, 32),
    Design("names", 200_000, "lstm", 64, 0.15, 2_830_000, 0.3, 32),
)
"""Twins of runs with 64 rows, of which these have half: more steps, of which each learns less."""
TURNED = (
    Design("tinyshakespeare", 3_000, "lstm", 128, 0.6, 82_000, 0.3, None, "muon"),
    Design("names", 30_000, "gru", 128, 0.3, 788_000, 0.5, None, "muon"),
    Design("tinyshakespeare", 100_000, "gru", 128, 0.0, 2_707_000, 0.5, None, "muon"),
    Design("tinyshakespeare", 100_000, "gru", 512, 0.15, 399_000, 0.5, None, "muon"),
    Design("names", 200_000, "gru", 128, 0.45, 1_116_000, 0.5, None, "muon"),
    Design("names", 200_000, "lstm", 64, 0.15, 2_830_000, 0.3, None, "muon"),
    Design("tinyshakespeare", 300_000, "lstm", 256, 0.15, 505_000, 0.3, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 1_200_000, 0.0, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 1_200_000, 0.0, 32, "muon"),
    Design("tinyshakespeare", 1_000_000, "gru", 128, 0.0, 4_500_000, 0.3, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "gru", 256, 0.0, 550_000, 0.0, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "gru", 256, 0.0, 1_200_000, 0.0, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "gru", 512, 0.0, 550_000, 0.0, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "lstm", 128, 0.0, 1_200_000, 0.0, None, "muon"),
    Design("tinyshakespeare", 1_000_000, "lstm", 256, 0.0, 1_200_000, 0.0, 32, "muon"),
    Design("bible", 3_600_000, "gru", 128, 0.0, 1_200_000, 0.0, None, "muon"),
    Design("bible", 3_600_000, "lstm", 128, 0.0, 1_200_000, 0.0, None, "muon"),
)
"""Twins of runs with AdamW."""


def design_of(record: Mapping[str, Any]) -> Design:
    """Return the design of a line of runs.jsonl; older ones say nothing on smoothing, and had none."""
    return Design(**{field: record[field] for field in Design._fields if field in record})


def run(design: Design, folder: Path) -> dict[str, Any]:
    """Train once and return what is kept of it."""
    path, documents = CORPORA[design.corpus]
    batch = batch_for(design.train_tokens)
    if design.rows is not None:
        batch["batch_size"] = design.rows
    batch_tokens = batch["batch_size"] * batch["bptt"]
    steps = design.seen_tokens / batch_tokens
    sizes = {"train_tokens": design.train_tokens, "hidden_size": design.hidden_size}
    rate = rate_for(steps, batch_tokens=batch_tokens, **sizes)
    values = {
        "corpus": {"documents": documents},
        "vocab": {"level": "char"},
        "index": {"split": [90, 10, 0]},
        "model": {
            "cell": design.cell,
            "hidden_size": design.hidden_size,
            "embedding_size": min(128, design.hidden_size),
            "dropout": design.dropout,
        },
        "training": {
            "epochs": design.seen_tokens / design.train_tokens,
            "validations": 5,
            "ngram_smoothing": design.smoothing,
            "learning_rate": rate,
            "optimizer": design.optimizer,
            **suited_to(design.optimizer)["training"],
            **batch,
        },
    }
    config = build_config(values)
    index = ensure_index([str(path)], config)
    taken = list(
        train(Shortened(index, design.train_tokens), config, path=folder, source={"corpus": [design.corpus]})
    )
    losses = [step.validation.loss_nats for step in taken if step.validation]
    return {
        **design._asdict(),
        "learning_rate": rate,
        "valid_loss_nats": round(min(losses), 4),
        "last_loss_nats": round(losses[-1], 4),
        "seconds": round(taken[-1].seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no run after so long")
    parser.add_argument("--seed", type=int, default=1, help="of the design")
    options = parser.parse_args()
    lines = RUNS.read_text(encoding="utf-8").splitlines() if RUNS.exists() else []
    known = {design_of(json.loads(line)) for line in lines}
    began, made = time.monotonic(), 0
    for design in chain(SMOOTHED, HALVED, TURNED, BEGUN, REPEATED, draw_designs(options.seed)):
        if time.monotonic() - began > options.seconds:
            break
        if design in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            record = run(design, Path(folder) / "model")
        with RUNS.open("a", encoding="utf-8") as file:
            print(json.dumps(record), file=file)
        print(json.dumps(record), file=sys.stderr)
        made += 1
    print(json.dumps({"made": made, "runs": len(lines) + made}))


if __name__ == "__main__":
    main()

"""Sample under constraints: do all samples match, what do they cost, how soon do they begin.

Three small models are trained for some seconds on one corpus, over characters, words and subwords, and 1,000
samples of each are matched by Python's `re`. The cost is measured on random weights: the loop with and
without a constraint, in short turns taken in alternation, of which the best counts.

    python benchmarks/sampling/bench_constraints.py
    python benchmarks/sampling/bench_constraints.py --levels
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from benchmarks.sampling.bench_sampling import Generate, Network, best_rates
from seqgen.artifacts import load_artifact
from seqgen.data.tokenizers import Tokenizer, make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.kernels.constraint import FREE, Constraint
from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.sampling.constraints import TextRules, constrain
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect

LEVELS = {
    "char": [],
    "word": ["--min-count", "2"],
    "subword": ["--max-size", "2000"],
}
EXPRESSIONS = [
    r"[A-Z][a-z]+(?: [a-z]+){3,8}\.",
    r"(?:The|An?) [^\n.]{10,60}\.",
    r"(?:[a-z]{2,8} = [a-z]{2,8}\n){2,4}",
]
LENGTH = 200
ENDLESS = r"(?:[A-Z]?[a-z]+(?:'[a-z]+)?[,;]? (?:[a-z]+ ){0,12}[a-z]+[.!?]\s)*"
"""Sentences without end, of a few hundred characters at most."""
ANYWHERE = "[a-z ]*"
"""A text that may end after every token, so that its end takes over what may not follow at each."""


def matched(folder: Path, level: str, corpus: str, seconds: float, samples: int) -> list[dict[str, Any]]:
    """Train a model and return how its constrained samples fare."""
    model = folder / level
    command = [sys.executable, "-m", "seqgen", "train", corpus, "-o", str(model), "--level", level]
    command += [
        "--minutes",
        str(seconds / 60),
        "--hidden-size",
        "128",
        "--embedding-size",
        "64",
        "--seed",
        "1",
    ]
    subprocess.run([*command, *LEVELS[level]], check=True, stdout=sys.stderr, stderr=subprocess.DEVNULL)
    artifact = load_artifact(model)
    sampler, rows = Sampler(artifact), []
    for expression in EXPRESSIONS:
        begin = time.perf_counter()
        rules = TextRules(regex=expression)
        constraint = constrain(rules, artifact.tokenizer, prompt="", length=LENGTH)
        made = time.perf_counter() - begin
        config = SampleConfig(count=samples, length=LENGTH, seed=1)
        texts = [sample.text for sample in collect(sampler.generate(config, constraint=constraint))]
        rows.append(
            {
                "level": level,
                "vocab": len(artifact.tokenizer.tokens),
                "regex": expression,
                "states": len(constraint),
                "edges": len(constraint.labels),
                "build_ms": round(1000 * made),
                "matches": sum(re.fullmatch(expression, text) is not None for text in texts),
                "samples": len(texts),
                "distinct": len(set(texts)),
                "example": texts[0],
            }
        )
    return rows


def letters(count: int) -> Tokenizer:
    """Return a vocabulary of characters, or of as many made-up words, each with a space before it or none."""
    signs = " \n.,;:!?'-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0"
    if count <= len(signs) + 2:
        tokens = [*signs][: count - 2]
        level, options = "char", {"normalize": "none"}
    else:
        draw = np.random.default_rng(1)
        words = (
            "".join(draw.choice([*"abcdefghijklmnopqrstuvwxyz"], draw.integers(1, 9)))
            for _ in range(count * 2)
        )
        tokens = list(dict.fromkeys([*" \n.,;!?'", *(f" {word}" for word in words)]))[: count - 2]
        level, options = "word", {"words": "words"}
    return make_tokenizer(Vocab(level=level, modality="text", tokens=(EOS, UNK, *tokens), options=options))


def loop(
    network: Network, constraint: Constraint, *, allowed: NDArray[np.bool_] | bool = True, **filters: Any
) -> Generate:
    """Return the sampling loop for one sequence; EOS is forbidden, so that it never ends.

    So is what is not `allowed`: where EOS takes that over, it takes over nothing.
    """
    decoder = Decoder(network.weights(), cell="lstm", exact=False)
    bias = np.where(allowed, np.zeros(decoder.vocab, np.float32), np.float32(-np.inf))
    bias[:2] = -np.inf
    rule = DrawRule(1.0, 0, 1.0, np.uint64(1), bias, **filters)
    state = decoder.start([0])
    return lambda steps: decoder.draw(state, rule, steps, constraint=constraint)


def cost(vocab: int, hidden: int, turns: int) -> dict[str, Any]:
    """Return the rates with and without constraints at one size."""
    tokenizer, network = letters(vocab), Network(vocab, hidden)
    expression = ENDLESS if tokenizer.level == "char" else r"(?:(?: [a-z]+){1,20}[.!?]\n?)*"
    endless, anywhere = (
        constrain(TextRules(regex=regex), tokenizer, prompt="", length=2**62)
        for regex in (expression, ANYWHERE)
    )
    endless = replace(endless, concludes=False)  # or it would end, and ended sequences cost nothing
    allowed = anywhere.mask(0)
    loops = {
        "free": loop(network, FREE),
        "constrained": loop(network, endless.tables(2**62)),
        "anywhere": loop(network, anywhere.tables(2**62), allowed=allowed),
        "min_p": loop(network, FREE, min_p=0.02),
        "typical": loop(network, FREE, typical=0.9),
    }
    rates = best_rates(loops, 1, turns)
    row = {"vocab": vocab, "hidden": hidden, "states": len(endless), "allowed": int(allowed.sum())}
    row |= {f"{name}_tokens_per_second": round(rate) for name, rate in rates.items()}
    return row | {
        f"{name}_cost_percent": round(100 * (rates["free"] / rates[name] - 1), 1)
        for name in ("constrained", "anywhere")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--corpus", default="pydoc")
    parser.add_argument("--seconds", type=float, default=15, help="of training, each model")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--levels", nargs="*", choices=LEVELS, default=[*LEVELS], help="to train models of")
    options = parser.parse_args()
    torch.manual_seed(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for level in options.levels:
            rows += matched(Path(folder), level, options.corpus, options.seconds, options.samples)
            print(json.dumps(rows[-len(EXPRESSIONS) :]), file=sys.stderr, flush=True)
    costs = []
    for vocab, hidden in [(65, 128), (65, 256), (65, 512), (10_000, 650)]:
        costs.append(cost(vocab, hidden, options.turns))
        print(json.dumps(costs[-1]), file=sys.stderr, flush=True)
    machine = {**describe_machine(), "torch": torch.__version__}
    print(json.dumps({"benchmark": "constraints", "machine": machine, "rows": rows, "costs": costs}))


if __name__ == "__main__":
    main()

"""What --max-copy and --mix-ngram cost: the sampling loop of a trained model with and without them.

Short turns in alternation, of which the best counts; one sequence, one thread. The corpus is the model's own,
unless another is named.

    python benchmarks/sampling/bench_lookups.py MODEL
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.sampling.bench_sampling import Generate, best_rates
from seqgen.artifacts import Artifact, load_artifact
from seqgen.data.indexing import ensure_index
from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.sampling.lookups import NO_LOOKUPS, Lookups, open_lookups


def loop(artifact: Artifact, lookups: Lookups) -> Generate:
    """Return the loop of one sequence that never ends."""
    decoder = Decoder(artifact.weights(), cell=artifact.config.model.cell, exact=False)
    bias = np.zeros(decoder.vocab, np.float32)
    bias[:2] = -np.inf
    rule = DrawRule(1.0, 0, 1.0, np.uint64(1), bias)
    state = decoder.start([0], copying=lookups.copying, mixing=lookups.mixing)
    return lambda steps: decoder.draw(state, rule, steps, copying=lookups.copying, mixing=lookups.mixing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--corpus", help="what is looked up in")
    options = parser.parse_args()
    artifact = load_artifact(options.model)
    corpus = [options.corpus] if options.corpus else artifact.source["corpus"]
    index = ensure_index(corpus, artifact.config, tokenizer=artifact.tokenizer)
    asked = {
        "max_copy_20": {"max_copy": 20},
        "max_copy_8": {"max_copy": 8},
        "max_copy_4": {"max_copy": 4},
        "mix_ngram": {"mix_ngram": 0.2},
    }
    loops = {"free": loop(artifact, NO_LOOKUPS)}
    loops |= {name: loop(artifact, open_lookups(index, **given)) for name, given in asked.items()}
    rates = best_rates(loops, 1, options.turns)
    costs = {name: round(100 * (rates["free"] / rates[name] - 1), 1) for name in asked}
    print(
        json.dumps(
            {
                "benchmark": "lookups",
                "machine": describe_machine(),
                "hidden": artifact.config.model.hidden_size,
                "vocab": len(artifact.tokenizer.tokens),
                "tokens": index.counts("train")["tokens"],
                "tokens_per_second": {name: round(rate) for name, rate in rates.items()},
                "cost_percent": costs,
            }
        )
    )


if __name__ == "__main__":
    main()

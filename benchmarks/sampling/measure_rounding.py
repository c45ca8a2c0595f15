"""Measure what rounding a model's weights to int8 for sampling costs, against float32, on a text.

Both networks read the same tokens, in stretches from a fresh state. `seqgen train` stores the same figures,
on fewer tokens, in the model's card.

    python benchmarks/sampling/measure_rounding.py models/shakespeare ../shared/data/tinyshakespeare/input.txt
"""

import argparse
import json
from pathlib import Path

from seqgen.artifacts import load_artifact
from seqgen.evaluation.rounding import rounding_cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, default=20_000, help="from the end of the text")
    options = parser.parse_args()
    artifact = load_artifact(options.model)
    tokens = artifact.tokenizer.encode(options.text.read_text(encoding="utf-8"))[-options.tokens :]
    cost = rounding_cost(artifact.weights(), artifact.config.model, tokens, most=options.tokens)
    print(json.dumps({"benchmark": "int8 rounding", **cost.record()}))


if __name__ == "__main__":
    main()

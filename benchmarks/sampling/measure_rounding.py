"""Measure what rounding a model's weights to int8 for sampling costs, against float32, on a text.

Both networks read the same tokens from zero state. Printed: the mean Kullback-Leibler divergence of the
rounded distribution from the exact one, and the loss of each, in nats per token.

    python benchmarks/sampling/measure_rounding.py models/shakespeare ../shared/data/tinyshakespeare/input.txt
"""

import argparse
import json
from pathlib import Path

import numpy as np

from seqgen.artifacts import load_artifact
from seqgen.kernels.decode import Decoder


def log_probabilities(decoder: Decoder, tokens: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of every token after those before it, (T, V)."""
    state = decoder.start([0])
    rows = []
    for token in tokens:
        logits = decoder.logits(state)[0].astype(np.float64)
        rows.append(logits - np.logaddexp.reduce(logits))
        state.token[0] = token
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, default=20_000, help="from the end of the text")
    options = parser.parse_args()
    artifact = load_artifact(options.model)
    tokens = artifact.tokenizer.encode(options.text.read_text(encoding="utf-8")[-options.tokens :])
    cell, weights = artifact.config.model.cell, artifact.weights()
    exact, rounded = (
        log_probabilities(Decoder(weights, cell=cell, exact=exact), tokens) for exact in (True, False)
    )
    divergences = (np.exp(exact) * (exact - rounded)).sum(axis=1)
    place = np.arange(len(tokens)), tokens
    result = {
        "benchmark": "int8 rounding",
        "tokens": len(tokens),
        "kl_nats": float(f"{divergences.mean():.3g}"),
        "kl_nats_99th_percentile": float(f"{np.quantile(divergences, 0.99):.3g}"),
        "loss_nats_exact": round(float(-exact[place].mean()), 5),
        "loss_nats_rounded": round(float(-rounded[place].mean()), 5),
        "same_likeliest_token": round(float((exact.argmax(axis=1) == rounded.argmax(axis=1)).mean()), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

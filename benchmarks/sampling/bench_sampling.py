"""Time sampling with seqgen's compiled loop and with the loop that everyone writes in torch, side by side.

The other loop: nn.Embedding, nn.LSTM called for one step, a linear head, softmax, multinomial; under
The other loop: nn.Embedding, nn.LSTM called for one step, a linear head, softmax, multinomial; under
not change the work. Each figure is the best of several turns, taken in alternation.

    python benchmarks/sampling/bench_sampling.py --sizes 128 256 512 1024
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seqgen.artifacts import write_artifact
from seqgen.config import build_config
from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule

LAYERS = 2
TURN_SECONDS = 0.25
Generate = Callable[[int], object]


class Network(nn.Module):
    """Two LSTM layers with an embedding as wide as they are."""

    def __init__(self, vocab: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.lstm = nn.LSTM(hidden, hidden, LAYERS)
        self.head = nn.Linear(hidden, vocab)

    def weights(self) -> dict[str, np.ndarray]:
        """Return the weights by the names that an artifact gives them."""
        weights = {name: array.numpy() for name, array in self.state_dict().items()}
        for name in [name for name in weights if name.startswith("lstm.")]:
            kind, layer = name.removeprefix("lstm.").rsplit("_l", 1)
            weights[f"encoder.{layer}.{kind}"] = weights.pop(name)
        return weights


def usual_loop(network: Network, batch: int) -> Generate:
    """Return the loop that everyone writes."""

    @torch.inference_mode()
    def generate(steps: int) -> None:
        token, state = torch.zeros(1, batch, dtype=torch.long), None
        for _ in range(steps):
            features, state = network.lstm(network.embedding(token), state)
            probabilities = torch.softmax(network.head(features[-1]), dim=-1)
            token = torch.multinomial(probabilities, 1).view(1, batch)

    return generate


def own_loop(network: Network, batch: int, *, top_k: int = 0, top_p: float = 1.0) -> Generate:
    """Return seqgen's loop; EOS is forbidden, so that it runs on as the other does."""
    decoder = Decoder(network.weights(), cell="lstm")
    bias = np.zeros(decoder.vocab, np.float32)
    bias[0] = -np.inf
    rule = DrawRule(1.0, top_k, top_p, np.uint64(1), bias)

    def generate(steps: int) -> None:
        decoder.draw(decoder.start(range(batch)), rule, steps)

    return generate


def best_rates(loops: dict[str, Generate], batch: int, turns: int) -> dict[str, float]:
    """Return the tokens a second of each loop, best of turns taken in alternation."""
    steps = {}
    for name, loop in loops.items():
        loop(3)
        start = time.perf_counter()
        loop(3)
        steps[name] = max(3, int(3 * TURN_SECONDS / (time.perf_counter() - start)))
    best = dict.fromkeys(loops, 0.0)
    for _ in range(turns):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(steps[name])
            best[name] = max(best[name], steps[name] * batch / (time.perf_counter() - start))
    return best


def compare(vocab: int, hidden: int, batch: int, turns: int) -> dict[str, float | int]:
    """Return the rates of both loops at one size, and their ratio."""
    network = Network(vocab, hidden)
    own = {"own": own_loop(network, batch), "own_filtered": own_loop(network, batch, top_k=40, top_p=0.9)}
    usual = {"usual": usual_loop(network, batch)}
    torch.set_num_threads(1)
    rates = best_rates(own | usual, batch, turns)
    torch.set_num_threads(os.cpu_count() or 1)
    rates["usual"] = max(rates["usual"], best_rates(usual, batch, turns)["usual"])
    row = {"vocab": vocab, "hidden": hidden, "batch": batch}
    row |= {f"{name}_tokens_per_second": round(rate) for name, rate in rates.items()}
    return row | {"ratio": round(rates["own"] / rates["usual"], 1)}


def first_token_seconds(hidden: int, turns: int) -> float:
    """Return the seconds from starting the command to its first byte, with compiled code on disk."""
    letters = [chr(code) for code in range(ord("0"), ord("0") + 63)]
    vocab = Vocab(level="char", modality="text", tokens=(EOS, UNK, *letters))
    sizes = {"layers": LAYERS, "hidden_size": hidden, "embedding_size": hidden}
    with tempfile.TemporaryDirectory() as folder:
        write_artifact(
            Path(folder) / "model",
            config=build_config({"model": sizes}),
            weights=Network(len(vocab.tokens), hidden).weights(),
            tokenizer=make_tokenizer(vocab),
            history=[],
            source={},
            scores={},
        )
        command = [sys.executable, "-m", "seqgen", "sample", f"{folder}/model", "--seed", "1"]
        return min(_seconds_to_first_byte(command) for _ in range(turns + 1))


def _seconds_to_first_byte(command: list[str]) -> float:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds


def cpu_name() -> str:
    """Return what the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(1)
    cases = [(65, hidden, 1) for hidden in options.sizes] + [(10_000, 650, 1), (65, 256, 64)]
    rows = []
    for vocab, hidden, batch in cases:
        rows.append(compare(vocab, hidden, batch, options.turns))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    result = {
        "benchmark": "sampling",
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "torch": torch.__version__},
        "date": time.strftime("%Y-%m-%d"),
        "rows": rows,
        "first_token_seconds": round(first_token_seconds(256, options.turns), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Time sampling with seqgen's compiled loop and with the loop that everyone writes in torch, side by side.

The other loop: nn.Embedding, nn.LSTM called for one step, a linear head, softmax, multinomial; under
inference mode. Weights are random, which does not change the work. Each figure is the best of several turns,
taken in alternation.

    python benchmarks/sampling/bench_sampling.py --sizes 128 256 512 1024

With --device the compiled loop is timed beside seqgen's torch path on that device instead, in larger batches.

    python benchmarks/sampling/bench_sampling.py --device cpu --sizes 256 512 --batches 64 512 4096
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from benchmarks.machine import describe_machine
from seqgen.artifacts import write_artifact
from seqgen.config import build_config
from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.networks.tasks import LanguageModel
from seqgen.networks.weights import with_weights
from seqgen.runtime import choose_device, cpu_count, describe_device
from seqgen.sampling.decoding import SequenceDecoder, State
from seqgen.sampling.engine import LARGEST_CHUNK
from seqgen.sampling.torch_decoder import TorchDecoder

LAYERS = 2
TURN_SECONDS = 0.05  # short, so that some turns find the machine undisturbed
CASES = [(65, 128), (65, 256), (65, 512), (65, 1024), (10_000, 650)]
"""Vocabulary and hidden size."""
Generate = Callable[[int], object]
Name = TypeVar("Name")
Row = dict[str, float | int]


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


def compiled(network: Network, *, exact: bool = False) -> Decoder:
    """Return seqgen's compiled decoder of a network."""
    return Decoder(network.weights(), cell="lstm", exact=exact)


def in_torch(network: Network, device: str) -> TorchDecoder:
    """Return seqgen's decoder of a network on a device."""
    vocab, hidden = network.embedding.weight.shape
    config = build_config({"model": model_sizes(hidden)}).model
    return TorchDecoder(with_weights(LanguageModel(config, vocab), network.weights()).to(device))


def model_sizes(hidden: int) -> dict[str, str | int]:
    """Return the configuration of a `Network`."""
    return {"cell": "lstm", "layers": LAYERS, "hidden_size": hidden, "embedding_size": hidden}


def own_loop(
    decoder: SequenceDecoder, batch: int, *, top_k: int = 0, top_p: float = 1.0, threads: int = 0
) -> Generate:
    """Return seqgen's loop, on the threads that `seqgen sample` takes, or on some; EOS is forbidden."""
    bias = np.zeros(decoder.vocab, np.float32)
    bias[0] = -np.inf
    rule = DrawRule(1.0, top_k, top_p, np.uint64(1), bias)

    parts, threads = (1, threads) if threads else decoder.divide(batch, cpu_count())
    states = [decoder.start(range(batch)[part::parts]) for part in range(parts)]
    pool = ThreadPoolExecutor(parts)

    def draw(state: State, steps: int) -> None:
        for first in range(0, steps, LARGEST_CHUNK):
            decoder.draw(state, rule, min(LARGEST_CHUNK, steps - first), threads=threads)

    def generate(steps: int) -> None:
        run = map if parts == 1 else pool.map
        list(run(lambda state: draw(state, steps), states))

    return generate


def best_rates(loops: dict[Name, Generate], batch: int, turns: int) -> dict[Name, float]:
    """Return the tokens a second of each loop, best of turns taken in alternation."""
    steps = {}
    for name, loop in loops.items():
        loop(3)  # compiles, and touches the weights
        start = time.perf_counter()
        loop(3)
        steps[name] = max(2, int(3 * TURN_SECONDS / (time.perf_counter() - start)))
    best = dict.fromkeys(loops, 0.0)
    for _ in range(turns):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(steps[name])
            best[name] = max(best[name], steps[name] * batch / (time.perf_counter() - start))
    return best


def compare(vocab: int, hidden: int, batch: int, turns: int) -> Row:
    """Return the rates of both loops at one size, and their ratios."""
    network = Network(vocab, hidden)
    own = {
        "own": own_loop(compiled(network), batch),
        "own_filtered": own_loop(compiled(network), batch, top_k=40, top_p=0.9),
        "own_exact": own_loop(compiled(network, exact=True), batch),
    }
    usual = {"usual": usual_loop(network, batch)}
    torch.set_num_threads(1)
    rates = best_rates(own | usual, batch, turns)
    torch.set_num_threads(cpu_count())
    rates["usual"] = max(rates["usual"], best_rates(usual, batch, turns)["usual"])
    row = {"vocab": vocab, "hidden": hidden, "batch": batch}
    row |= {f"{name}_tokens_per_second": round(rate) for name, rate in rates.items()}
    ratios = {"ratio": rates["own"] / rates["usual"], "ratio_exact": rates["own_exact"] / rates["usual"]}
    return row | {name: round(ratio, 1) for name, ratio in ratios.items()}


def compare_device(device: str, vocab: int, hidden: int, batch: int, turns: int) -> Row:
    """Return the rates of compiled loops and of the torch path at one size."""
    network = Network(vocab, hidden)
    loops = {
        "own": own_loop(compiled(network), batch),
        "own_exact": own_loop(compiled(network, exact=True), batch),
        "own_torch": own_loop(in_torch(network, device), batch),
    }
    rates = best_rates(loops, batch, turns)
    row = {"vocab": vocab, "hidden": hidden, "batch": batch}
    row |= {f"{name}_tokens_per_second": round(rate) for name, rate in rates.items()}
    return row | {"ratio_to_exact": round(rates["own_torch"] / rates["own_exact"], 2)}


def first_token_seconds(hidden: int, turns: int) -> float:
    """Return the seconds from starting the command to its first byte, with compiled code on disk."""
    letters = [chr(code) for code in range(ord("0"), ord("0") + 63)]
    vocab = Vocab(level="char", modality="text", tokens=(EOS, UNK, *letters))
    with tempfile.TemporaryDirectory() as folder:
        write_artifact(
            Path(folder) / "model",
            config=build_config({"model": model_sizes(hidden)}),
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
    if process.returncode:
        raise RuntimeError(f"{command} failed")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--device", help="cpu, cuda or mps: time the torch path on this device")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 512, 4096], help="with --device")
    options = parser.parse_args()
    torch.manual_seed(1)
    result = {"benchmark": "sampling", "machine": {**describe_machine(), "torch": torch.__version__}}
    if options.device:
        result |= {"device": describe_device(choose_device(options.device))["device"]}
        sizes = [(65, hidden, batch) for hidden in options.sizes for batch in options.batches]
        result |= {"rows": told(partial(compare_device, options.device), sizes, options.turns)}
    else:
        sizes = [(65, hidden, 1) for hidden in options.sizes] + [(10_000, 650, 1), (65, 256, 64)]
        result |= {"rows": told(compare, sizes, options.turns)}
        result |= {"first_token_seconds": round(first_token_seconds(256, min(options.turns, 10)), 3)}
    print(json.dumps(result))


def told(measure: Callable[..., Row], sizes: list[tuple[int, int, int]], turns: int) -> list[Row]:
    """Measure at each size, vocabulary, hidden size and batch, and tell each row as it comes."""
    rows = []
    for size in sizes:
        rows.append(measure(*size, turns))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()

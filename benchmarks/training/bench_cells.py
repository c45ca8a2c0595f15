"""Time two layers with layer normalisation or a mogrifier: the written backward pass and plain autograd.

Forward and backward pass of two LSTM layers of 256, B 64, T 64, without embedding, head and optimiser. Each
figure is the best of several turns by the CPU time of one thread, so what other processes do matters less.

    PYTHONPATH=. python benchmarks/training/bench_cells.py --turns 4
"""

import argparse
import json
import sys
import time
from functools import partial

import torch

from benchmarks.machine import describe_machine
from seqgen.config import ModelConfig
from seqgen.kernels import stepped
from seqgen.networks import stepped as networks
from seqgen.networks.encoders import RecurrentEncoder

VOCAB, SIZE, BATCH, STEPS = 65, 256, 64, 64
OPTIONS = {
    "layer norm": {"layer_norm": True},
    "mogrifier 5": {"mogrifier": 5},
    "mogrifier 5, rank 32": {"mogrifier": 5, "mogrifier_rank": 32},
    "both": {"mogrifier": 5, "layer_norm": True},
}


def autograd_layer(*arguments: object, workspace: object, **options: object) -> object:
    return stepped.stepped_layer_reference(*arguments, **options)


def step(encoder: RecurrentEncoder, tokens: torch.Tensor, precision: torch.dtype) -> None:
    embedding = torch.ones(VOCAB, SIZE, requires_grad=True)
    resets = torch.zeros(tokens.shape, dtype=torch.bool)
    state = encoder.initial_state(BATCH)
    features, _ = encoder(tokens, state, resets, embedding=embedding, precision=precision)
    features.sum().backward()


def tokens_per_second(config: ModelConfig, precision: torch.dtype, turns: int) -> dict[str, int]:
    torch.manual_seed(1)
    tokens = torch.randint(0, VOCAB, (STEPS, BATCH))
    encoder = networks.make_encoder(config)
    best = {}
    for name, layer in {"autograd": autograd_layer, "written": stepped.stepped_layer}.items():
        networks.stepped_layer = layer
        run = partial(step, encoder, tokens, precision)
        run()
        times = []
        for _ in range(turns):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        best[name] = round(STEPS * BATCH / min(times))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru", "rnn"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows = []
    for name, values in OPTIONS.items():
        config = ModelConfig(
            cell=options.cell, hidden_size=SIZE, embedding_size=SIZE, layers=2, dropout=0.0, **values
        )
        for precision in (torch.float32, torch.bfloat16):
            rates = tokens_per_second(config, precision, options.turns)
            ratio = round(rates["written"] / rates["autograd"], 2)
            rows.append({"options": name, "precision": str(precision), **rates, "ratio": ratio})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(
        json.dumps(
            {"machine": describe_machine(), "torch": torch.__version__, "cell": options.cell, "rows": rows}
        )
    )


if __name__ == "__main__":
    main()

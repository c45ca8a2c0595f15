"""Time whole training steps of seqgen's recurrent kernels and of torch's nn.LSTM and nn.GRU, side by side.

A step is embedding, two layers, head, cross-entropy, gradient clipping and fused AdamW. Each figure is the
best of several turns, taken in alternation; a turn in which other processes used more than 6 % of a core does
not count. With --cpu-time on one thread, what other processes do matters less.

    PYTHONPATH=. python benchmarks/training/bench_step.py --sizes 128 256 512
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.machine import describe_machine, timed
from seqgen.kernels.loss import linear_cross_entropy
from seqgen.kernels.recurrent import choose_implementation, recurrent_stack
from seqgen.kernels.workspace import Workspace

VOCAB, LAYERS, BATCH, STEPS = 65, 2, 64, 100
GATES = {"lstm": 4, "gru": 3}
Step = Callable[[], object]


def best_times(
    steps: dict[str, Step], turns: int, *, cpu_time: bool, patience_s: float
) -> tuple[dict[str, float], int]:
    """Return the best seconds of each step over the turns that count, and how many turns did not."""
    repeats = {}
    for name, step in steps.items():
        step()
        repeats[name] = 1 if cpu_time else max(1, int(0.4 / timed(step)[0]))
    times: dict[str, list[float]] = {name: [] for name in steps}
    disturbed, deadline = 0, time.monotonic() + patience_s
    while min(map(len, times.values())) < turns and time.monotonic() < deadline:
        for name, step in steps.items():
            own = time.process_time()
            seconds, foreign = timed(step, repeats[name])
            if cpu_time:
                times[name].append(time.process_time() - own)
            elif foreign > 0.06:
                disturbed += 1
                time.sleep(0.3)
            else:
                times[name].append(seconds)
    return {name: min(found, default=math.nan) for name, found in times.items()}, disturbed


def training_step(forward: Callable[[], torch.Tensor], parameters: list[nn.Parameter]) -> Step:
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)

    def step() -> None:
        forward().backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def network(cell: str, size: int) -> nn.ModuleList:
    recurrent = (nn.LSTM if cell == "lstm" else nn.GRU)(size, size, LAYERS)
    return nn.ModuleList([nn.Embedding(VOCAB, size), recurrent, nn.Linear(size, VOCAB)])


def torch_step(cell: str, size: int, tokens: torch.Tensor, targets: torch.Tensor, *, autocast: bool) -> Step:
    embedding, recurrent, head = model = network(cell, size)

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            logits = head(recurrent(embedding(tokens))[0])
        return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    return training_step(forward, list(model.parameters()))


def own_step(
    cell: str, size: int, tokens: torch.Tensor, targets: torch.Tensor, precision: torch.dtype
) -> Step:
    embedding, recurrent, head = model = network(cell, size)
    weights = list(recurrent.parameters())
    layers = [tuple(weights[4 * layer : 4 * layer + 4]) for layer in range(LAYERS)]
    zero = torch.zeros(tokens.shape[1], size)
    state = [(zero, zero) if cell == "lstm" else (zero,)] * LAYERS
    resets = torch.zeros(tokens.shape, dtype=torch.bool)
    workspace = Workspace()

    def forward() -> torch.Tensor:
        features, _ = recurrent_stack(
            cell, tokens, embedding.weight, layers, state, resets, precision=precision, workspace=workspace
        )
        return linear_cross_entropy(
            features, head.weight, head.bias, targets, precision=precision, workspace=workspace
        )

    return training_step(forward, list(model.parameters()))


def flops_per_token(cell: str, size: int) -> float:
    """Count multiplications and additions of forward and backward pass as nn.LSTM does them."""
    layers = LAYERS * 2 * GATES[cell] * size * 2 * size
    return 3.0 * (layers + 2 * size * VOCAB)


def measure(cell: str, size: int, options: argparse.Namespace) -> dict[str, object]:
    torch.manual_seed(1)
    tokens, targets = torch.randint(0, VOCAB, (2, STEPS, BATCH))
    steps = {
        "nn float32": torch_step(cell, size, tokens, targets, autocast=False),
        "nn bfloat16": torch_step(cell, size, tokens, targets, autocast=True),
        "seqgen float32": own_step(cell, size, tokens, targets, torch.float32),
        "seqgen bfloat16": own_step(cell, size, tokens, targets, torch.bfloat16),
    }
    if options.float32:
        steps = {name: step for name, step in steps.items() if name.endswith("float32")}
    seconds, disturbed = best_times(
        steps, options.turns, cpu_time=options.cpu_time, patience_s=options.patience
    )
    speed = {name: BATCH * STEPS / best for name, best in seconds.items()}
    fastest = max((name for name in speed if name.startswith("seqgen")), key=speed.__getitem__)
    known = {name: value for name, value in speed.items() if not math.isnan(value)}
    return {
        "cell": cell,
        "hidden_size": size,
        "tokens_per_second": {name: round(value) for name, value in known.items()},
        "gflops": {name: round(flops_per_token(cell, size) * value / 1e9) for name, value in known.items()},
        "fastest": fastest,
        "times_nn_float32": round(speed[fastest] / speed["nn float32"], 2),
        "times_nn_bfloat16": round(speed[fastest] / speed["nn bfloat16"], 2)
        if "nn bfloat16" in speed
        else None,
        "disturbed_turns": disturbed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=sorted(GATES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 256, 512])
    parser.add_argument("--turns", type=int, default=4, help="how many of each must count")
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait for them, per row")
    parser.add_argument("--float32", action="store_true", help="alone, for a processor without AVX-512")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, by the CPU time it took")
    options = parser.parse_args()
    if options.cpu_time:
        torch.set_num_threads(1)
    results = []
    for size in options.sizes:
        for cell in options.cells:
            results.append(measure(cell, size, options))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    precisions = (torch.float32, torch.bfloat16)
    print(
        json.dumps(
            {
                "machine": describe_machine(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "implementations": [choose_implementation(torch.device("cpu"), p) for p in precisions],
                "results": results,
            }
        )
    )


if __name__ == "__main__":
    main()

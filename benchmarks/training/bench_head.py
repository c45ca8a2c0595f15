"""Time the output layer and its loss, forward and backward: full and adaptive, beside torch's own.

Targets fall as 1/(rank + 3), as words do. With --cpu-time on one thread, other processes matter less.

    PYTHONPATH=. python benchmarks/training/bench_head.py --cpu-time
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.machine import describe_machine
from seqgen.networks.heads import AdaptiveSoftmax, FullSoftmax, choose_cutoffs

SHAPES = [(65, 512, 6400), (33278, 400, 2450)]  # vocabulary, features, rows
ADAPTIVE_FROM = 1000


def losses(
    vocab: int, size: int, targets: Tensor, precision: torch.dtype
) -> dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """Return by name a module and its loss."""
    full, linear = FullSoftmax(size, vocab), nn.Linear(size, vocab)

    def by_torch(features: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            return functional.cross_entropy(linear(features).float(), targets)

    found: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]] = {
        "full": (full, lambda x: full.mean_loss(x, targets, precision=precision)),
        "torch full": (linear, by_torch),
    }
    if vocab >= ADAPTIVE_FROM:
        cutoffs = choose_cutoffs(vocab)
        own = AdaptiveSoftmax(size, vocab, cutoffs)
        twin = nn.AdaptiveLogSoftmaxWithLoss(size, vocab, list(cutoffs), head_bias=True)
        found["adaptive"] = own, lambda x: own.mean_loss(x, targets, precision=precision)
        found["torch adaptive, float32"] = twin, lambda x: twin(x.float(), targets).loss
    return found


def best_ms(module: nn.Module, loss: Callable[[Tensor], Tensor], features: Tensor, options: Any) -> float:
    clock = time.process_time if options.cpu_time else time.perf_counter
    best = float("inf")
    for _ in range(options.turns):
        module.zero_grad()
        features.grad = None
        start = clock()
        loss(features).backward()  # type: ignore[no-untyped-call]
        best = min(best, clock() - start)
    return round(1e3 * best, 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--cpu-time", action="store_true", help="one thread, by the CPU time it took")
    options = parser.parse_args()
    if options.cpu_time:
        torch.set_num_threads(1)
    torch.manual_seed(1)
    results = []
    for vocab, size, rows in SHAPES:
        targets = torch.multinomial(1 / (torch.arange(vocab) + 3.0), rows, replacement=True)
        for precision in (torch.bfloat16, torch.float32):
            features = torch.randn(rows, size).to(precision).requires_grad_()
            times = {
                name: best_ms(*pair, features, options)
                for name, pair in losses(vocab, size, targets, precision).items()
            }
            shape = {"vocab": vocab, "features": size, "rows": rows, "precision": str(precision)}
            results.append({**shape, "milliseconds": times})
    record = {
        "benchmark": Path(__file__).stem,
        "machine": describe_machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "clock": "CPU time" if options.cpu_time else "wall clock",
        "results": results,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()

"""Say where the time of a training step goes, and how far it is from the machine's best GEMM.

Each part is the least time it took in any of many steps. "other" is what no part accounts for: autograd,
Python, and the conversions between them.

    PYTHONPATH=. python benchmarks/training/bench_breakdown.py --cell lstm --size 512
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.machine import describe_machine
from benchmarks.training.bench_step import BATCH, STEPS, VOCAB, flops_per_token, own_step
from seqgen.kernels import layer, loss
from seqgen.kernels.recurrent import choose_precision

PARTS: dict[str, tuple[Any, str]] = {
    "input projections (GEMM)": (layer.Layer, "_project"),
    "loops over time: products and pointwise": (layer.Layer, "_together"),
    "weight and input gradients (GEMM)": (layer.Layer, "input_and_weight_gradients"),
    "head and loss": (loss._Pass, "run"),
    "clipping": (torch.nn.utils, "clip_grad_norm_"),
    "optimiser": (torch.optim.AdamW, "step"),
}


def watch(owner: Any, name: str, part: str, spent: Counter[str]) -> None:
    """Have every call of a function add its time to a part."""
    original = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        result = original(*args, **kwargs)
        spent[part] += time.perf_counter() - began  # type: ignore[assignment]
        return result

    setattr(owner, name, timed)


def best_of(action: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of several runs."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def gemm_peak_gflops(precision: torch.dtype) -> float:
    """Return the speed of torch's product of two 4,096² matrices."""
    a, b = torch.randn(2, 4096, 4096).to(precision)
    out = torch.empty(4096, 4096, dtype=precision)
    return 2 * 4096**3 / best_of(lambda: torch.mm(a, b, out=out), 8) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cell", default="lstm", choices=("lstm", "gru"))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    precision = choose_precision(torch.device("cpu"))
    peak = gemm_peak_gflops(precision)
    torch.manual_seed(1)
    tokens, targets = torch.randint(0, VOCAB, (2, STEPS, BATCH))
    step = own_step(options.cell, options.size, tokens, targets, precision)
    for _ in range(12):
        step()
    spent: Counter[str] = Counter()
    for part, (owner, name) in PARTS.items():
        watch(owner, name, part, spent)
    least: dict[str, float] = {}
    whole = float("inf")
    for _ in range(options.steps):
        spent.clear()
        whole = min(whole, best_of(step, 1))
        for part, seconds in spent.items():
            least[part] = min(least.get(part, seconds), seconds)
    least["other"] = max(0.0, whole - sum(least.values()))
    for part, seconds in least.items():
        print(f"{part:42} {1e3 * seconds:7.2f} ms {seconds / whole:5.0%}", file=sys.stderr)
    speed = BATCH * STEPS / whole
    reached = flops_per_token(options.cell, options.size) * speed / 1e9
    print(f"{speed:,.0f} tokens/s; {reached:,.0f} of {peak:,.0f} GFLOP/s", file=sys.stderr)
    result = {
        "machine": describe_machine(),
        "cell": options.cell,
        "hidden_size": options.size,
        "precision": str(precision),
        "step_ms": round(1e3 * whole, 2),
        "parts_ms": {part: round(1e3 * seconds, 2) for part, seconds in least.items()},
        "tokens_per_second": round(speed),
        "gflops": round(reached),
        "gemm_peak_gflops": round(peak),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

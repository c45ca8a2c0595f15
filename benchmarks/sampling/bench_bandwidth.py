"""How fast weights are read while sampling, beside what the caches of this machine deliver.

Two loops at each size, with one thread and two: the sampling loop of one sequence (int8, random weights),
and one that only reads as many bytes and adds them up. Short turns in alternation, of which the best counts.

    python benchmarks/sampling/bench_bandwidth.py
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit

from benchmarks.machine import describe_machine
from benchmarks.sampling.bench_sampling import CASES, Generate, Network, best_rates, compiled, own_loop
from seqgen.kernels.layout import lay_out, weight_bytes

THREADS = (1, 2)


@njit(nogil=True)
def _add_up(words: Any, times: int) -> int:
    total = 0
    for _ in range(times):
        for i in range(len(words)):
            total += words[i]
    return total


def reading_loop(size: int, threads: int) -> Generate:
    """Return a loop that reads so many bytes in each step, each thread its own part of them."""
    parts = [np.ones(size // 8 // threads, np.int64) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    return lambda steps: list(pool.map(lambda part: _add_up(part, steps), parts))


def measure(vocab: int, hidden: int, turns: int) -> dict[str, float | int]:
    """Return tokens and gigabytes a second at one size."""
    network = Network(vocab, hidden)
    size = weight_bytes(lay_out(network.weights(), "lstm", exact=False))
    loops = {(threads, "sampling"): own_loop(compiled(network), 1, threads=threads) for threads in THREADS}
    loops |= {(threads, "reading"): reading_loop(size, threads) for threads in THREADS}
    rates = best_rates(loops, 1, turns)
    row: dict[str, float | int] = {"vocab": vocab, "hidden": hidden, "weight_megabytes": round(size / 1e6, 2)}
    for threads in THREADS:
        row[f"tokens_per_second_{threads}"] = round(rates[threads, "sampling"])
        for name in ("sampling", "reading"):
            row[f"{name}_gigabytes_per_second_{threads}"] = round(rates[threads, name] * size / 1e9, 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    options = parser.parse_args()
    torch.manual_seed(1)
    rows = []
    for vocab, hidden in CASES:
        rows.append(measure(vocab, hidden, options.turns))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"benchmark": "bandwidth", "machine": describe_machine(), "rows": rows}))


if __name__ == "__main__":
    main()

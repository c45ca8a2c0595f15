"""Sort the suffixes of a text of 100 MB, and examine 100 kB for copies of it, each in a fresh process.

The text is made here: 50,000 made-up words by Zipf's law, and a line now and then. A tenth of what is
examined is copied from it in stretches of 500 characters. Times are those of whole commands, start-up of the
interpreter included, compiled code from a warm cache; memory is the peak of resident memory.

    python benchmarks/suffixes/bench_suffixes.py [--megabytes 100]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine

SEQGEN = [sys.executable, "-m", "seqgen"]
EXAMINED = 100_000
COPIED = 500


def make_text(path: Path, size: int, seed: int) -> None:
    draw = np.random.default_rng(7)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    shares = 1 / np.arange(1, len(letters) + 1)
    words = [
        "".join(draw.choice(letters, draw.integers(2, 11), p=shares / shares.sum())) for _ in range(50_000)
    ]
    ends = np.array([" "] * 12 + [", ", ". ", ".\n"])
    draw = np.random.default_rng(seed)
    with path.open("w") as file:
        while file.tell() < size:
            chosen = np.minimum(draw.zipf(1.3, 100_000) - 1, len(words) - 1)
            gaps = draw.integers(0, len(ends), len(chosen))
            text = "".join(words[word] + ends[gap] for word, gap in zip(chosen, gaps, strict=True))
            file.write(text[: size - file.tell()])


def make_samples(path: Path, corpus: Path) -> None:
    make_text(path, EXAMINED, seed=2)
    text = path.read_text()
    with corpus.open() as file:
        for start in range(0, EXAMINED, 10 * COPIED):
            file.seek(start * 50)
            text = text[:start] + file.read(COPIED) + text[start + COPIED :]
    path.write_text(text)


def run(command: list[str], cache: Path) -> tuple[float, float, str]:
    """Run a command; return its seconds, its peak memory in MB and its output."""
    environment = {**os.environ, "SEQGEN_CACHE": str(cache)}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    out = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[:6]} failed; run it by hand to see why")
    return seconds, usage.ru_maxrss / 1024, out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    size = parser.parse_args().megabytes * 10**6
    with tempfile.TemporaryDirectory(prefix="seqgen-bench-") as name:
        folder, cache = Path(name), Path(name) / "cache"
        text, samples, index = folder / "text.txt", folder / "samples.txt", folder / "index"
        make_text(text, size, seed=1)
        make_samples(samples, text)
        run([*SEQGEN, "vocab", str(text), "--level", "char", "-o", str(folder / "v.json")], cache)
        made = ["--vocab", str(folder / "v.json"), "-o", str(index), "--split", "100/0/0"]
        run([*SEQGEN, "index", str(text), *made], cache)
        sort_s, sort_mb, _ = run([*SEQGEN, "index", str(index), "--suffixes"], cache)
        examine = [*SEQGEN, "novelty", str(samples), "--index", str(index), "--json"]
        run(examine, cache)  # compiles what is compiled once a machine
        novelty_s, novelty_mb, out = run(examine, cache)
        found = json.loads(out)
    result = {
        "machine": describe_machine(),
        "text_mb": size / 1e6,
        "suffixes": {"seconds": round(sort_s, 2), "peak_memory_mb": round(sort_mb)},
        "novelty": {
            "examined_kb": EXAMINED / 1e3, "seconds": round(novelty_s, 2),
            "peak_memory_mb": round(novelty_mb),
            "share_copied": found["share_copied"], "longest": found["longest"][0]["length"],
        },
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()

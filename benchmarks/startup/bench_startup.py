"""Time how long commands take to say their first word: `--help`, and the first byte of a sample.

Each figure is the best of several runs of the whole command, interpreter included, with a warm disk cache.

    python benchmarks/startup/bench_startup.py [--runs 7]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe_machine

TUNES = Path(__file__).parents[2] / "models" / "fiddle"


def first_byte(arguments: list[str]) -> float:
    """Return the seconds until a command has written its first byte to stdout."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "seqgen", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        byte = process.stdout.read(1) if process.stdout else b""
        seconds = time.perf_counter() - start
        process.kill()
    if not byte:
        raise RuntimeError(f"{' '.join(command)} wrote nothing")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model")
        train = ["train", "pydoc", "-o", model, "--epochs", "0.05", "--preset", "small"]
        subprocess.run([sys.executable, "-m", "seqgen", *train], check=True, stderr=subprocess.DEVNULL)
        commands = {
            "seqgen --help": ["--help"],
            "seqgen train --help": ["train", "--help"],
            "seqgen sample MODEL": ["sample", model, "--seed", "1"],
            "the same, of tunes": ["sample", str(TUNES), "--seed", "1"],
        }
        for arguments in commands.values():
            first_byte(arguments)
        times = {
            name: round(min(first_byte(arguments) for _ in range(options.runs)), 3)
            for name, arguments in commands.items()
        }
    for name, seconds in times.items():
        print(f"{name:22} {seconds:.3f} s to the first byte")
    print(json.dumps({"machine": describe_machine(), "seconds_to_first_byte": times}))


if __name__ == "__main__":
    main()

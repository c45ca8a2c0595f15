"""Train on the fiddle tunes for two minutes and count how many sampled tunes music21 can read.

python benchmarks/quality/bench_tunes.py [--minutes 2] [--count 100]
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from benchmarks.machine import describe_machine


def readable(tune: str) -> bool:
    """Tell whether music21 parses a tune and finds notes in it."""
    from music21 import converter
    from music21.exceptions21 import Music21Exception

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return len(converter.parse(tune, format="abc").recurse().notes) > 0
    except (Music21Exception, ValueError, KeyError, IndexError, AttributeError):
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "fiddle")
        train = ["train", "fiddle", "-o", model, "--minutes", str(options.minutes)]
        subprocess.run([sys.executable, "-m", "seqgen", *train], check=True)
        sample = ["sample", model, "--count", str(options.count), "--seed", "1"]
        command = [sys.executable, "-m", "seqgen", *sample]
        book = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        score = json.loads((Path(model) / "history.jsonl").read_text().splitlines()[-1])
    tunes = [tune for tune in re.split(r"(?m)^(?=X:)", book) if tune.strip()]
    read = sum(map(readable, tunes))
    print(f"{read} of {len(tunes)} tunes parse in music21")
    result = {
        "machine": describe_machine(),
        "seconds": score["seconds"],
        "epochs": score["epoch"],
        "valid_loss_nats": score["valid_loss_nats"],
        "tunes": len(tunes),
        "parsed": read,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

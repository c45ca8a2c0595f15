"""Time a folder of MIDI files on its way to token ids: Nottingham, transposed until there are 10,000.

    python -m benchmarks.music.bench_midi [--files 10000] [--profile]

Each file is another one to the cache, so nothing is read twice the first time. `--profile` also says where
one process spends its time on a file.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from symusic import Score

from benchmarks.machine import describe_machine, timed
from seqgen.config import build_config
from seqgen.data.indexing import ensure_index
from seqgen.music.read import MusicUnit, parse_unit
from seqgen.music.remi import RemiEncoding
from seqgen.music.remi_midi import midi_tokens

SHARED = Path(__file__).parents[3] / "shared" / "data" / "nottingham_midi"


def write_copies(folder: Path, count: int) -> int:
    """Write so many transposed files and return their size in bytes."""
    sources = sorted(SHARED.glob("*.mid"))
    written = 0
    for number in range(count):
        source = sources[number % len(sources)]
        score = Score.from_midi(source.read_bytes())
        shift = number // len(sources) - 4
        for track in score.tracks:
            if not track.is_drum:
                track.shift_pitch(shift, inplace=True)
        data = score.dumps_midi()
        (folder / f"{number:05d}.mid").write_bytes(data)
        written += len(data)
    return written


def milliseconds(action: Callable[[Path], object], files: list[Path]) -> float:
    """Return the mean time of an action on a file."""
    action(files[0])
    start = time.perf_counter()
    for file in files:
        action(file)
    return round((time.perf_counter() - start) / len(files) * 1e3, 3)


def profile(folder: Path) -> dict[str, float]:
    """Time the steps of the way in one process, in milliseconds a file."""
    encoding, files = RemiEncoding(), sorted(folder.glob("*.mid"))[:200]

    def slowly(file: Path) -> list[str]:
        return encoding.encode(parse_unit(MusicUnit(file)))

    return {
        "read": milliseconds(Path.read_bytes, files),
        "symusic": milliseconds(lambda file: Score.from_midi(file.read_bytes()), files),
        "tokens": milliseconds(lambda file: midi_tokens(file, encoding), files),
        "piece": milliseconds(lambda file: parse_unit(MusicUnit(file)), files[:40]),
        "piece and MidiTok": milliseconds(slowly, files[:40]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    result = {"machine": describe_machine(), "files": options.files}
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "midi", Path(place) / "cache"
        folder.mkdir()
        os.environ["SEQGEN_CACHE"] = str(cache)
        result["bytes"] = write_copies(folder, options.files)
        config = build_config({"vocab": {"notes": "remi"}})
        for name in ("first", "again"):
            seconds, foreign = timed(lambda: ensure_index([str(folder)], config, cache=cache))
            result[name] = {
                "seconds": round(seconds, 2),
                "files_per_second": round(options.files / seconds),
                "foreign_cores": round(foreign, 2),
            }
            print(f"{name}: {options.files / seconds:,.0f} files/s", file=sys.stderr)
        index = ensure_index([str(folder)], config, cache=cache)
        result["tokens"] = sum(index.counts(part)["tokens"] for part in ("train", "valid", "test"))
        if options.profile:
            result["ms_per_file"] = profile(folder)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

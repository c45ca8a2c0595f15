"""Read every odd music file of the shared data and tabulate what became of each.

A file is read (with its parts, notes, bars, and what of it is left out) or refused with a reason. Anything
else that a reader raises is a crash, and ends the script with code 1. The last line is JSON.

    python -m benchmarks.music.read_odd_files [--data FOLDER] > benchmarks/music/odd_files.txt
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from benchmarks.machine import describe_machine
from seqgen.errors import CorpusError
from seqgen.music.read import MUSIC_SUFFIXES, parse_unit, split_music

FOLDERS = (
    "musicxml_suite",
    "abc_tests",
    "midi_jazzsoft_conformance",
    "midi_misc_tests",
    "midi_symusic_tests",
)


def read_file(path: Path) -> list[tuple[str, str]]:
    """Return outcome and particulars of each tune of a file, or of the file if it is refused whole."""
    try:
        units = split_music(path)
    except CorpusError as error:
        return [("refused", shorten(str(error), path))]
    rows = []
    for unit in units:
        try:
            piece = parse_unit(unit)
            omitted = ", ".join(f"{what} {count}" for what, count in piece.omitted)
            parts = f"{len(piece.parts)} parts, {piece.note_count} notes, {len(piece.bars)} bar lines"
            rows.append(("read", parts + (f"; left out: {omitted}" if omitted else "")))
        except CorpusError as error:
            rows.append(("refused", shorten(str(error), path)))
        except Exception as error:
            rows.append(("CRASHED", f"{type(error).__name__}: {error}"))
    return rows


def shorten(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}:").strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    options = parser.parse_args()
    results: dict[str, object] = {"machine": describe_machine()}
    crashed = 0
    for name in FOLDERS:
        paths = sorted(p for p in (options.data / name).rglob("*") if p.suffix.lower() in MUSIC_SUFFIXES)
        counts: Counter[str] = Counter()
        print(f"\n## {name}: {len(paths)} files\n")
        for path in paths:
            for outcome, told in read_file(path):
                counts[outcome] += 1
                print(f"{outcome:8} {path.relative_to(options.data / name)}: {told}")
        print(f"\n{dict(counts)}")
        results[name] = {"files": len(paths), **counts}
        crashed += counts["CRASHED"]
    print(json.dumps(results))
    sys.exit(bool(crashed))


if __name__ == "__main__":
    main()

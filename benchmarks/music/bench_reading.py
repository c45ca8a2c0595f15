"""Read, encode and write the tunes of real collections in one process, beside music21's ABC tokenizer.

For each collection: tunes read and refused, tunes a second from file to piece and from piece to tokens, the
share of single-line tunes that the melody encoding gives back exactly, and the share that a written ABC
file does.

    python benchmarks/music/bench_reading.py [--skip-music21] [collection ...]
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import describe_machine
from seqgen.errors import CorpusError
from seqgen.music.abc_reader import read_tune
from seqgen.music.encodings import note_encoding, suits_melody
from seqgen.music.melody import melody_of
from seqgen.music.pieces import Piece
from seqgen.music.read import MUSIC_SUFFIXES, parse_unit, split_music
from seqgen.music.write import write_abc

SHARED = Path(__file__).parents[3] / "shared" / "data"
COLLECTIONS = [
    "nottingham_abc",
    "irish_abc",
    "ryansMammoth",
    "oneills1850",
    "essenFolksong",
    "nottingham_midi",
]


def find(name: str) -> Path | None:
    import music21

    roots = (SHARED, Path(music21.__file__).parent / "corpus")
    return next((root / name for root in roots if (root / name).is_dir()), None)


def read_all(folder: Path) -> tuple[list[Piece], Counter[str], float]:
    """Return the pieces, the reasons of refusal, and the seconds."""
    pieces: list[Piece] = []
    refused: Counter[str] = Counter()
    start = time.perf_counter()
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in MUSIC_SUFFIXES):
        for unit in split_music(path):
            try:
                pieces.append(parse_unit(unit))
            except CorpusError as error:
                refused[str(error).removeprefix(f"{folder}/")] += 1
    return pieces, refused, time.perf_counter() - start


def encode_all(pieces: list[Piece]) -> tuple[float, int]:
    """Return seconds and tokens: melody for single lines, remi for the rest if it is most."""
    lines = [piece for piece in pieces if suits_melody(piece)]
    encoding = note_encoding("melody" if len(lines) > len(pieces) / 2 else "remi")
    chosen = lines if encoding.name == "melody" else pieces
    encoding.encode(chosen[0])  # loads MidiTok, which takes two seconds once
    start = time.perf_counter()
    tokens = sum(len(encoding.encode(piece)) for piece in chosen)
    return time.perf_counter() - start, tokens


def is_written_exactly(piece: Piece) -> bool:
    again = read_tune(write_abc([piece]), source="written")
    return replace(again, omitted=(), title="") == replace(piece, omitted=(), title="")


def measure(name: str, folder: Path) -> dict[str, object]:
    pieces, refused, read_s = read_all(folder)
    encode_s, tokens = encode_all(pieces)
    melody = note_encoding("melody")
    lines = [piece for piece in pieces if suits_melody(piece)]
    exact = sum(melody.decode(melody.encode(piece)) == melody_of(piece) for piece in lines)
    written = sum(map(is_written_exactly, lines[:: max(1, len(lines) // 500)]))
    sampled = len(lines[:: max(1, len(lines) // 500)])
    result = {
        "read": len(pieces),
        "refused": sum(refused.values()),
        "read_per_s": round(len(pieces) / read_s),
        "read_and_encode_s": round(read_s + encode_s, 2),
        "single_lines": len(lines),
        "melody_exact": exact,
        "abc_exact": f"{written}/{sampled}",
        "notes": sum(piece.note_count for piece in pieces),
        "tokens": tokens,
    }
    print(f"{name:16} {result}")
    for reason in refused:
        print(f"{'':16}   {reason}")
    return result


def music21_tokenizer(folder: Path) -> dict[str, float]:
    """Time music21's ABC tokenizer, which makes no pieces and no streams, on the same files."""
    from music21 import abcFormat

    start, tunes = time.perf_counter(), 0
    for path in sorted(folder.rglob("*.abc")):
        handler = abcFormat.ABCHandler()
        handler.process(path.read_text(encoding="utf-8", errors="replace"))
        tunes += len(handler.splitByReferenceNumber())
    return {"tunes": tunes, "tunes_per_s": round(tunes / (time.perf_counter() - start))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="*", default=COLLECTIONS)
    parser.add_argument("--skip-music21", action="store_true")
    options = parser.parse_args()
    results: dict[str, object] = {"machine": describe_machine()}
    for name in options.collections:
        folder = find(name)
        if folder is None:
            print(f"{name}: not here, skipped")
            continue
        results[name] = measure(name, folder)
    nottingham = find("nottingham_abc")
    if nottingham is not None and not options.skip_music21:
        results["music21 tokenizer"] = music21_tokenizer(nottingham)
    print(json.dumps(results))


if __name__ == "__main__":
    main()

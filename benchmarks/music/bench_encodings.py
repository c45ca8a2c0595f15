"""Compare ways to write melodies as tokens: the loss on held-out tunes, and how many sampled bars add up.

Each variant rewrites the tokens of the melody encoding, one character a token, so that the same training
command serves all. Every variant is trained on as many tokens as `--epochs` of the shortest have, whatever
its own length. The loss is summed over the held-out tunes, for a token means something else in each
variant.

    python -m benchmarks.music.bench_encodings [--epochs 4] [variant ...]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import music21

from benchmarks.machine import describe_machine
from seqgen.errors import CorpusError
from seqgen.music.melody import MelodyEncoding, suits_melody
from seqgen.music.pieces import Piece, bar_origins, value_at
from seqgen.music.read import parse_unit, split_music

CORPUS = Path(music21.__file__).parent / "corpus"
ENCODING = MelodyEncoding()
HELD_OUT, SAMPLES = 300, 200
MODEL = ["--level", "char", "--normalize", "none", "--documents", "lines", "--split", "97/3/0"]
MODEL += ["--layers", "1", "--hidden-size", "256", "--set", "training.validations=3", "--overwrite"]
Tune = tuple[Piece, list[str]]


def tunes() -> list[Tune]:
    found = []
    for path in sorted([*CORPUS.glob("ryansMammoth/*.abc"), *CORPUS.glob("oneills1850/*.abc")]):
        for unit in split_music(path):
            try:
                piece = parse_unit(unit)
            except CorpusError:
                continue
            if suits_melody(piece):
                found.append((piece, ENCODING.encode(piece)))
    random.Random(7).shuffle(found)
    return found


def without_beats(tokens: list[str]) -> list[str]:
    return [token for token in tokens if not token.startswith("Beat_")]


def durations_after(tune: Tune) -> list[str]:
    """Write each duration behind its pitch, as ABC does."""
    written: list[str] = []
    held: list[str] = []
    for token in without_beats(tune[1]):
        if token.startswith("Duration_"):
            held = [token]
        elif token.startswith(("Pitch_", "Rest")):
            written += [token, *held]
            held = []
        else:
            written.append(token)
    return written


def fused(tune: Tune) -> list[str]:
    """Write duration and pitch as one token."""
    written: list[str] = []
    held = ""
    for token in without_beats(tune[1]):
        if token.startswith("Duration_"):
            held = f"&{token}"
        elif token.startswith(("Pitch_", "Rest")):
            written.append(token + held)
            held = ""
        else:
            written.append(token)
    return written


def every_quarter(tune: Tune) -> list[str]:
    """Number each beat of the meter, not each group of notes."""
    piece, tokens = tune
    beats = {}
    for start, end, origin in bar_origins(piece):
        meter = value_at(piece.meters, start)
        if meter is not None:
            beat = Fraction(12, meter.unit) if meter.is_compound else Fraction(4, max(4, meter.unit))
            stop = piece.duration if end is None else end
            number = int((start - origin) // beat) + 1
            for index in range(number, int((stop - origin) / beat) + 2):
                if start < origin + index * beat < stop:
                    beats[origin + index * beat] = f"Beat_{index + 1}"
    written: list[str] = []
    notes: Iterator[Fraction] = iter(note.onset for note in piece.parts[0].notes)
    pending: list[str] = []
    for token in without_beats(tokens):
        if token.startswith(("Duration_", "Tuplet_")):
            pending.append(token)
            continue
        if token.startswith(("Pitch_", "Rest")):
            mark = beats.get(next(notes))
            written += [mark] * (mark is not None)
        written += [*pending, token]
        pending = []
    return written


VARIANTS: dict[str, Callable[[Tune], list[str]]] = {
    "melody": lambda tune: tune[1],
    "no beats": lambda tune: without_beats(tune[1]),
    "beats without number": lambda tune: [
        "Beat_" if token.startswith("Beat_") else token for token in tune[1]
    ],
    "every quarter": every_quarter,
    "no beats, duration after pitch": durations_after,
    "no beats, pitch and duration as one": fused,
}


def plain(tokens: list[str]) -> list[str]:
    """Undo the variants as far as decoding needs it."""
    written: list[str] = []
    for token in tokens:
        pitch, _, duration = token.partition("&")
        if duration:
            written += [duration, pitch]
        elif token.startswith("Duration_") and written and written[-1].startswith(("Pitch_", "Rest")):
            written.insert(-1, token)
        else:
            written.append(token)
    return written


def full_bars(piece: Piece) -> tuple[int, int]:
    """Count the bars between plain bar lines, and those of them that are as long as the meter says."""
    meter = value_at(piece.meters, Fraction(0))
    if meter is None or len(piece.meters) > 1:
        return 0, 0
    full = inner = 0
    for before, after in zip(piece.bars, piece.bars[1:], strict=False):
        if before.kind == after.kind == "|" and not before.ending and not after.ending:
            inner += 1
            full += after.onset - before.onset == meter.bar_quarters
    return full, inner


def seqgen(*arguments: str) -> str:
    command = [sys.executable, "-m", "seqgen", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def measure(name: str, found: list[Tune], tokens_wanted: float, folder: Path) -> dict[str, float]:
    rows = [VARIANTS[name](tune) for tune in found]
    symbols: dict[str, str] = {}
    for row in rows:
        for token in row:
            symbols.setdefault(token, chr(0x4E00 + len(symbols)))
    lines = ["".join(symbols[token] for token in row) for row in rows]
    train, test, model = folder / "train.txt", folder / "test.txt", str(folder / "model")
    test.write_text("\n".join(lines[:HELD_OUT]) + "\n", encoding="utf-8")
    train.write_text("\n".join(lines[HELD_OUT:]) + "\n", encoding="utf-8")
    epochs = tokens_wanted / sum(map(len, rows[HELD_OUT:]))
    seqgen("train", str(train), "-o", model, "--epochs", f"{epochs:.4f}", *MODEL)
    score = json.loads(seqgen("evaluate", model, str(test), "--json"))
    sampled = seqgen(
        "sample", model, "--count", str(SAMPLES), "--length", "600", "--seed", "1", "--format", "json"
    )
    tokens_of = {char: token for token, char in symbols.items()}
    bars = []
    for line in sampled.splitlines():
        tokens = [tokens_of.get(char, "") for char in json.loads(line)["text"]]
        bars.append(full_bars(ENCODING.decode(plain(tokens) if name.startswith("no beats,") else tokens)))
    return {
        "tokens_a_note": sum(map(len, rows)) / sum(piece.note_count for piece, _ in found),
        "nats": score["loss_nats"] * score["tokens"],
        "full_bars": sum(full for full, _ in bars) / max(1, sum(inner for _, inner in bars)),
        "tunes_of_full_bars": sum(full == inner for full, inner in bars) / len(bars),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--epochs", type=float, default=4.0)
    options = parser.parse_args()
    found = tunes()
    tokens_wanted = options.epochs * sum(len(without_beats(tokens)) for _, tokens in found[HELD_OUT:])
    results: dict[str, object] = {"machine": describe_machine(), "tunes": len(found)}
    for name in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SEQGEN_CACHE"] = str(Path(folder) / "cache")
            results[name] = result = measure(name, found, tokens_wanted, Path(folder))
        print(f"{name:36} " + "  ".join(f"{key} {value:.3f}" for key, value in result.items()), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()

"""Frame-level loss on the JSB chorales, and whether the voices of samples keep their places.

Train on the standard split (229/76/77 pieces) as recipes/jsb-chorales.yaml says, then score valid and test:
the log-probability of a piece, written voice by voice, divided by its frames. A frame as a set of pitches has
at least the probability of one order of its voices, so this is an upper bound of the frame-level loss of
Boulanger-Lewandowski et al. (2012). Like theirs, frames are quarters: every fourth frame of the file. Unlike
theirs, pieces are in their own keys. The ends of pieces, which those models do not predict, are given apart.

    python -m benchmarks.music.bench_jsb [--model DIR] [--count 100] [--temperatures 1 0.9] [-- --epochs 5]

`--model` scores a model that the same recipe made before; what follows `--` goes to `seqgen train`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from seqgen.artifacts import load_artifact
from seqgen.data.batches import segments
from seqgen.data.indexing import ensure_index
from seqgen.evaluation import restore_model, stream_losses

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "jsb_chorales" / "Jsb16thSeparated.json"
PUBLISHED = {"LSTM (Bai et al. 2018)": 8.45, "TCN (Bai et al. 2018)": 8.10, "RNN-RBM": 6.27, "RNN-NADE": 5.56}
VOICES = 4
Chorale = list[list[int]]


def quarters(folder: Path) -> Path:
    """Write the set with every fourth frame alone; the name tells readers that frames are quarters."""
    path = folder / "jsb-quarter.json"
    found = json.loads(SHARED.read_text())
    path.write_text(json.dumps({part: [piece[::4] for piece in pieces] for part, pieces in found.items()}))
    return path


def score(model: Path, corpus: Path, part: str) -> dict[str, float]:
    """Return the nats a frame of a part."""
    artifact = load_artifact(model)
    index = ensure_index([str(corpus)], artifact.config, tokenizer=artifact.tokenizer)
    tokens, documents = index.tokens(part), index.documents(part)
    losses = np.zeros(len(tokens))
    network = restore_model(artifact, "cpu")
    for positions, values in stream_losses(network, tokens, segments(documents, "carried")):
        losses[positions] = values
    if index.counts(part)["unknown"]:
        raise SystemExit(f"{part} has notes that the vocabulary lacks: the bound would not hold")
    is_end = np.asarray(tokens) == 0
    frames = (len(tokens) - int(is_end.sum())) / VOICES
    owner = np.searchsorted(documents, np.arange(len(tokens)), side="right") - 1
    own = np.bincount(owner, np.where(is_end, 0, losses)) / (np.bincount(owner, ~is_end) / VOICES)
    return {
        "frames": frames,
        "nats_per_frame": round(float(losses[~is_end].sum() / frames), 4),
        "nats_per_frame_with_ends": round(float(losses.sum() / frames), 4),
        "nats_per_frame_mean_of_pieces": round(float(own.mean()), 4),
    }


def sample(model: Path, count: int, temperature: float) -> list[Chorale]:
    """Return sampled pieces as frames of MIDI notes, -1 for silence."""
    command = [sys.executable, "-m", "seqgen", "sample", str(model), "--count", str(count), "--seed", "1"]
    command += ["--length", "1200", "--format", "tokens", "--temperature", str(temperature)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [frames_of(line.split()) for line in run.stdout.splitlines()]


def frames_of(tokens: list[str]) -> Chorale:
    """Play out the holds of a piece."""
    cells = [token for token in tokens if token.partition("_")[0] in ("Pitch", "Hold", "Rest")]
    frames: Chorale = []
    for start in range(0, len(cells) - VOICES + 1, VOICES):
        before = frames[-1] if frames else [-1] * VOICES
        row = zip(cells[start : start + VOICES], before, strict=True)
        frames.append(
            [held if cell == "Hold" else -1 if cell == "Rest" else int(cell[6:]) for cell, held in row]
        )
    return frames


def keeping_places(pieces: list[Chorale], ranges: list[tuple[int, int]]) -> dict[str, float]:
    """Return how often voices cross and leave their ranges, as shares of frames with both and of notes."""
    frames = np.array([frame for piece in pieces for frame in piece])
    sounding = frames >= 0
    owner = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    both = sounding[:, :-1] & sounding[:, 1:]
    crossed = both & (frames[:, :-1] < frames[:, 1:])
    low, high = np.array(ranges).T
    outside = sounding & ((frames < low) | (frames > high))
    share = crossed.any(axis=1).mean()
    excess = np.bincount(owner, crossed.any(axis=1) - share)  # of each piece, whose crossings come together
    return {
        "pieces": len(pieces),
        "frames": len(frames),
        "frames_with_a_crossing": round(float(share), 5),
        "standard_error": round(float(np.sqrt((excess**2).sum()) / len(frames)), 5),
        "crossed_pairs": round(float(crossed.sum() / both.sum()), 5),
        "notes_out_of_range": round(float(outside.sum() / sounding.sum()), 5),
    }


def voice_ranges(pieces: list[Chorale]) -> list[tuple[int, int]]:
    """Return the lowest and highest note of each voice."""
    frames = np.array([frame for piece in pieces for frame in piece])
    return [(int(v[v >= 0].min()), int(v.max())) for v in frames.T]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 0.9])
    parser.add_argument("train", nargs="*", help="options of seqgen train")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": describe_machine(), "published": PUBLISHED}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["SEQGEN_CACHE"] = str(folder / "cache")
        corpus, model = quarters(folder), options.model
        if model is None:
            model = folder / "model"
            recipe = ["--config", str(ROOT / "recipes" / "jsb-chorales.yaml"), *options.train]
            command = [sys.executable, "-m", "seqgen", "train", str(corpus), "-o", str(model), *recipe]
            subprocess.run(command, check=True)
        last = json.loads((model / "history.jsonl").read_text().splitlines()[-1])
        result |= {"train_seconds": last["seconds"], "epochs": last["epoch"]}
        result |= {part: score(model, corpus, part) for part in ("valid", "test")}
        bach = json.loads(corpus.read_text())
        everything = [piece for part in ("train", "valid", "test") for piece in bach[part]]
        ranges = voice_ranges(everything)
        result["ranges"] = ranges
        result["bach"] = keeping_places(everything, ranges)
        result["samples"] = {
            temperature: keeping_places(sample(model, options.count, temperature), ranges)
            for temperature in options.temperatures
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

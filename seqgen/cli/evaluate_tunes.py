"""What `seqgen evaluate` adds for music: bits per quarter note, and sampled tunes beside the corpus."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from seqgen.cli.console import notice

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.music.pieces import Piece

SEED = 0
LENGTH = 2000


def pieces_of(index: "TokenIndex", part: str) -> "list[Piece]":
    """Return the documents of a part of an index of music as pieces."""
    from seqgen.sampling.outputs import make_piece

    tokens = index.tokens(part)
    edges = pairwise(index.documents(part).tolist())
    return [make_piece(index.tokenizer, tokens[start:stop].tolist(), "") for start, stop in edges]


def quarters_of(index: "TokenIndex", part: str) -> dict[str, int]:
    """Return how many quarter notes a part lasts, repeats not played out; nothing for text."""
    if index.tokenizer.modality != "music":
        return {}
    return {"quarters": round(sum(piece.duration for piece in pieces_of(index, part)))}


def compare_samples(
    artifact: "Artifact", index: "TokenIndex", others: "list[Piece]", part: str, *, count: int
) -> dict[str, Any]:
    """Draw tunes and return their figures, beside those of tunes of the corpus.

    Args:
        artifact: The model.
        index: Of the corpus that it was trained on.
        others: Tunes that it was not trained on.
        part: What these are called.
        count: How many tunes to draw.
    """
    from seqgen.evaluation.music import compare, profile
    from seqgen.sampling.engine import SampleConfig, Sampler
    from seqgen.sampling.events import collect
    from seqgen.sampling.outputs import make_piece

    notice(f"drawing {count:,} tunes")
    sampler = Sampler(artifact, exact=True)
    drawn = list(collect(sampler.generate(SampleConfig(count=count, length=LENGTH, seed=SEED))))
    pieces = [make_piece(artifact.tokenizer, sample.tokens, "") for sample in drawn]
    known = pieces_of(index, "train")
    known_profile = profile(known)
    return {
        "seed": SEED,
        "cut": sum(sample.reason == "length" for sample in drawn),
        "drawn": compare(pieces, known, known_profile),
        part: compare(others, known, known_profile),
    }


def sample_rows(record: dict[str, Any]) -> dict[str, str]:
    """Return the rows of the table: each figure of the drawn tunes, then of those of the corpus."""
    (part,) = (name for name, value in record.items() if isinstance(value, dict) and name != "drawn")
    cut = f", {record['cut']} cut at {LENGTH:,} tokens" if record["cut"] else ""
    count = f"{record['drawn']['pieces']:,} (seed {record['seed']}{cut})"
    labels = {
        "pitch_classes_js_bits": "pitch classes, JS bits",
        "durations_js_bits": "durations, JS bits",
        "in_key_rate": "notes in key",
        "bar_validity": "bars that add up",
        "new_runs_of_4": "new runs of 4 notes",
        "new_runs_of_8": "new runs of 8 notes",
    }
    return {"drawn tunes": count} | {
        label: f"{_shown(field, record['drawn'][field])} ({part} {_shown(field, record[part][field])})"
        for field, label in labels.items()
    }


def _shown(field: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if field.endswith("bits") else f"{value:.1%}"

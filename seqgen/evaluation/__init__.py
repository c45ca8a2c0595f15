"""How well a model predicts: as it stands, or while it adapts to what it reads."""

from seqgen.evaluation.losses import (
    Score,
    bits_per_unit,
    evaluate,
    read_batches,
    restore_model,
    stream_losses,
    total_score,
    units_of,
)

__all__ = [
    "Score",
    "bits_per_unit",
    "evaluate",
    "read_batches",
    "restore_model",
    "stream_losses",
    "total_score",
    "units_of",
]

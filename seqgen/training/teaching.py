"""Soft targets: what else might have come, by n-grams or by other models, so that a network overfits less.

Teachers (Hinton et al. 2015, "Distilling the knowledge in a neural network") are models of the same corpus,
each trained on all of its training part but one fold. They tell what they expect of the fold that they have
not seen: of text that a model has learned by heart it would say no more than the text itself.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Artifact, load_artifact
from seqgen.config import TrainingConfig
from seqgen.data.batches import Integers, segments
from seqgen.data.folds import Fold, parse_fold
from seqgen.data.left_out import LeftOutNgrams
from seqgen.errors import ConfigError
from seqgen.evaluation.losses import read_segments, restore_model
from seqgen.kernels.recurrent import choose_precision

if TYPE_CHECKING:
    from seqgen.training.loop import Corpus

PROTOCOL = "chunks:1024"
"""How teachers read: many pieces side by side, each after a warm-up."""
MOST_BYTES = 4e9
"""Of their predictions, which are held in memory."""
NUMBER_BYTES = 2


class Expectations(Protocol):
    """Distributions of the token at each place of the training stream."""

    def rows(self, places: Integers) -> NDArray[np.float32]:
        """Return those at some places, (...) -> (..., V); any of place IGNORED."""


class SoftTargets(NamedTuple):
    """What part of each target is spread over other tokens, and how.

    Attributes:
        sources: Shares of the target and what spreads them; None spreads evenly.
    """

    sources: tuple[tuple[float, Expectations | None], ...]

    @property
    def share(self) -> float:
        """Of the target that is spread at all."""
        return sum(share for share, _ in self.sources)

    def spread(self, positions: Integers) -> NDArray[np.float32] | None:
        """Return what targets at positions of the stream are spread by, (T, B, V); None for evenly."""
        told = [(share, source.rows(positions)) for share, source in self.sources if source is not None]
        if not told:
            return None
        if len(told) == 1:
            return told[0][1]
        mixed: NDArray[np.float32] = told[0][1] * np.float32(told[0][0] / self.share)
        for share, rows in told[1:]:
            mixed += np.float32(share / self.share) * rows
        return mixed


def soft_targets(
    index: "Corpus", tokens: NDArray[np.unsignedinteger], settings: TrainingConfig, device: torch.device
) -> SoftTargets:
    """Return how the targets of a training are to be spread; n-grams are counted and teachers asked now.

    Args:
        index: The token index.
        tokens: What of its training part is trained on, (N,).
        settings: Of the training.
        device: Where teachers compute.

    Raises:
        ConfigError: If the stream or the vocabulary is too large, or the teachers do not suit it.
        ArtifactError: If a teacher cannot be read.
    """
    sources: list[tuple[float, Expectations | None]] = []
    if settings.label_smoothing:
        sources.append((settings.label_smoothing, None))
    if settings.ngram_smoothing:
        ngrams = LeftOutNgrams(tokens, len(index.tokenizer.tokens))
        sources.append((settings.ngram_smoothing, ngrams))
    if settings.teachers:
        teachers = [load_artifact(Path(path)) for path in settings.teachers]
        sources.append((settings.distillation, Teachers(index, teachers, device, settings.precision)))
    return SoftTargets(tuple(sources))


class Teachers:
    """What models expect at each place of the fold that they have not seen; those of one fold are averaged.

    Args:
        index: The token index, of which the whole training part is to be covered.
        teachers: The models.
        device: Where they compute.
        precision: As in `--precision`.

    Raises:
        ConfigError: If a teacher is of another corpus or vocabulary or has seen all, a fold has no teacher,
            or what they expect would take too much memory.
    """

    def __init__(
        self, index: "Corpus", teachers: Sequence[Artifact], device: torch.device, precision: str
    ) -> None:
        self._device, self._precision = device, choose_precision(device, precision)
        tokens, vocab_size = index.tokens("train"), len(index.tokenizer.tokens)
        needed = expected_bytes(len(tokens), vocab_size)
        if needed > MOST_BYTES:
            raise ConfigError(
                f"--teacher: what they expect of {len(tokens):,} tokens of {vocab_size:,} kinds takes "
                f"{needed / 1e9:.1f} GB, and {MOST_BYTES / 1e9:g} GB are the most; train without"
            )
        folds = _folds_of(index, teachers)
        self._expected = np.zeros((len(tokens), vocab_size), np.float16)
        for teacher, fold in zip(teachers, folds, strict=True):
            self._ask(index, teacher, fold, 1 / folds.count(fold))

    def _ask(self, index: "Corpus", teacher: Artifact, fold: Fold, weight: float) -> None:
        """Add what a teacher expects of its fold."""
        tokens = index.tokens("train")
        span = fold.span(len(tokens))
        edges = np.unique(np.clip(np.append(index.documents("train"), span), *span))
        model = restore_model(teacher, self._device.type)
        for reading in read_segments(model, tokens, segments(edges, PROTOCOL), precision=self._precision):
            with torch.inference_mode():
                probs = weight * torch.softmax(model.logits(reading.features), dim=1)
            self._expected[reading.positions] += probs.cpu().numpy().astype(np.float16)

    def rows(self, places: Integers) -> NDArray[np.float32]:
        """Return the distributions at places of the training part, (...) -> (..., V)."""
        rows: NDArray[np.float32] = self._expected[places].astype(np.float32)
        rows /= rows.sum(axis=-1, keepdims=True)  # which half precision leaves a little off 1
        return rows


def expected_bytes(tokens: int, vocab_size: int) -> int:
    """Return the memory that what teachers expect of a stream takes."""
    return NUMBER_BYTES * tokens * vocab_size


def _folds_of(index: "Corpus", teachers: Sequence[Artifact]) -> list[Fold]:
    """Return the folds that teachers have left out, all there are."""
    folds = []
    for teacher in teachers:
        path, fold = teacher.path, teacher.config.training.fold
        if teacher.config.task != "lm" or teacher.source.get("index_hash") != index.content_hash:
            raise ConfigError(f"{path}: is of another corpus, vocabulary or split; teachers are of this one")
        if fold is None:
            raise ConfigError(f"{path}: has seen all of the text; train a teacher with --fold K/N")
        folds.append(parse_fold(fold))
        if folds[-1].of != folds[0].of:
            raise ConfigError(f"{path}: left out {fold}, but {teachers[0].path} {folds[0]}; use one N")
    for number in range(1, folds[0].of + 1):
        wanted = Fold(number, folds[0].of)
        if wanted not in folds:
            raise ConfigError(f"--teacher: none left out {wanted}; train one more with --fold {wanted}")
    return folds

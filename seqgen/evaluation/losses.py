"""Losses and what follows from them: perplexity, bits per character, byte and note.

A score is only comparable with another of the same protocol, so every score names its own.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.artifacts import Artifact
from seqgen.data.batches import IGNORED, Batch, Integers, Segment, evaluation_batches, segments
from seqgen.networks.tasks import LanguageModel
from seqgen.networks.weights import with_weights
from seqgen.runtime import choose_device

MAX_ROWS = 256
TOKENS_AT_ONCE = 8192

Losses = tuple[Integers, NDArray[np.float32]]
"""Positions in a stream and the losses of the tokens there, in nats."""


class Reading(NamedTuple):
    """What a model made of N tokens of a stream.

    Attributes:
        positions: Where they stand in the stream, (N,).
        losses: Their cross-entropies in nats, (N,).
        features: What the output layer predicted them from, (N, H), on the model's device.
    """

    positions: Integers
    losses: NDArray[np.float32]
    features: Tensor


def restore_model(artifact: Artifact, device: str = "auto") -> LanguageModel:
    """Load an artifact's weights into its network, in evaluation mode.

    Args:
        artifact: The model directory.
        device: As in `--device`.
    """
    model = LanguageModel(artifact.config.model, len(artifact.tokenizer.tokens))
    return with_weights(model, artifact.weights()).to(choose_device(device))


def units_of(counts: Mapping[str, int]) -> dict[str, int]:
    """Pick from an index's counts what a loss can be expressed per."""
    return {name: counts[name] for name in ("chars", "bytes", "notes") if counts.get(name)}


def bits_per_unit(total_nats: float, units: int) -> float:
    """Convert a total loss to bits per unit (character, byte, note), which compares across tokenizers.

    Raises:
        ValueError: If `units` is 0.
    """
    if units == 0:
        raise ValueError("bits per unit of nothing")
    return total_nats / math.log(2) / units


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well a model predicts a stream.

    Attributes:
        protocol: `carried` or `windows:N`, see `seqgen.data.batches.segments`; where the model adapted as it
            read, followed by how, such as `carried+cache`.
        tokens: Tokens charged, each once, ends of documents included.
        loss_nats: Mean cross-entropy per token.
        units: What the tokens stand for, by name: chars, bytes, notes.
    """

    protocol: str
    tokens: int
    loss_nats: float
    units: Mapping[str, int]

    @property
    def perplexity(self) -> float:
        """Exponential of the mean loss."""
        return math.exp(min(self.loss_nats, 700.0))

    @property
    def bits(self) -> dict[str, float]:
        """Bits per unit, by the unit's name in the plural."""
        total = self.loss_nats * self.tokens
        return {name: bits_per_unit(total, count) for name, count in self.units.items() if count}

    @property
    def merit(self) -> float:
        """What is to be as large as possible: minus the loss."""
        return -self.loss_nats

    @property
    def summary(self) -> str:
        """What to tell of it while training."""
        return f"valid {self.loss_nats:.4f}"

    def record(self) -> dict[str, Any]:
        """Return everything as plain values, rounded to what is meaningful."""
        plain = {**asdict(self), "units": dict(self.units)}
        plain["loss_nats"] = round(self.loss_nats, 5)
        plain["perplexity"] = round(self.perplexity, 4)
        plain["bits_per"] = {name.removesuffix("s"): round(bits, 5) for name, bits in self.bits.items()}
        return plain


def read_batches(
    model: LanguageModel, batches: Iterable[Batch], *, precision: torch.dtype = torch.float32
) -> Iterator[Reading]:
    """Read batch by batch, as the model stands.

    State is carried from batch to batch; rows that begin anew say so in the batch.
    """
    device = model.embedding.weight.device
    was_training = model.training
    model.eval()
    state = None
    try:
        for batch in batches:
            inputs, targets, resets = (torch.from_numpy(array).to(device) for array in batch[:3])
            with torch.inference_mode():
                if state is None:
                    state = model.initial_state(inputs.shape[1])
                features, state = model(inputs, state, resets, precision=precision)
                losses = model.losses(features, targets, precision=precision)
            yield charged_tokens(batch, losses, features)
    finally:
        model.train(was_training)


def charged_tokens(batch: Batch, losses: Tensor, features: Tensor) -> Reading:
    """Pick the charged tokens of a batch from its losses (T, B) and features (T, B, H)."""
    charged = batch.targets != IGNORED
    chosen = features[torch.from_numpy(charged).to(features.device)]  # (T, B, H) -> (N, H)
    return Reading(batch.positions[charged], losses.float().cpu().numpy()[charged], chosen)


def stream_losses(
    model: LanguageModel,
    tokens: NDArray[np.unsignedinteger],
    parts: Sequence[Segment],
    *,
    precision: torch.dtype = torch.float32,
) -> Iterator[Losses]:
    """Yield the losses of segments of a stream, side by side so that rows share each matrix product.

    A single long row shares its products with the input and with the output layer over all its steps.
    """
    for reading in read_segments(model, tokens, parts, precision=precision):
        yield reading.positions, reading.losses


def read_segments(
    model: LanguageModel,
    tokens: NDArray[np.unsignedinteger],
    parts: Sequence[Segment],
    *,
    precision: torch.dtype = torch.float32,
) -> Iterator[Reading]:
    """Read segments of a stream, as the model stands; a single one is read in order."""
    rows = _count_rows(parts)
    batches = evaluation_batches(tokens, parts, max_rows=rows, steps=max(1, TOKENS_AT_ONCE // rows))
    return read_batches(model, batches, precision=precision)


def _count_rows(parts: Sequence[Segment]) -> int:
    """Return how many rows read segments in little more steps than the longest of them takes."""
    lengths = [len(part) for part in parts] or [1]
    useful = -(-sum(lengths) // max(lengths))  # more rows would wait for the longest segment
    return -(-useful // -(-useful // MAX_ROWS))


def evaluate(
    model: LanguageModel,
    tokens: NDArray[np.unsignedinteger],
    documents: Integers,
    *,
    protocol: str = "carried",
    units: Mapping[str, int] | None = None,
    precision: torch.dtype = torch.float32,
) -> Score:
    """Score a model on a stream of documents, charging every token exactly once.

    Args:
        model: The model.
        tokens: The stream, (N,).
        documents: Start offsets of the documents and the end, (D + 1,).
        protocol: See `seqgen.data.batches.segments`.
        units: What the tokens stand for, by name.
        precision: Of the matrix products.
    """
    losses = stream_losses(model, tokens, segments(documents, protocol), precision=precision)
    return total_score(losses, protocol=protocol, units=units)


def gather(losses: Iterable[Losses], count: int) -> NDArray[np.float32]:
    """Return the losses of a stream of `count` tokens in one array, in nats, (N,)."""
    nats = np.zeros(count, dtype=np.float32)
    for positions, values in losses:
        nats[positions] = values
    return nats


def total_score(losses: Iterable[Losses], *, protocol: str, units: Mapping[str, int] | None = None) -> Score:
    """Add up the losses of a stream."""
    total, count = 0.0, 0
    for _, values in losses:
        total += float(values.sum(dtype=np.float64))
        count += len(values)
    return Score(protocol=protocol, tokens=count, loss_nats=total / max(count, 1), units=dict(units or {}))

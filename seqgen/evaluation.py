"""Losses and what follows from them: perplexity, bits per character, byte and note.

A score is only comparable with another of the same protocol, so every score names its own.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.data.batches import EOS, IGNORED, Batch, Integers, Segment, evaluation_batches, segments
from seqgen.kernels.decode import Decoder
from seqgen.networks.tasks import LanguageModel
from seqgen.runtime import choose_device

MAX_ROWS = 64
STEPS = 128
FEW_ROWS = 6

Losses = tuple[Integers, NDArray[np.float32]]
"""Positions in a stream and the losses of the tokens there, in nats."""


def restore_model(artifact: Artifact, device: str = "auto") -> LanguageModel:
    """Load an artifact's weights into its network, in evaluation mode.

    Args:
        artifact: The model directory.
        device: As in `--device`.
    """
    model = LanguageModel(artifact.config.model, len(artifact.tokenizer.tokens))
    weights = artifact.weights()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    return model.to(choose_device(device)).eval()


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
        protocol: `carried` or `windows:N`; see `seqgen.data.batches.segments`.
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

    def record(self) -> dict[str, Any]:
        """Return everything as plain values, rounded to what is meaningful."""
        plain = {**asdict(self), "units": dict(self.units)}
        plain["loss_nats"] = round(self.loss_nats, 5)
        plain["perplexity"] = round(self.perplexity, 4)
        plain["bits_per"] = {name.removesuffix("s"): round(bits, 5) for name, bits in self.bits.items()}
        return plain


def batch_losses(
    model: LanguageModel, batches: Iterable[Batch], *, precision: torch.dtype = torch.float32
) -> Iterator[Losses]:
    """Yield, batch by batch, the positions of the charged tokens and their losses in nats, both 1-D.

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
            charged = batch.targets != IGNORED
            yield batch.positions[charged], losses.float().cpu().numpy()[charged]
    finally:
        model.train(was_training)


def stream_losses(
    model: LanguageModel,
    tokens: NDArray[np.unsignedinteger],
    parts: Sequence[Segment],
    *,
    precision: torch.dtype = torch.float32,
) -> Iterator[Losses]:
    """Yield the losses of segments of a stream, by whichever path is faster: see `batch_losses`.

    Side by side, many rows share each matrix product. A few long rows, such as one long text with its state
    carried, leave nothing to share: then the sampler's compiled loop reads them one after the other.
    """
    if len(parts) < FEW_ROWS and model.embedding.weight.device.type == "cpu":
        yield from _row_losses(model, tokens, parts)
    else:
        batches = evaluation_batches(tokens, parts, max_rows=MAX_ROWS, steps=STEPS)
        yield from batch_losses(model, batches, precision=precision)


def _row_losses(
    model: LanguageModel, tokens: NDArray[np.unsignedinteger], parts: Sequence[Segment]
) -> Iterator[Losses]:
    weights = {name: parameter.detach().float().numpy() for name, parameter in model.named_parameters()}
    decoder = Decoder(weights, cell=model.encoder.cell)
    for part in parts:
        before = int(tokens[part.begin - 1]) if part.begin else EOS
        losses = decoder.losses(tokens[part.begin : part.stop], before=before)
        yield np.arange(part.start, part.stop), losses[part.start - part.begin :].astype(np.float32)


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
    total, count = 0.0, 0
    for _, losses in stream_losses(model, tokens, segments(documents, protocol), precision=precision):
        total += float(losses.sum(dtype=np.float64))
        count += len(losses)
    return Score(protocol=protocol, tokens=count, loss_nats=total / max(count, 1), units=dict(units or {}))

"""Dynamic evaluation (Krause et al. 2018): the model goes on learning from what it reads.

A segment of the stream is scored first; then one gradient step is taken on its mean loss, with a pull back to
the weights θ₀ that training left. With gradient g, rate η and decay λ:

    sgd:  θ ← θ - η · g + λ · (θ₀ - θ)
    rms:  θ ← θ - η · g / (r + ε) + min(1, λ · r / mean(r)) · (θ₀ - θ)

where r is the root mean square of each weight's gradient over batches of the training part. The state is
carried on, as the weights that were in force when it was computed made it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.data.batches import Batch, Segment, TrainingBatches, evaluation_batches
from seqgen.evaluation.losses import Reading, charged_tokens
from seqgen.networks.tasks import LanguageModel

Update = Literal["rms", "sgd"]

SEGMENT = 20
STATISTICS_ROWS = 64
STATISTICS_BATCHES = 64
EPSILON = 0.1
"""In units of mean(r), so that it suits any scale of gradients."""


@dataclass(frozen=True, kw_only=True)
class DynamicConfig:
    """How a model learns from what it reads.

    Attributes:
        update: `rms`, scaled by the gradients of training, or plain `sgd`.
        segment: How many tokens are scored before each step.
        rate: η.
        decay: λ.
    """

    update: Update = "rms"
    segment: int = SEGMENT
    rate: float
    decay: float

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def gradient_scales(
    model: LanguageModel, tokens: NDArray[np.unsignedinteger], *, segment: int = SEGMENT
) -> list[Tensor]:
    """Return the root mean square of each weight's gradient, parameter by parameter.

    Args:
        model: The model, as trained.
        tokens: The training part, (N,).
        segment: Steps of a batch.

    Raises:
        ValueError: If the training part is empty.
    """
    rows = max(1, min(STATISTICS_ROWS, len(tokens) // segment))
    batches = TrainingBatches(tokens, batch_size=rows, bptt=segment)
    sums = [torch.zeros_like(parameter) for parameter in model.parameters()]
    count = min(STATISTICS_BATCHES, len(batches))
    for _, gradients in _read_and_differentiate(model, (batches[number] for number in range(count))):
        for total, gradient in zip(sums, gradients, strict=True):
            total.addcmul_(gradient, gradient)
    return [total.div_(count).sqrt_() for total in sums]


def read_dynamically(
    model: LanguageModel,
    tokens: NDArray[np.unsignedinteger],
    config: DynamicConfig,
    scales: Sequence[Tensor] | None = None,
) -> Iterator[Reading]:
    """Read a stream in order, learning from each segment once it is scored; the model ends as it began.

    Args:
        model: The model.
        tokens: The stream, (N,).
        config: How to learn.
        scales: From `gradient_scales`; needed by `rms`.
    """
    batches = evaluation_batches(tokens, [Segment(0, 0, len(tokens))], max_rows=1, steps=config.segment)
    with _restored(model) as originals:
        steps, pulls = _step_sizes(model, config, scales)
        for reading, gradients in _read_and_differentiate(model, batches):
            yield reading
            parameters = zip(model.parameters(), originals, gradients, steps, pulls, strict=True)
            with torch.no_grad():
                for parameter, original, gradient, step, pull in parameters:
                    parameter.lerp_(original, pull).addcmul_(gradient, step, value=-1)


def _read_and_differentiate(
    model: LanguageModel, batches: Iterable[Batch]
) -> Iterator[tuple[Reading, list[Tensor]]]:
    """Read batch by batch, state carried; yield also each parameter's gradient of the batch's mean loss."""
    device = model.embedding.weight.device
    was_training = model.training
    model.eval()
    state = None
    try:
        for batch in batches:
            inputs, targets, resets = (torch.from_numpy(array).to(device) for array in batch[:3])
            if state is None:
                state = model.initial_state(inputs.shape[1])
            model.zero_grad()
            features, state = model(inputs, state, resets)
            with torch.no_grad():
                losses = model.losses(features, targets)
            model.mean_loss(features, targets).backward()  # type: ignore[no-untyped-call]
            state = model.encoder.detach(state)
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
            yield charged_tokens(batch, losses, features.detach()), gradients
    finally:
        model.zero_grad()
        model.train(was_training)


@contextmanager
def _restored(model: LanguageModel) -> Iterator[list[Tensor]]:
    """Lend a copy of the weights, and put it back at the end."""
    originals = [parameter.detach().clone() for parameter in model.parameters()]
    try:
        yield originals
    finally:
        with torch.no_grad():
            for parameter, original in zip(model.parameters(), originals, strict=True):
                parameter.copy_(original)


def _step_sizes(
    model: LanguageModel, config: DynamicConfig, scales: Sequence[Tensor] | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return what each weight's gradient and its distance from θ₀ are multiplied with."""
    if config.update == "sgd":
        ones = [torch.ones((), device=parameter.device) for parameter in model.parameters()]
        return [one * config.rate for one in ones], [one * config.decay for one in ones]
    if scales is None:
        raise ValueError("rms needs the scales of the gradients")
    mean = sum(float(scale.sum()) for scale in scales) / sum(scale.numel() for scale in scales)
    steps = [config.rate / (scale + EPSILON * mean) for scale in scales]
    return steps, [(scale * (config.decay / mean)).clamp(max=1.0) for scale in scales]

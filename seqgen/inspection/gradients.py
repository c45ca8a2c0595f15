"""How far back a loss is felt: the norm of its gradient with respect to earlier states.

With L(t) the loss of the token after step t, the norm of dL(t)/dh(t-k), h of all layers together, is computed
exactly by autograd (Bengio et al. 1994; Hochreiter and Schmidhuber 1997). Where each step back multiplies it
by about the same factor, the gradient vanishes (below 1) or explodes (above 1) exponentially.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.data.batches import Integers
from seqgen.errors import CorpusError
from seqgen.inspection.unrolled import LayerStep, unroll
from seqgen.networks.tasks import LanguageModel

NEAR = 10
WARM_UP = 32

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GradientFlow:
    """Norms of gradients by distance, means over places of a corpus.

    Attributes:
        hidden: Of dL(t)/dh(t-k) for k from 0, (K + 1,).
        memory: Of dL(t)/dc(t-k), of an LSTM alone.
        places: How many places t.
    """

    hidden: Floats
    memory: Floats | None
    places: int

    @property
    def near(self) -> float:
        """The factor of a step back over the first steps."""
        return factor_per_step(self.hidden, 1, min(NEAR, len(self.hidden) - 1))

    @property
    def far(self) -> float:
        """The factor of a step back over the rest."""
        return factor_per_step(self.hidden, min(NEAR, len(self.hidden) - 2), len(self.hidden) - 1)

    def record(self) -> Mapping[str, Any]:
        """Return everything as plain values."""
        return {
            "places": self.places,
            "factor_per_step": {"near": self.near, "far": self.far},
            "hidden": self.hidden.tolist(),
            "memory": None if self.memory is None else self.memory.tolist(),
        }


def gradient_flow(
    model: LanguageModel,
    tokens: NDArray[np.unsignedinteger],
    documents: Integers,
    *,
    distance: int,
    places: int,
    scale: float = 1.0,
) -> GradientFlow:
    """Measure how the gradient flows back.

    Args:
        model: Of plain recurrent cells.
        tokens: The stream, (N,).
        documents: Start offsets of the documents and the end, (D + 1,).
        distance: K.
        places: How many places of the stream to average over, spread evenly.
        scale: What the recurrent weights are multiplied by.

    Raises:
        CorpusError: If no document is long enough.
        ConfigError: If the model's cells are others.
    """
    starts = _spread(documents, WARM_UP + distance + 2, places)
    spans = starts[:, None] + np.arange(WARM_UP + distance + 2)
    read = torch.from_numpy(tokens[spans].astype(np.int64)).t()  # (B, T) -> (T, B)
    steps: list[list[LayerStep]] = []
    for number, step in enumerate(unroll(model, read[:-1], scale=scale)):
        if number >= WARM_UP:
            steps.append(step)
    features = steps[-1][-1].hidden.float().unsqueeze(0)
    loss = model.mean_loss(features, read[-1:]) * len(starts)
    hidden, memory = (
        [getattr(layer, name) for step in steps for layer in step] for name in ("hidden", "memory")
    )
    gradients = torch.autograd.grad(loss, [*hidden, *memory], allow_unused=True, materialize_grads=True)
    by_hidden, by_memory = (
        _norms(part, layers=len(steps[0])) for part in (gradients[: len(hidden)], gradients[len(hidden) :])
    )
    return GradientFlow(by_hidden, None if memory[0] is hidden[0] else by_memory, len(starts))


def _spread(documents: Integers, length: int, count: int) -> Integers:
    """Return `count` starts, or fewer, of spans within single documents, spread evenly."""
    free = np.maximum(np.diff(documents) - length + 1, 0)
    ends = np.cumsum(free)
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        longest = int(np.diff(documents).max(initial=0))
        raise CorpusError(
            f"no document has the {length} tokens this takes, the longest has {longest}; lower --distance"
        )
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
    document = np.searchsorted(ends, chosen, side="right")
    starts: Integers = documents[document] + chosen - (ends - free)[document]
    return starts


def _norms(gradients: tuple[Tensor, ...], *, layers: int) -> Floats:
    """Return the norms by distance, from gradients by step and layer, each (B, H)."""
    steps = [
        torch.cat(gradients[first : first + layers], dim=1) for first in range(0, len(gradients), layers)
    ]
    norms = [float(step.norm(dim=1).mean()) for step in reversed(steps)]
    return np.array(norms)


def factor_per_step(norms: Floats, first: int, last: int) -> float:
    """Fit norms over distances `first` to `last` by a line in the logarithm; return e**slope."""
    distances = np.arange(first, last + 1)
    values = norms[first : last + 1]
    usable = (values > 0) & np.isfinite(values)
    if usable.sum() < 2:
        return math.nan
    return float(np.exp(np.polyfit(distances[usable], np.log(values[usable]), 1)[0]))

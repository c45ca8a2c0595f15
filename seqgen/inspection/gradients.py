"""How far back a loss is felt: the norm of its gradient with respect to earlier states.

With L(t) the loss of the token after step t, the norm of dL(t)/dh(t-k), h of all layers together, is computed
exactly by autograd (Bengio et al. 1994; Hochreiter and Schmidhuber 1997). Where each step back multiplies it
by about the same factor, the gradient vanishes (below 1) or explodes (above 1) exponentially.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.data.batches import Integers
from seqgen.errors import CorpusError
from seqgen.networks.tasks import LanguageModel
from seqgen.networks.unrolled import LayerStep, unroll

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

    @property
    def memory_far(self) -> float | None:
        """The factor of a step back over the rest, of dL(t)/dc(t-k)."""
        if self.memory is None:
            return None
        return factor_per_step(self.memory, min(NEAR, len(self.memory) - 2), len(self.memory) - 1)

    def lines(self, name: str) -> dict[str, list[float]]:
        """Return what is drawn of it, by label."""
        lines = {name: self.hidden.tolist()}
        if self.memory is not None:
            lines[f"{name}, cell state c"] = self.memory.tolist()
        return lines

    def record(self) -> Mapping[str, Any]:
        """Return everything as plain values."""
        return {
            "places": self.places,
            "factor_per_step": {"near": self.near, "far": self.far, "memory_far": self.memory_far},
            "decades_per_step": {"near": decades(self.near), "far": decades(self.far)},
            "hidden": self.hidden.tolist(),
            "memory": None if self.memory is None else self.memory.tolist(),
        }


def read_places(
    tokens: NDArray[np.unsignedinteger], documents: Integers, *, distance: int, places: int
) -> Tensor:
    """Return what is read and, last, predicted at places spread evenly over a stream, (T + 1, B).

    Raises:
        CorpusError: If no document is long enough.
    """
    starts = _spread(documents, WARM_UP + distance + 2, places)
    spans = starts[:, None] + np.arange(WARM_UP + distance + 2)
    return torch.from_numpy(tokens[spans].astype(np.int64)).t()  # (B, T + 1) -> (T + 1, B)


def flow_back(model: LanguageModel, read: Tensor, *, distance: int, scale: float = 1.0) -> GradientFlow:
    """Measure how the gradient of the loss of the last token flows back.

    Args:
        model: Of plain recurrent cells.
        read: Tokens (T + 1, B), the last of them predicted alone; T is at least `distance` + 1.
        distance: K.
        scale: What the recurrent weights are multiplied by.
    """
    steps: list[list[LayerStep]] = []
    for number, step in enumerate(unroll(model, read[:-1], scale=scale)):
        if number >= len(read) - 2 - distance:
            steps.append(step)
    places = read.shape[1]
    loss = model.mean_loss(steps[-1][-1].hidden.float().unsqueeze(0), read[-1:]) * places
    hidden, memory = (
        [getattr(layer, name) for step in steps for layer in step] for name in ("hidden", "memory")
    )
    gradients = torch.autograd.grad(loss, [*hidden, *memory], allow_unused=True, materialize_grads=True)
    by_hidden, by_memory = (
        _norms(part, layers=len(steps[0])) for part in (gradients[: len(hidden)], gradients[len(hidden) :])
    )
    return GradientFlow(by_hidden, None if memory[0] is hidden[0] else by_memory, places)


@dataclass(frozen=True)
class DescentStep:
    """What one step of gradient descent does to the loss that it is taken on, with and without clipping.

    Attributes:
        gradient_norm: Of all weights together.
        loss_before: In nats, as the others.
        loss_after: Of a step along the gradient as it is.
        loss_after_clipped: Of a step along the gradient scaled down to a norm of `clip_norm` at most.
        clip_norm: The bound.
        learning_rate: Of the steps.
    """

    gradient_norm: float
    loss_before: float
    loss_after: float
    loss_after_clipped: float
    clip_norm: float
    learning_rate: float

    @property
    def clipped_share(self) -> float:
        """What clipping multiplies the gradient by, 1 where it is small enough."""
        return min(1.0, self.clip_norm / max(self.gradient_norm, 1e-300))


def descend(
    model: LanguageModel, read: Tensor, *, clip_norm: float, learning_rate: float, scale: float = 1.0
) -> DescentStep:
    """Take a step of gradient descent on the loss of the last token, and another one clipped.

    Args:
        model: Of plain recurrent cells; it stays as it is.
        read: Tokens (T + 1, B), the last of them predicted alone.
        clip_norm: Above which a gradient is scaled down (Pascanu, Mikolov and Bengio 2013).
        learning_rate: What the gradient is multiplied by.
        scale: What the recurrent weights are multiplied by first.
    """

    def loss() -> Tensor:
        *_, last = unroll(trial, read[:-1])
        return trial.mean_loss(last[-1].hidden.float().unsqueeze(0), read[-1:])

    trial = deepcopy(model)
    own = list(trial.parameters())
    in_float32 = {id(parameter) for parameter in trial.head.parameters()}
    for parameter in own:  # a gradient that explodes leaves the range of float32 in some forty steps
        if id(parameter) not in in_float32:
            parameter.data = parameter.data.double()
    with torch.no_grad():
        for name, parameter in trial.named_parameters():
            parameter.mul_(scale if name.endswith("weight_hh") else 1.0)
    before = loss()
    gradients = [gradient.double() for gradient in torch.autograd.grad(before, own)]
    norm = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
    after: list[float] = []
    start = [parameter.detach().double().clone() for parameter in own]
    for share in (1.0, min(1.0, clip_norm / max(norm, 1e-300))):
        with torch.no_grad():
            for parameter, value, gradient in zip(own, start, gradients, strict=True):
                parameter.copy_(value - learning_rate * share * gradient)
            after.append(float(loss().detach()))
    plain, clipped = after
    return DescentStep(norm, float(before.detach()), plain, clipped, clip_norm, learning_rate)


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


def decades(factor: float) -> float:
    """Return the slope of a line on a decimal logarithmic scale."""
    return math.log10(factor) if factor > 0 else math.nan


def factor_per_step(norms: Floats, first: int, last: int) -> float:
    """Fit norms over distances `first` to `last` by a line in the logarithm; return e**slope."""
    distances = np.arange(first, last + 1)
    values = norms[first : last + 1]
    usable = (values > 0) & np.isfinite(values)
    if usable.sum() < 2:
        return math.nan
    return float(np.exp(np.polyfit(distances[usable], np.log(values[usable]), 1)[0]))

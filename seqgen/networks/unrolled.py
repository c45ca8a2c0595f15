"""A recurrent encoder taken step by step, every gate in sight: slow, plain and differentiable.

The equations are those of torch's layers and of `seqgen.kernels`:

    lstm:  i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b);  c = f c + i g,  h = o tanh(c)
    gru:   r, z = sigmoid(W x + U h + b),  n = tanh(W x + b + r (U h + b'));  h = (1 - z) n + z h
    rnn:   h = tanh(W x + U h + b)
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.errors import ConfigError
from seqgen.kernels.recurrent import LayerWeights
from seqgen.networks.encoders import RecurrentEncoder, RecurrentWeights
from seqgen.networks.stepped import SteppedEncoder
from seqgen.networks.tasks import LanguageModel

SATURATED = 0.1
_GLANCE = (8, 32)


class LayerStep(NamedTuple):
    """What a layer did in one step; every tensor is (B, H).

    Attributes:
        gates: By their names, each within 0 and 1.
        hidden: h.
        memory: c of an LSTM; else h.
    """

    gates: Mapping[str, Tensor]
    hidden: Tensor
    memory: Tensor


def unroll(model: LanguageModel, tokens: Tensor, *, scale: float = 1.0) -> Iterator[list[LayerStep]]:
    """Read tokens from the zero state in float64 and yield what each layer did, step by step.

    Args:
        model: Of plain LSTM, GRU or RNN cells.
        tokens: (T, B); before an EOS all state is zero.
        scale: What the recurrent weights are multiplied by.

    Raises:
        ConfigError: If its cells are others.
    """
    encoder, eos = model.encoder, 0
    if not isinstance(encoder, RecurrentEncoder) or isinstance(encoder, SteppedEncoder):
        raise ConfigError("only plain lstm, gru and rnn cells can be looked into; this model has others")
    weights = [_double(layer, scale) for layer in encoder if isinstance(layer, RecurrentWeights)]
    embedding = model.embedding.weight.double()
    zeros = [embedding.new_zeros(tokens.shape[1], size) for size in encoder.sizes]
    steps = [LayerStep({}, zero, zero) for zero in zeros]
    for read in tokens:
        keep = (read != eos).double().unsqueeze(1)
        below = embedding[read]  # (B,) -> (B, E)
        for number, before in enumerate(steps):
            kept = LayerStep({}, before.hidden * keep, before.memory * keep)
            steps[number] = _STEPS[encoder.cell](below, kept, weights[number])
            below = steps[number].hidden
        yield list(steps)


def gate_saturation(model: LanguageModel, tokens: Tensor) -> dict[str, float]:
    """Return by gate which share of its values is within `SATURATED` of 0 or 1, where it hardly learns.

    Args:
        model: Of plain recurrent cells; a tanh RNN has no gates.
        tokens: (T, B), read from the zero state.
    """
    shares: dict[str, list[float]] = {}
    with torch.inference_mode():
        for layer in (layer for step in unroll(model, tokens) for layer in step):
            for name, gate in layer.gates.items():
                closed_or_open = (gate - 0.5).abs() > 0.5 - SATURATED
                shares.setdefault(name, []).append(float(closed_or_open.double().mean()))
    return {name: sum(values) / len(values) for name, values in shares.items()}


def saturated_share(model: LanguageModel, stream: NDArray[np.unsignedinteger]) -> float | None:
    """Return the share of saturated gates while a little of a stream is read, cheaply.

    Returns:
        None of a stream that is too short and of cells that have no gates or cannot be unrolled.
    """
    rows, steps = _GLANCE
    encoder = model.encoder
    plain = isinstance(encoder, RecurrentEncoder) and not isinstance(encoder, SteppedEncoder)
    if not plain or len(stream) < rows * steps:
        return None
    read = torch.from_numpy(stream[: rows * steps].astype(np.int64)).view(rows, steps).t()
    shares = gate_saturation(model, read.to(model.embedding.weight.device))
    return round(sum(shares.values()) / len(shares), 4) if shares else None


def _double(layer: RecurrentWeights, scale: float) -> LayerWeights:
    weight_ih, weight_hh, bias_ih, bias_hh = (tensor.double() for tensor in layer.tensors())
    return weight_ih, weight_hh * scale, bias_ih, bias_hh


def _shares(below: Tensor, before: LayerStep, weights: LayerWeights) -> tuple[Tensor, Tensor]:
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    return below @ weight_ih.t() + bias_ih, before.hidden @ weight_hh.t() + bias_hh  # -> (B, G·H) each


def _lstm(below: Tensor, before: LayerStep, weights: LayerWeights) -> LayerStep:
    i, f, g, o = torch.add(*_shares(below, before, weights)).chunk(4, dim=1)
    gates = {"input": i.sigmoid(), "forget": f.sigmoid(), "output": o.sigmoid()}
    memory = gates["forget"] * before.memory + gates["input"] * g.tanh()
    return LayerStep(gates, gates["output"] * memory.tanh(), memory)


def _gru(below: Tensor, before: LayerStep, weights: LayerWeights) -> LayerStep:
    from_input, from_hidden = _shares(below, before, weights)
    (r, z, n), (own_r, own_z, own_n) = from_input.chunk(3, dim=1), from_hidden.chunk(3, dim=1)
    gates = {"reset": (r + own_r).sigmoid(), "update": (z + own_z).sigmoid()}
    candidate = (n + gates["reset"] * own_n).tanh()
    hidden = candidate + gates["update"] * (before.hidden - candidate)
    return LayerStep(gates, hidden, hidden)


def _rnn(below: Tensor, before: LayerStep, weights: LayerWeights) -> LayerStep:
    hidden = torch.add(*_shares(below, before, weights)).tanh()
    return LayerStep({}, hidden, hidden)


_STEPS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}

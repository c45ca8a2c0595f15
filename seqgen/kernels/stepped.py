"""Recurrent layers taken step by step, for what a plain recurrence cannot do: mogrified or normalised.

Two options, alone or together, for every cell:

- Mogrifier (Melis, Kočiský, Blunsom 2020): before each step, input x and previous hidden state h gate each
  other for N rounds: in odd rounds x = 2·sigmoid(Q h) ⊙ x, in even ones h = 2·sigmoid(R x) ⊙ h. The gated h
  is what W_hh multiplies. What a GRU interpolates with is h as it was, so that it stays within ±1.
- Layer normalisation (Ba, Kiros, Hinton 2016) of W_ih x and of W_hh h, each over all gates at once, and of an
  LSTM's cell state on its way to the output. A layer's biases are those of the normalisation.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.kernels.recurrent import HAS_NUMBA, is_lone_step
from seqgen.kernels.workspace import Workspace

State = tuple[Tensor, ...]
Round = tuple[Tensor, ...]
"""Q or R of one round: the matrix, or two factors of low rank, the left one first."""

NORM_EPSILON = 1e-5
NONE = torch.empty(0)


class SteppedWeights(NamedTuple):
    """Weights of a layer, in torch's gate order; gains and `bias_c` are empty without layer normalisation."""

    weight_ih: Tensor
    """(G·H, E)."""
    weight_hh: Tensor
    """(G·H, H)."""
    bias_ih: Tensor
    bias_hh: Tensor
    gain_ih: Tensor = NONE
    """(G·H,), as `gain_hh`."""
    gain_hh: Tensor = NONE
    gain_c: Tensor = NONE
    """(H,), as `bias_c`; empty but for an LSTM."""
    bias_c: Tensor = NONE
    rounds: tuple[Round, ...] = ()
    """Q (E, H) and R (H, E) by turns, or their factors (E, K), (K, H) and (H, K), (K, E)."""


def stepped_layer(
    cell: str,
    inputs: Tensor,
    state: State,
    resets: Tensor,
    weights: SteppedWeights,
    *,
    precision: torch.dtype = torch.float32,
    workspace: Workspace | None = None,
) -> tuple[Tensor, State]:
    """Run a layer over all steps, differentiably.

    Args:
        cell: "lstm", "gru" or "rnn" (tanh).
        inputs: (T, B, E).
        state: (h, c) for lstm, (h,) otherwise; each (B, H) float32.
        resets: (T, B) bool; where True, the row's state is zero before that step.
        weights: Of the layer.
        precision: Of the matrix products, float32 or bfloat16; all else is float32.
        workspace: Memory to use again in the next step; give the same object each time.

    Returns:
        The outputs (T, B, H) and the last state.
    """
    if inputs.device.type != "cpu" or not HAS_NUMBA or is_lone_step(len(inputs), precision):
        return stepped_layer_reference(cell, inputs, state, resets, weights, precision=precision)
    from seqgen.kernels.stepped_fused import fused_stepped_layer

    return fused_stepped_layer(
        cell, inputs, state, resets, weights, precision=precision, workspace=workspace or Workspace()
    )


def stepped_layer_reference(
    cell: str,
    inputs: Tensor,
    state: State,
    resets: Tensor,
    weights: SteppedWeights,
    *,
    precision: torch.dtype = torch.float32,
) -> tuple[Tensor, State]:
    """Do as `stepped_layer` on any device, differentiated by autograd."""
    keep = (~resets).unsqueeze(2).to(inputs.dtype)  # (T, B) -> (T, B, 1)
    shared = weights.gain_ih, weights.bias_ih
    incoming = _share(_product(inputs, weights.weight_ih, precision), *shared) if not weights.rounds else None
    outputs = []
    for t in range(inputs.shape[0]):
        state = tuple(part * keep[t] for part in state)
        x, h = _mogrify(inputs[t], state[0], weights.rounds, precision)
        from_input = (
            _share(_product(x, weights.weight_ih, precision), *shared) if incoming is None else incoming[t]
        )
        from_state = _share(_product(h, weights.weight_hh, precision), weights.gain_hh, weights.bias_hh)
        state = _CELLS[cell](from_input, from_state, state, weights)
        outputs.append(state[0])
    return torch.stack(outputs), state


def _product(vectors: Tensor, weight: Tensor, precision: torch.dtype) -> Tensor:
    """Multiply rows with a matrix (R, K); in bfloat16 where that is asked for."""
    if precision == torch.float32:
        return functional.linear(vectors, weight)
    # Cast at each step, because the gradients of a weight cast once would be added up in bfloat16.
    return functional.linear(vectors.to(precision), weight.to(precision)).float()


def _mogrify(
    x: Tensor, h: Tensor, rounds: tuple[Round, ...], precision: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Let input (B, E) and state (B, H) gate each other."""
    for number, factors in enumerate(rounds):
        sums = x if number % 2 else h
        for factor in reversed(factors):
            sums = _product(sums, factor, precision)
        gate = 2 * torch.sigmoid(sums)
        x, h = (x, gate * h) if number % 2 else (gate * x, h)
    return x, h


def _share(sums: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Return one share of the gates: the sums, normalised where there is a gain, and the bias."""
    if len(gain):
        return functional.layer_norm(sums, gain.shape, gain, bias, NORM_EPSILON)
    return sums + bias


def _lstm(from_input: Tensor, from_state: Tensor, state: State, weights: SteppedWeights) -> State:
    i, f, g, o = (from_input + from_state).chunk(4, dim=1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    shown = _share(c, weights.gain_c, weights.bias_c) if len(weights.gain_c) else c
    return torch.sigmoid(o) * torch.tanh(shown), c


def _gru(from_input: Tensor, from_state: Tensor, state: State, weights: SteppedWeights) -> State:
    (r, z, n), (own_r, own_z, own_n) = from_input.chunk(3, dim=1), from_state.chunk(3, dim=1)
    n = torch.tanh(n + torch.sigmoid(r + own_r) * own_n)
    return (n + torch.sigmoid(z + own_z) * (state[0] - n),)


def _rnn(from_input: Tensor, from_state: Tensor, state: State, weights: SteppedWeights) -> State:
    return (torch.tanh(from_input + from_state),)


_CELLS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}

"""Recurrences a reader can check by eye, differentiated by autograd: what the kernels are tested against."""

import torch
from torch import Tensor


def naive_layer(cell, inputs, state, resets, weight_ih, weight_hh, bias_ih, bias_hh):
    """Run a layer step by step, in the type of its inputs."""
    state, outputs = list(state), []
    for t in range(len(inputs)):
        if resets is not None:
            state = [part * (~resets[t]).unsqueeze(1) for part in state]
        from_input = inputs[t] @ weight_ih.t() + bias_ih
        from_state = state[0] @ weight_hh.t() + bias_hh
        state = STEPS[cell](from_input, from_state, state)
        outputs.append(state[0])
    return torch.stack(outputs), tuple(state)


def _lstm(from_input: Tensor, from_state: Tensor, state):
    i, f, g, o = (from_input + from_state).chunk(4, dim=1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return [o.sigmoid() * c.tanh(), c]


def _gru(from_input: Tensor, from_state: Tensor, state):
    (r, z, n), (hr, hz, hn) = from_input.chunk(3, dim=1), from_state.chunk(3, dim=1)
    r, z = (r + hr).sigmoid(), (z + hz).sigmoid()
    return [(1 - z) * (n + r * hn).tanh() + z * state[0]]


def _rnn(from_input: Tensor, from_state: Tensor, state):
    return [(from_input + from_state).tanh()]


STEPS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def random_layer(cell, steps, batch, inputs, hidden, *, seed=0, resets=True):
    """Return (inputs, state, resets, weights) for a layer, with gradients wanted for all but the resets."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale=1.0):
        return (torch.randn(*shape, generator=generator) * scale).requires_grad_()

    rows = GATES[cell] * hidden
    states = tuple(normal(batch, hidden) for _ in range(2 if cell == "lstm" else 1))
    weights = (
        normal(rows, inputs, scale=inputs**-0.5),
        normal(rows, hidden, scale=hidden**-0.5),
        normal(rows, scale=0.1),
        normal(rows, scale=0.1),
    )
    mask = torch.rand(steps, batch, generator=generator) < 0.3 if resets else None
    return normal(steps, batch, inputs), states, mask, weights


def results_and_gradients(layer, cell, inputs, state, resets, weights, dtype=torch.float32, **options):
    """Return all results of a layer and all gradients of their weighted sum, in float64."""
    leaves = [leaf.detach().to(dtype).requires_grad_() for leaf in (inputs, *state, *weights)]
    states = tuple(leaves[1 : 1 + len(state)])
    outputs, last = layer(cell, leaves[0], states, resets, *leaves[1 + len(state) :], **options)
    objective = sum(
        (result * torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view_as(result)).sum()
        for result in (outputs, *last)
    )
    gradients = torch.autograd.grad(objective, leaves)
    return [value.detach().double() for value in (outputs, *last, *gradients)]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return |found - expected| / |expected| by the Euclidean norm, or |found| where 0 is expected."""
    difference, size = (found - expected).detach().norm(), expected.detach().norm()
    return float(difference / (size if size else 1.0))

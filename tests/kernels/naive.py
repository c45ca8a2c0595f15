"""Recurrences a reader can check by eye, differentiated by autograd: what the kernels are tested against."""

import torch
from torch import Tensor


def naive_layer(cell, inputs, state, resets, *weights):
    """Run a layer step by step, in the type of its inputs.

    Weights are W_ih, W_hh and their biases, then for a layer with options the gains of W_ih x, W_hh h and the
    LSTM's cell state and the bias of the last, or four empty tensors, then the mogrifier's Q and R by turns.
    """
    weight_ih, weight_hh, bias_ih, bias_hh, *options = weights
    gain_ih, gain_hh, gain_c, bias_c, *rounds = options or [torch.empty(0)] * 4
    state, outputs = list(state), []
    for t in range(len(inputs)):
        if resets is not None:
            state = [part * (~resets[t]).unsqueeze(1) for part in state]
        x, h = inputs[t], state[0]
        for number, matrix in enumerate(rounds):
            if number % 2 == 0:
                x = 2 * (h @ matrix.t()).sigmoid() * x
            else:
                h = 2 * (x @ matrix.t()).sigmoid() * h
        from_input = normed(x @ weight_ih.t(), gain_ih) + bias_ih
        from_state = normed(h @ weight_hh.t(), gain_hh) + bias_hh
        state = STEPS[cell](
            from_input, from_state, state, lambda c: normed(c, gain_c) + (bias_c if len(bias_c) else 0)
        )
        outputs.append(state[0])
    return torch.stack(outputs), tuple(state)


def normed(values, gain):
    """Normalise rows where there is a gain (Ba et al. 2016)."""
    if not len(gain):
        return values
    deviations = values - values.mean(1, keepdim=True)
    return gain * deviations / (deviations.square().mean(1, keepdim=True) + 1e-5).sqrt()


def _lstm(from_input: Tensor, from_state: Tensor, state, shown):
    i, f, g, o = (from_input + from_state).chunk(4, dim=1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return [o.sigmoid() * shown(c).tanh(), c]


def _gru(from_input: Tensor, from_state: Tensor, state, shown):
    (r, z, n), (hr, hz, hn) = from_input.chunk(3, dim=1), from_state.chunk(3, dim=1)
    r, z = (r + hr).sigmoid(), (z + hz).sigmoid()
    return [(1 - z) * (n + r * hn).tanh() + z * state[0]]


def _rnn(from_input: Tensor, from_state: Tensor, state, shown):
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


def random_options(cell, inputs, hidden, *, rounds=0, norm=False, seed=1):
    """Return what `naive_layer` takes after the biases, with gradients wanted for all that is not empty."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, mean=0.0, scale=0.3):
        return (mean + torch.randn(*shape, generator=generator) * scale).requires_grad_()

    rows, shown = GATES[cell] * hidden, hidden if cell == "lstm" else 0
    if norm:
        norms = [normal(rows, mean=1.0), normal(rows, mean=1.0), normal(shown, mean=1.0), normal(shown)]
    else:
        norms = [torch.empty(0, requires_grad=True) for _ in range(4)]
    sizes = [(inputs, hidden), (hidden, inputs)]
    return (*norms, *(normal(*sizes[number % 2], scale=hidden**-0.5) for number in range(rounds)))


def results_and_gradients(layer, cell, inputs, state, resets, weights, dtype=torch.float32, **options):
    """Return all results of a layer and all gradients of their weighted sum, in float64."""
    leaves = [leaf.detach().to(dtype).requires_grad_() for leaf in (inputs, *state, *weights)]
    states = tuple(leaves[1 : 1 + len(state)])
    outputs, last = layer(cell, leaves[0], states, resets, *leaves[1 + len(state) :], **options)
    objective = sum(
        (result * torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view_as(result)).sum()
        for result in (outputs, *last)
    )
    gradients = torch.autograd.grad(objective, leaves, materialize_grads=True)
    return [value.detach().double() for value in (outputs, *last, *gradients)]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return |found - expected| / |expected| by the Euclidean norm, or |found| where 0 is expected."""
    difference, size = (found - expected).detach().norm(), expected.detach().norm()
    return float(difference / (size if size else 1.0))

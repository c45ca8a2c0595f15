"""A step of the sampling loop through a network that sees the last tokens alone: a window, a bag of words."""

from functools import partial
from typing import Any

import numpy as np

from seqgen.kernels.crew import multiply
from seqgen.kernels.decode_step import ZERO
from seqgen.kernels.exponential import ONE, tanh
from seqgen.kernels.jit import compiled

EOS = 0
NOTHING = -1
ONE_ROW = np.ones(1, np.bool_)
_within = partial(compiled, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def step_with_context(options: Any, network: Any, state: Any) -> None:
    """Feed each live row's recent tokens and its pending one through the layers."""
    live = state.draws.live
    for row in range(len(live)):
        if live[row]:
            _read_context(options.places, network, state, row)
            _squash(state.from_input[row], network.input_bias[0], state.hidden[0, row])
    for layer in range(1, state.hidden.shape[0]):
        for row in range(len(live)):
            state.from_input[row, :] = ZERO
        below = state.hidden[layer - 1]
        digits, sums = state.digits[0], state.from_input
        multiply(below, network.inputs, layer - 1, digits, live, sums, state.crew)
        for row in range(len(live)):
            if live[row]:
                _squash(state.from_input[row], network.input_bias[layer], state.hidden[layer, row])


@_within
def _read_context(places: Any, network: Any, state: Any, row: Any) -> None:
    """Add up what a row's tokens contribute to layer 0, each at its place, and move them on by one place."""
    token, recent, sums = state.draws.token[row], state.recent[row], state.from_input[row]
    if token == EOS:
        recent[:] = NOTHING
    sums[:] = ZERO
    seen = 0
    for place in range(len(recent) + 1):
        here = token
        if place < len(recent):
            here = recent[place]
        if here != NOTHING:
            seen += 1
            _add_row(sums, _contribution(network, state, here, place % places))
    if places == 1:
        share = ONE / np.float32(seen)
        for j in range(len(sums)):
            sums[j] *= share
    for place in range(len(recent)):
        following = token
        if place + 1 < len(recent):
            following = recent[place + 1]
        recent[place] = following


@_within
def _add_row(sums: Any, row: Any) -> None:
    for j in range(len(sums)):
        sums[j] += row[j]


@_within
def _contribution(network: Any, state: Any, token: Any, place: Any) -> Any:
    """Return what a token contributes at a place: computed once, then remembered."""
    number = place * len(network.embedding) + token
    share = state.table[number : number + 1]
    if not state.known[number]:
        vector = network.embedding[token : token + 1]
        multiply(vector, network.first, place, state.embedding_digits, ONE_ROW, share, state.crew)
        for j in range(share.shape[1]):
            share[0, j] *= network.embedding_scale[token]
        state.known[number] = True
    return share[0]


@_within
def _squash(sums: Any, bias: Any, hidden: Any) -> None:
    for j in range(len(hidden)):
        hidden[j] = tanh(sums[j] + bias[j])

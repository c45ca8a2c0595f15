"""A step of the sampling loop through cells with a mogrifier, layer normalisation or both.

An int8 product takes vectors within ±1. Where a mogrifier gates, they may be longer: each is divided by a
power of two, which rounds nothing, and its products are multiplied by that again.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.crew import Crew, multiply
from seqgen.kernels.decode_step import ZERO, copy, forget, update
from seqgen.kernels.exponential import ONE, TWO, sigmoid, tanh
from seqgen.kernels.jit import compiled, float_bits, float_from_bits, fma
from seqgen.kernels.layout import Context, Floats, Network, Options, Plain

EOS = 0
EPSILON = np.float32(1e-5)  # as in training
SMALLEST = np.float32(2.0**-60)
ONE_ROW = np.ones(1, np.bool_)
# Wrappers for calls from Python, which unpack every array of a state, would take seconds more to compile.
_within = partial(compiled, no_cpython_wrapper=True, no_cfunc_wrapper=True)


class Factor(NamedTuple):
    """Room for vectors of one width on their way into a product.

    Attributes:
        values: The vectors, (B, K).
        scaled: The same within ±1, (B, K).
        scales: What they were divided by for that, (B,).
        digits: As an int8 product takes them, (B, 2, K).
    """

    values: Floats
    scaled: Floats
    scales: Floats
    digits: NDArray[np.uint8]


class Room(NamedTuple):
    """Room for one step.

    Attributes:
        embedding: Of layer 0's input.
        below: Of the input of a layer above.
        hidden: Of the state.
        sums: What gates are made of, (B, widest).
        partial_sums: Of what a row is normalised by, (64,).
    """

    embedding: Factor
    below: Factor
    hidden: Factor
    sums: Floats
    partial_sums: Floats


def make_room(network: Network, batch: int) -> Room | Context | Plain:
    """Return room for the steps of B sequences; a network without options needs none."""
    options = network.options
    if not isinstance(options, Options):
        return options
    hidden, embedding = network.recurrent_bias.shape[1] // network.gates, network.embedding.shape[1]
    widest = max(gating.width for gating in (options.first_inputs, options.first_states, options.inputs))
    return Room(
        embedding=_factor(batch, embedding),
        below=_factor(batch, hidden),
        hidden=_factor(batch, hidden),
        sums=np.zeros((batch, widest), np.float32),
        partial_sums=np.zeros(64, np.float32),
    )


def _factor(batch: int, size: int) -> Factor:
    values, scaled = (np.zeros((batch, size), np.float32) for _ in range(2))
    return Factor(values, scaled, np.zeros(batch, np.float32), np.zeros((batch, 2, size), np.uint8))


def step_with_options(options: Any, network: Any, state: Any) -> None:
    """Feed each live row's pending token through the layers."""
    live, room, rounds, crew = state.draws.live, state.room, options.rounds, state.crew
    for row in range(len(live)):
        if live[row] and state.draws.token[row] == EOS:
            forget(state, row)
    for layer in range(state.hidden.shape[0]):
        _copy_rows(state.hidden[layer], room.hidden.values, live)
        if layer > 0:
            _copy_rows(state.hidden[layer - 1], room.below.values, live)
            _mogrify(rounds, layer - 1, options.inputs, options.states, room.below, room, live, crew)
            _write_product(room.below, network.inputs, layer - 1, live, state.from_input, crew)
        elif rounds:
            _embed(network, state.draws.token, room.embedding.values, live)
            gating, states = options.first_inputs, options.first_states
            _mogrify(rounds, layer, gating, states, room.embedding, room, live, crew)
            _write_product(room.embedding, network.first, layer, live, state.from_input, crew)
        else:
            _recall(options, network, state, layer)
        if layer > 0 or rounds:
            gain, bias = options.input_gain, network.input_bias[layer]
            _finish(gain, layer, bias, options.units, room.partial_sums, live, state.from_input)
        _write_product(room.hidden, network.recurrent, layer, live, state.from_hidden, crew)
        gain, bias = options.recurrent_gain, network.recurrent_bias[layer]
        _finish(gain, layer, bias, options.units, room.partial_sums, live, state.from_hidden)
        for row in range(len(live)):
            if live[row]:
                _update(options, network.gates, layer, state, row)


@_within
def _copy_rows(source: Any, target: Any, live: Any) -> None:
    for row in range(len(live)):
        if live[row]:
            copy(source[row], target[row])


@_within
def _embed(network: Any, tokens: Any, vectors: Any, live: Any) -> None:
    """Write the embeddings of tokens, as trained."""
    for row in range(len(live)):
        if live[row]:
            token = tokens[row]
            for k in range(vectors.shape[1]):
                vectors[row, k] = network.embedding[token, k] * network.embedding_scale[token]


@_within
def _recall(options: Any, network: Any, state: Any, layer: Any) -> None:
    """Write what tokens contribute to layer 0 where no state gates it: computed once, then remembered."""
    draws = state.draws
    for row in range(len(draws.live)):
        if draws.live[row]:
            token = draws.token[row]
            if not state.known[token]:
                share = state.table[token : token + 1]
                vector = network.embedding[token : token + 1]
                multiply(vector, network.first, layer, state.embedding_digits, ONE_ROW, share, state.crew)
                _scale(share[0], network.embedding_scale[token], share[0])
                gain, bias = options.input_gain, network.input_bias[layer]
                _finish(gain, layer, bias, options.units, state.room.partial_sums, ONE_ROW, share)
                state.known[token] = True
            copy(state.table[token], state.from_input[row])


@_within
def _mogrify(
    rounds: Any, layer: Any, inputs: Any, states: Any, vectors: Factor, room: Room, live: Any, crew: Crew
) -> None:
    """Let a layer's input and state gate each other; `layer` counts within the two sets of matrices."""
    for number in range(rounds):
        half = number // 2
        if number % 2 == 0:
            _write_product(room.hidden, inputs, layer * ((rounds + 1) // 2) + half, live, room.sums, crew)
            _gate(room.sums, vectors.values, live)
        else:
            _write_product(vectors, states, layer * (rounds // 2) + half, live, room.sums, crew)
            _gate(room.sums, room.hidden.values, live)


@_within
def _gate(sums: Any, values: Any, live: Any) -> None:
    for row in range(len(live)):
        if live[row]:
            _gate_row(sums[row], values[row])


@_within
def _gate_row(sums: Any, values: Any) -> None:
    for j in range(len(values)):
        values[j] *= TWO * sigmoid(sums[j])


@_within
def _write_product(factor: Factor, matrices: Any, index: Any, live: Any, out: Any, crew: Crew) -> None:
    """Write the products of live vectors of any length with one of the matrices."""
    for row in range(len(live)):
        if live[row]:
            factor.scales[row] = _power_above(factor.values[row])
            _scale(factor.values[row], ONE / factor.scales[row], factor.scaled[row])
            out[row, :] = ZERO
    multiply(factor.scaled, matrices, index, factor.digits, live, out, crew)
    for row in range(len(live)):
        if live[row]:
            _scale(out[row], factor.scales[row], out[row])


@_within
def _scale(source: Any, factor: Any, target: Any) -> None:
    for j in range(len(source)):
        target[j] = source[j] * factor


@_within
def _power_above(vector: Any) -> Any:
    """Return a power of 2 that no element exceeds; at least 2**-60."""
    largest = float_bits(SMALLEST)  # the bits of positive numbers have their order, and integers vectorise
    for k in range(len(vector)):
        largest = max(largest, float_bits(abs(vector[k])))
    return float_from_bits(np.int32((largest + np.int32(0x7FFFFF)) & np.int32(0x7F800000)))


@_within
def _finish(gains: Any, layer: Any, bias: Any, units: Any, partial_sums: Any, live: Any, shares: Any) -> None:
    """Normalise shares of the gates where there are gains, and add the bias."""
    for row in range(len(live)):
        if live[row]:
            share = shares[row, : len(bias)]
            if len(gains):
                _normalise(share, units, gains[layer], bias, partial_sums)
            else:
                _add(share, bias)


@_within
def _add(row: Any, bias: Any) -> None:
    for j in range(len(row)):
        row[j] += bias[j]


@_within
def _normalise(row: Any, units: Any, gain: Any, bias: Any, partial_sums: Any) -> None:
    """Normalise the units of a row; what is padding stays zero."""
    count = _dot(units, units, partial_sums)
    mean = _dot(row, units, partial_sums) / count
    for j in range(len(row)):
        row[j] -= mean * units[j]
    scale = ONE / np.sqrt(_dot(row, row, partial_sums) / count + EPSILON)
    for j in range(len(row)):
        row[j] = fma(row[j] * scale, gain[j], bias[j])


@_within
def _dot(a: Any, b: Any, partial_sums: Any) -> Any:
    """Return the sum of the products of two rows, in an order that is the same on every processor."""
    partial_sums[:] = ZERO
    for first in range(0, len(a), len(partial_sums)):
        stop = min(first + len(partial_sums), len(a))
        _add_products(a[first:stop], b[first:stop], partial_sums[: stop - first])
    total = ZERO
    for j in range(len(partial_sums)):
        total += partial_sums[j]
    return total


@_within
def _add_products(a: Any, b: Any, sums: Any) -> None:
    for j in range(len(sums)):
        sums[j] = fma(a[j], b[j], sums[j])


@_within
def _update(options: Any, gates: Any, layer: Any, state: Any, row: Any) -> None:
    """Update the state of a row from the two shares of its gates."""
    hidden, memory = state.hidden[layer, row], state.memory[layer, row]
    from_input, from_hidden = state.from_input[row], state.from_hidden[row]
    if len(options.memory_gain) == 0:
        update(gates, from_input, from_hidden, hidden, memory)
        return
    size = len(hidden)
    for j in range(size):
        i = sigmoid(from_input[j] + from_hidden[j])
        f = sigmoid(from_input[size + j] + from_hidden[size + j])
        g = tanh(from_input[2 * size + j] + from_hidden[2 * size + j])
        memory[j] = f * memory[j] + i * g
        hidden[j] = memory[j]
    gain, bias = options.memory_gain[layer], options.memory_bias[layer]
    _normalise(hidden, options.units[:size], gain, bias, state.room.partial_sums)
    for j in range(size):
        hidden[j] = sigmoid(from_input[3 * size + j] + from_hidden[3 * size + j]) * tanh(hidden[j])

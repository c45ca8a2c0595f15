"""The weights of a trained network, laid out for the sampling kernel.

Sizes: V vocabulary, E embedding, H hidden (E and H padded to multiples of LANES), L layers, G gates (LSTM
i, f, g, o; GRU r, z, n; RNN 1) in torch's order. What is padded with zeros takes no part: a padded unit of
any cell stays at zero.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.int8 import BLOCK, MAX_DEPTH, quantize

Floats = NDArray[np.float32]
CELLS = {"rnn": 1, "gru": 3, "lstm": 4}
"""The number of gates, which stands for the cell in compiled code."""
LANES = 16  # numbers in the widest vector register; no vectorised loop has a remainder
WIDEST_TILE = 1024  # columns; eight rows of them fill most of a first-level cache


class Matrices(NamedTuple):
    """Matrices of K inputs and R outputs, stacked, in float32 or in int8; the arrays of the other are empty.

    Attributes:
        floats: (N, tiles, K, W); transposed, so that a product runs along rows of outputs and is vectorised
            without changing the order of any sum, and cut into tiles of columns that fit the nearest cache.
        values, scales, corrections: As `seqgen.kernels.int8.quantize` makes them, stacked.
    """

    floats: Floats
    values: NDArray[np.int8]
    scales: Floats
    corrections: NDArray[np.int32]

    @property
    def width(self) -> int:
        """The number of outputs, with padding."""
        return max(int(self.floats.shape[1] * self.floats.shape[3]), int(self.scales.shape[1]))


class Plain(NamedTuple):
    """A network whose cells have no options."""

    options: int = 0


class Options(NamedTuple):
    """What a mogrifier and layer normalisation add to a network; see `seqgen.kernels.stepped`.

    Factors of low rank are multiplied out, which takes more work a step than they would and rounds once.

    Attributes:
        rounds: N, 0 without a mogrifier.
        first_inputs: Gates of layer 0's input by its state, N/2 rounded up, of H inputs and E outputs.
        first_states: Gates of its state by its input, N/2 rounded down, of E inputs and H outputs.
        inputs, states: The same for the layers above, L-1 times as many, of H inputs and H outputs.
        units: 1 for each unit of each gate and 0 for its padding, (G*H,).
        input_gain, recurrent_gain: (L, G*H); empty without layer normalisation.
        memory_gain, memory_bias: (L, H); empty but for an LSTM with layer normalisation.
    """

    rounds: int
    first_inputs: Matrices
    first_states: Matrices
    inputs: Matrices
    states: Matrices
    units: Floats
    input_gain: Floats
    recurrent_gain: Floats
    memory_gain: Floats
    memory_bias: Floats


class Network(NamedTuple):
    """Weights as the kernel reads them.

    Attributes:
        gates: G, which also tells the cell.
        embedding: (V, E), each row within ±1.
        embedding_scale: What each row was divided by for that, (V,).
        first: Input weights of layer 0, 1 of E inputs and G*H outputs.
        inputs: Input weights of the layers above, L-1 of H inputs and G*H outputs.
        recurrent: Weights of the previous hidden state, L of H inputs and G*H outputs.
        input_bias: (L, G*H).
        recurrent_bias: (L, G*H); apart because a GRU's reset gate scales its share of it.
        head: 1 of H inputs and V outputs.
        head_bias: (V padded,).
        options: Of the cells.
    """

    gates: int
    embedding: Floats
    embedding_scale: Floats
    first: Matrices
    inputs: Matrices
    recurrent: Matrices
    input_bias: Floats
    recurrent_bias: Floats
    head: Matrices
    head_bias: Floats
    options: Plain | Options


def lay_out(weights: Mapping[str, Floats], cell: str, *, exact: bool) -> Network:
    """Arrange the weights of a trained network for the kernel.

    Args:
        weights: By the names an artifact gives them: `embedding.weight`, `encoder.0.weight_ih` ...; names
            also tell which options the cells have.
        cell: "lstm", "gru" or "rnn".
        exact: Keep the weights in float32; otherwise they are rounded to int8, where a matrix is not too deep
            for it.

    Raises:
        ValueError: If the cell is unknown, or an array is missing, of an unexpected shape or not finite.
    """
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
    gates = CELLS[cell]
    vocab, embedding = weights["embedding.weight"].shape
    hidden = weights["head.weight"].shape[1]
    layers = sum(name.endswith(".weight_hh") for name in weights)
    _check(weights, gates, vocab, embedding, hidden, layers)

    def each(name: str) -> list[Floats]:
        return [_gate_columns(weights[f"encoder.{layer}.{name}"], gates) for layer in range(layers)]

    inputs = each("weight_ih")
    scale = _powers_above(np.abs(weights["embedding.weight"]).max(axis=1))
    return Network(
        gates=gates,
        embedding=_pad(weights["embedding.weight"] / scale[:, None], 1),
        embedding_scale=scale,
        first=_matrices(inputs[:1], exact=exact),
        inputs=_matrices(inputs[1:], exact=exact),
        recurrent=_matrices(each("weight_hh"), exact=exact),
        input_bias=np.concatenate(each("bias_ih")),
        recurrent_bias=np.concatenate(each("bias_hh")),
        head=_matrices([_pad(_pad(weights["head.weight"].T, 0), 1)], exact=exact),
        head_bias=_pad(weights["head.bias"], 0),
        options=_options(weights, gates, layers, exact=exact),
    )


def _options(weights: Mapping[str, Floats], gates: int, layers: int, *, exact: bool) -> Plain | Options:
    rounds, normalised = _rounds(weights), "encoder.0.norm.gain_ih" in weights
    if not (rounds or normalised):
        return Plain()

    def each(name: str, parts: int) -> Floats:
        if f"encoder.0.norm.{name}" not in weights:
            return np.zeros((0, 0), np.float32)
        vectors = [weights[f"encoder.{layer}.norm.{name}"] for layer in range(layers)]
        return np.concatenate([_gate_columns(vector, parts) for vector in vectors])

    gating = [
        [_pad(_pad(_gating(weights, layer, number).T, 0), 1) for number in range(rounds)]
        for layer in range(layers)
    ]
    return Options(
        rounds=rounds,
        first_inputs=_matrices(gating[0][::2], exact=exact),
        first_states=_matrices(gating[0][1::2], exact=exact),
        inputs=_matrices([matrix for layer in gating[1:] for matrix in layer[::2]], exact=exact),
        states=_matrices([matrix for layer in gating[1:] for matrix in layer[1::2]], exact=exact),
        units=_gate_columns(np.ones(gates * weights["head.weight"].shape[1], np.float32), gates)[0],
        input_gain=each("gain_ih", gates),
        recurrent_gain=each("gain_hh", gates),
        memory_gain=each("gain_c", 1),
        memory_bias=each("bias_c", 1),
    )


def _rounds(weights: Mapping[str, Floats]) -> int:
    """Count the rounds of the mogrifier by the names of its first factors."""
    first = re.compile(r"encoder\.0\.mogrifier\.\d+\.0")
    return sum(first.fullmatch(name) is not None for name in weights)


def _gating(weights: Mapping[str, Floats], layer: int, number: int) -> Floats:
    """Return the matrix of a mogrifier's round, (R, K); the product of its factors if it has two."""
    name = f"encoder.{layer}.mogrifier.{number}"
    left, right = weights[f"{name}.0"], weights.get(f"{name}.1")
    return left if right is None else left @ right


def _check(
    weights: Mapping[str, Floats], gates: int, vocab: int, embedding: int, hidden: int, layers: int
) -> None:
    expected = {"embedding.weight": (vocab, embedding), "head.weight": (vocab, hidden), "head.bias": (vocab,)}
    for index in range(max(layers, 1)):
        expected[f"encoder.{index}.weight_ih"] = (gates * hidden, hidden if index else embedding)
        expected[f"encoder.{index}.weight_hh"] = (gates * hidden, hidden)
        expected[f"encoder.{index}.bias_ih"] = expected[f"encoder.{index}.bias_hh"] = (gates * hidden,)
        expected |= _expected_options(weights, index, gates, hidden, hidden if index else embedding)
    for name, shape in expected.items():
        if name not in weights or weights[name].shape != shape:
            found = weights[name].shape if name in weights else "nothing"
            raise ValueError(f"{name}: expected {shape}, found {found}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name}: not all finite numbers")


def _expected_options(
    weights: Mapping[str, Floats], layer: int, gates: int, hidden: int, inputs: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what belongs to a layer's options."""
    expected: dict[str, tuple[int, ...]] = {}
    if "encoder.0.norm.gain_ih" in weights:
        name = f"encoder.{layer}.norm"
        expected[f"{name}.gain_ih"] = expected[f"{name}.gain_hh"] = (gates * hidden,)
        if gates == CELLS["lstm"]:
            expected[f"{name}.gain_c"] = expected[f"{name}.bias_c"] = (hidden,)
    for number in range(_rounds(weights)):
        name = f"encoder.{layer}.mogrifier.{number}"
        rows, columns = (hidden, inputs) if number % 2 else (inputs, hidden)
        if "encoder.0.mogrifier.0.1" in weights:
            rank = weights["encoder.0.mogrifier.0.1"].shape[0]
            expected |= {f"{name}.0": (rows, rank), f"{name}.1": (rank, columns)}
        else:
            expected[f"{name}.0"] = (rows, columns)
    return expected


def _powers_above(values: Floats) -> Floats:
    """Return powers of 2 that are not less, so that dividing by them rounds nothing; at least 2**-60."""
    powers: Floats = np.exp2(np.ceil(np.log2(np.maximum(values, 2.0**-60)))).astype(np.float32)
    return powers


def _padded(size: int) -> int:
    return -(-size // LANES) * LANES


def _pad(array: Floats, axis: int) -> Floats:
    """Return `array` in C order with zeros appended along `axis` up to a multiple of LANES."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, _padded(array.shape[axis]) - array.shape[axis])
    return np.ascontiguousarray(np.pad(array, widths), np.float32)


def _gate_columns(array: Floats, gates: int) -> Floats:
    """Turn (G*H, K) or (G*H,) into (K padded, G*H padded) or (1, G*H padded), each gate padded apart."""
    split = array.reshape(gates, len(array) // gates, -1)  # (G*H, K) -> (G, H, K)
    columns = _pad(split, 1).transpose(2, 0, 1)  # -> (K, G, H padded)
    flat = columns.reshape(columns.shape[0], -1)
    return _pad(flat, 0) if array.ndim > 1 else np.ascontiguousarray(flat)


def _matrices(matrices: Sequence[Floats], *, exact: bool) -> Matrices:
    """Stack matrices (K, R) in one of the two forms."""
    floats = np.zeros((0, 0, 0, 0), np.float32)
    values, scales = np.zeros((0, 0, 0, BLOCK, 4), np.int8), np.zeros((0, 0), np.float32)
    corrections = np.zeros((0, 0), np.int32)
    if matrices and (exact or len(matrices[0]) > MAX_DEPTH):
        floats = np.stack([_tiles(matrix) for matrix in matrices])
    elif matrices:
        quantized = [quantize(matrix.T) for matrix in matrices]
        values, scales, corrections = (np.stack(parts) for parts in zip(*quantized, strict=True))
    return Matrices(floats, values, scales, corrections)


def _tiles(matrix: Floats) -> Floats:
    """Cut (K, R) into equal tiles of columns, (tiles, K, W), padding the last one with zeros."""
    depth, columns = matrix.shape
    count = -(-columns // WIDEST_TILE)
    width = _padded(-(-columns // count))
    whole = np.pad(matrix, ((0, 0), (0, count * width - columns)))
    return np.ascontiguousarray(whole.reshape(depth, count, width).transpose(1, 0, 2))

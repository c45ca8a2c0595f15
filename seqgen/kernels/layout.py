"""The weights of a trained network, laid out for the sampling kernel.

Sizes: V vocabulary, E embedding, H hidden (E and H padded to multiples of LANES), L layers, G gates (LSTM
i, f, g, o; GRU r, z, n; all others 1) in torch's order, P places with input weights of their own (those of a
window, else 1), C clusters of rare tokens. What is padded with zeros takes no part: a padded unit of
any cell stays at zero. Layers of fewer units than the largest are padded as well.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.int8 import BLOCK, MAX_DEPTH, quantize

Floats = NDArray[np.float32]
CELLS = {"rnn": 1, "gru": 3, "lstm": 4, "window": 1, "bow": 1}
"""The number of gates, which stands for the cell in compiled code."""
_WITH_CONTEXT = {"window", "bow"}
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


class Context(NamedTuple):
    """A network that sees the last tokens alone; see `seqgen.networks.windows`.

    Attributes:
        places: P; 1 where the mean of all tokens is read.
    """

    places: int


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
        first: Input weights of layer 0, P of E inputs and G*H outputs.
        inputs: Input weights of the layers above, L-1 of H inputs and G*H outputs.
        recurrent: Weights of the previous hidden state, L of H inputs and G*H outputs; none with a context.
        input_bias: (L, G*H).
        recurrent_bias: (L, G*H); apart because a GRU's reset gate scales its share of it.
        head: 1 of H inputs and V + C outputs; those of the clusters come last.
        head_bias: (V + C padded,).
        clusters: Where each cluster begins, and V, (C + 1,); C is 0 where all tokens share one softmax.
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
    clusters: NDArray[np.int64]
    options: Plain | Context | Options


def lay_out(weights: Mapping[str, Floats], cell: str, *, exact: bool, context: int = 1) -> Network:
    """Arrange the weights of a trained network for the kernel.

    Args:
        weights: By the names an artifact gives them: `embedding.weight`, `encoder.0.weight_ih` ...; names
            also tell which options the cells have.
        cell: "lstm", "gru", "rnn", "window" or "bow".
        exact: Keep the weights in float32; otherwise they are rounded to int8, where a matrix is not too deep
            for it.
        context: N, of a window or a bag of words.

    Raises:
        ValueError: If the cell is unknown, or an array is missing, of an unexpected shape or not finite.
    """
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
    gates, places = CELLS[cell], context if cell == "window" else 1
    weights = _with_embedding(weights, places)
    sizes = _hidden_sizes(weights)
    _check(weights, gates, sizes, places=places, recurrent=cell not in _WITH_CONTEXT)
    layers, hidden, depth = range(len(sizes)), max(sizes), weights["embedding.weight"].shape[1]
    head, head_bias, clusters = _whole_head(weights)

    def each(name: str, which: range, inputs: int = 1) -> list[Floats]:
        arrays = [
            weights[f"encoder.{layer}.{name}"] for layer in which if f"encoder.{layer}.{name}" in weights
        ]
        return [_gate_columns(array, gates, hidden, inputs) for array in arrays]

    by_place = np.split(weights["encoder.0.weight_ih"], places, axis=1)
    input_bias = np.concatenate(each("bias_ih", layers))

    scale = _powers_above(np.abs(weights["embedding.weight"]).max(axis=1))
    return Network(
        gates=gates,
        embedding=_pad(weights["embedding.weight"] / scale[:, None], 1),
        embedding_scale=scale,
        first=_matrices([_gate_columns(part, gates, hidden, depth) for part in by_place], exact=exact),
        inputs=_matrices(each("weight_ih", layers[1:], hidden), exact=exact),
        recurrent=_matrices(each("weight_hh", layers, hidden), exact=exact),
        input_bias=input_bias,
        recurrent_bias=np.concatenate(each("bias_hh", layers) or [np.zeros_like(input_bias)]),
        head=_matrices([_pad(_pad(head.T, 0, hidden), 1)], exact=exact),
        head_bias=_pad(head_bias, 0),
        clusters=clusters,
        options=Context(places) if cell in _WITH_CONTEXT else _options(weights, gates, exact=exact),
    )


def weight_bytes(network: Network) -> int:
    """Return how many bytes of weights are read for each token."""
    groups = [network.inputs, network.recurrent, network.head, *network.options]
    return sum(array.nbytes for group in groups if isinstance(group, Matrices) for array in group)


def _with_embedding(weights: Mapping[str, Floats], places: int) -> Mapping[str, Floats]:
    """Return the weights with an embedding: a one-hot one is not saved."""
    if "embedding.weight" in weights or "encoder.0.weight_ih" not in weights:
        return weights
    vocab = weights["encoder.0.weight_ih"].shape[1] // places
    return {"embedding.weight": np.eye(vocab, dtype=np.float32), **weights}


def _hidden_sizes(weights: Mapping[str, Floats]) -> list[int]:
    """Return how many units each layer has, by what reads them: the next layer, or the output layer."""
    layers = max(1, sum(name.endswith(".weight_ih") for name in weights))
    heads = ("head.short.weight", "head.weight", "embedding.weight")
    head = next(name for name in heads if name in weights)
    readers = [*(f"encoder.{layer}.weight_ih" for layer in range(1, layers)), head]
    return [weights[name].shape[1] for name in readers]


def _options(weights: Mapping[str, Floats], gates: int, *, exact: bool) -> Plain | Options:
    sizes = _hidden_sizes(weights)
    layers, hidden = range(len(sizes)), sizes[0]
    rounds, normalised = _rounds(weights), "encoder.0.norm.gain_ih" in weights
    if not (rounds or normalised):
        return Plain()

    def each(name: str, parts: int) -> Floats:
        if f"encoder.0.norm.{name}" not in weights:
            return np.zeros((0, 0), np.float32)
        vectors = [weights[f"encoder.{layer}.norm.{name}"] for layer in layers]
        return np.concatenate([_gate_columns(vector, parts, hidden, 0) for vector in vectors])

    gating = [
        [_pad(_pad(_gating(weights, layer, number).T, 0), 1) for number in range(rounds)] for layer in layers
    ]
    return Options(
        rounds=rounds,
        first_inputs=_matrices(gating[0][::2], exact=exact),
        first_states=_matrices(gating[0][1::2], exact=exact),
        inputs=_matrices([matrix for layer in gating[1:] for matrix in layer[::2]], exact=exact),
        states=_matrices([matrix for layer in gating[1:] for matrix in layer[1::2]], exact=exact),
        units=_gate_columns(np.ones(gates * hidden, np.float32), gates, hidden, 0)[0],
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
    weights: Mapping[str, Floats], gates: int, sizes: Sequence[int], *, places: int, recurrent: bool
) -> None:
    vocab, below = weights["embedding.weight"].shape
    expected: dict[str, tuple[int, ...]] = {"embedding.weight": (vocab, below)}
    for index, hidden in enumerate(sizes):
        expected[f"encoder.{index}.weight_ih"] = (gates * hidden, below if index else places * below)
        expected[f"encoder.{index}.bias_ih"] = (gates * hidden,)
        if recurrent:
            expected[f"encoder.{index}.weight_hh"] = (gates * hidden, hidden)
            expected[f"encoder.{index}.bias_hh"] = (gates * hidden,)
        expected |= _expected_options(weights, index, gates, hidden, below)
        below = hidden
    for name, shape in (expected | _head_shapes(weights, vocab, below)).items():
        if name not in weights or weights[name].shape != shape:
            found = weights[name].shape if name in weights else "nothing"
            raise ValueError(f"{name}: expected {shape}, found {found}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name}: not all finite numbers")


def _head_shapes(weights: Mapping[str, Floats], vocab: int, features: int) -> dict[str, tuple[int, ...]]:
    """Return the arrays that an output layer has: its own matrix, the embedding's, or one of each cluster."""
    if "head.short.weight" not in weights:
        matrix = "head.weight" if "head.weight" in weights else "embedding.weight"
        return {matrix: (vocab, features), "head.bias": (vocab,)}
    tails = _tails(weights)
    first = vocab - sum(map(len, tails.values())) + len(tails)
    shapes: dict[str, tuple[int, ...]] = {"head.short.weight": (first, features), "head.short.bias": (first,)}
    for tail, matrix_of_tail in tails.items():
        rows, size = matrix_of_tail.shape
        shapes[f"{tail}.projection"] = (size, features)
        shapes[f"{tail}.softmax.weight"], shapes[f"{tail}.softmax.bias"] = (rows, size), (rows,)
    return shapes


def _tails(weights: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the matrix of each cluster of an adaptive softmax by the name of the cluster."""
    count = sum(name.endswith(".projection") for name in weights)
    names = [f"head.tails.{number}" for number in range(count)]
    return {name: weights[f"{name}.softmax.weight"] for name in names}


def _whole_head(weights: Mapping[str, Floats]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return one matrix (V + C, H) of all outputs, its bias and the bounds of the clusters.

    The two matrices of a cluster are multiplied out: the tokens' rows, then those of the clusters themselves.
    """
    if "head.short.weight" not in weights:
        none = np.zeros(1, np.int64)
        return weights.get("head.weight", weights["embedding.weight"]), weights["head.bias"], none
    tails = _tails(weights)
    short, bias = weights["head.short.weight"], weights["head.short.bias"]
    first = len(short) - len(tails)
    rows = [matrix @ weights[f"{name}.projection"] for name, matrix in tails.items()]
    biases = [weights[f"{name}.softmax.bias"] for name in tails]
    bounds = np.cumsum([first, *map(len, rows)])
    whole = np.concatenate([short[:first], *rows, short[first:]])
    return whole, np.concatenate([bias[:first], *biases, bias[first:]]), bounds.astype(np.int64)


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


def _pad(array: Floats, axis: int, size: int = 0) -> Floats:
    """Return `array` in C order, padded with zeros along `axis` to a multiple of LANES of at least `size`."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, _padded(max(size, array.shape[axis])) - array.shape[axis])
    return np.ascontiguousarray(np.pad(array, widths), np.float32)


def _gate_columns(array: Floats, gates: int, hidden: int, inputs: int) -> Floats:
    """Turn (G*H, K) or (G*H,) into (K padded, G*H padded) or (1, G*H padded), each gate padded apart.

    Args:
        array: The weights or biases of a layer.
        gates: G.
        hidden: Units of the largest layer, to which the gates are padded.
        inputs: The same of what is multiplied.
    """
    split = array.reshape(gates, len(array) // gates, -1)  # (G*H, K) -> (G, H, K)
    columns = _pad(split, 1, hidden).transpose(2, 0, 1)  # -> (K, G, H padded)
    flat = columns.reshape(columns.shape[0], -1)
    return _pad(flat, 0, inputs) if array.ndim > 1 else np.ascontiguousarray(flat)


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

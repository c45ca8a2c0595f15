"""The weights of a trained network, laid out for the sampling kernel.

Matrices are transposed, so that a product runs along rows of outputs and is vectorised without changing the
order of any sum, and cut into tiles of columns that fit the nearest cache. Sizes are padded with zeros, which
take no part: a padded unit of any cell stays at zero.

Sizes: V vocabulary, E embedding, H hidden (E and H padded to multiples of LANES), L layers, G gates (LSTM
i, f, g, o; GRU r, z, n; RNN 1) in torch's order. A matrix of K inputs and R outputs is (tiles, K, W), where
tiles * W is R or a little more.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
CELLS = {"rnn": 1, "gru": 3, "lstm": 4}
"""The number of gates, which stands for the cell in compiled code."""
LANES = 16  # numbers in the widest vector register; no vectorised loop has a remainder
WIDEST_TILE = 1024  # columns; eight rows of them fill most of a first-level cache


class Network(NamedTuple):
    """Weights as the kernel reads them.

    Attributes:
        gates: G, which also tells the cell.
        embedding: (V, E).
        first: Input weights of layer 0, (tiles, E, W).
        inputs: Input weights of the layers above, (L-1, tiles, H, W).
        recurrent: Weights of the previous hidden state, (L, tiles, H, W).
        input_bias: (L, G*H).
        recurrent_bias: (L, G*H); apart because a GRU's reset gate scales its share of it.
        head: (tiles, H, W).
        head_bias: (V padded,).
    """

    gates: int
    embedding: Floats
    first: Floats
    inputs: Floats
    recurrent: Floats
    input_bias: Floats
    recurrent_bias: Floats
    head: Floats
    head_bias: Floats


def lay_out(weights: Mapping[str, Floats], cell: str) -> Network:
    """Arrange the weights of a trained network for the kernel.

    Args:
        weights: By the names an artifact gives them: `embedding.weight`, `encoder.0.weight_ih` ...
        cell: "lstm", "gru" or "rnn".

    Raises:
        ValueError: If the cell is unknown or an array is missing or of an unexpected shape.
    """
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
    gates = CELLS[cell]
    vocab, embedding = weights["embedding.weight"].shape
    hidden = weights["head.weight"].shape[1]
    layers = sum(name.endswith(".weight_hh") for name in weights)
    _check_shapes(weights, gates, vocab, embedding, hidden, layers)

    def each(name: str, first: int = 0) -> list[Floats]:
        arrays = [weights[f"encoder.{layer}.{name}"] for layer in range(first, layers)]
        return [_gate_columns(array, gates) for array in arrays]

    inputs = [_tiles(matrix) for matrix in each("weight_ih")]
    return Network(
        gates=gates,
        embedding=_pad(weights["embedding.weight"], 1),
        first=inputs[0],
        inputs=np.stack(inputs[1:]) if layers > 1 else np.zeros((0, *inputs[0].shape), np.float32),
        recurrent=np.stack([_tiles(matrix) for matrix in each("weight_hh")]),
        input_bias=np.concatenate(each("bias_ih")),
        recurrent_bias=np.concatenate(each("bias_hh")),
        head=_tiles(_pad(_pad(weights["head.weight"].T, 0), 1)),
        head_bias=_pad(weights["head.bias"], 0),
    )


def _check_shapes(
    weights: Mapping[str, Floats], gates: int, vocab: int, embedding: int, hidden: int, layers: int
) -> None:
    expected = {"embedding.weight": (vocab, embedding), "head.weight": (vocab, hidden), "head.bias": (vocab,)}
    for index in range(max(layers, 1)):
        expected[f"encoder.{index}.weight_ih"] = (gates * hidden, hidden if index else embedding)
        expected[f"encoder.{index}.weight_hh"] = (gates * hidden, hidden)
        expected[f"encoder.{index}.bias_ih"] = expected[f"encoder.{index}.bias_hh"] = (gates * hidden,)
    for name, shape in expected.items():
        if name not in weights or weights[name].shape != shape:
            found = weights[name].shape if name in weights else "nothing"
            raise ValueError(f"{name}: expected {shape}, found {found}")


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


def _tiles(matrix: Floats) -> Floats:
    """Cut (K, R) into equal tiles of columns, (tiles, K, W), padding the last one with zeros."""
    depth, columns = matrix.shape
    count = -(-columns // WIDEST_TILE)
    width = _padded(-(-columns // count))
    whole = np.pad(matrix, ((0, 0), (0, count * width - columns)))
    return np.ascontiguousarray(whole.reshape(depth, count, width).transpose(1, 0, 2))

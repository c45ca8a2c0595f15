"""Products of a layer's operands over all steps, on the matrices as the loops over time leave them.

A product over steps wants one side turned, the other with two steps side by side. Here both are laid out
for some hundred rows at a time, which stay in a core's own cache until every product has read them; torch
lays whole matrices out and reads them from memory again.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import LANES, load, store, store_halves
from seqgen.kernels.products import DEPTH, PANEL, leave, multiply, prepare
from seqgen.kernels.turning import turn

Floats = NDArray[np.float32]
Halves = NDArray[np.uint16]
"""bfloat16 as its bits."""
Panels = NDArray[np.uint32]


class Factors(NamedTuple):
    """What is multiplied, R rows of steps and batch; rows may be longer than their contents."""

    gates: Halves
    """(R + DEPTH, G·H): the gradients of the sums, zeros beyond R."""
    saved: Halves
    """(R + DEPTH, H): those by way of the state of gates that are not joint, zeros beyond R."""
    inputs: Halves
    """(R, E): what the layer read; (R, 0) where it read rows of a table."""
    states: Halves
    """(R, H): the hidden states that the steps consumed."""
    reads: NDArray[np.int32]
    """(R,): the row of the table that each step read; (0,) where it read none."""


class Products(NamedTuple):
    """The gradients, in panels of columns."""

    of_inputs: Floats
    """(panels of E, G·H, PANEL): that of W_ih."""
    of_states: Floats
    """(panels of H, G·H, PANEL): that of W_hh."""
    of_table: Floats
    """(P, G·H): zeros, to which the gradients of the sums from each row of the table are added."""


@compiled
def run_products(
    engine: Any,
    cell: Any,
    factors: Factors,
    products: Products,
    panels: Panels,
    turned: Halves,
    begin: int,
    end: int,
) -> None:
    """Do the products of some blocks of PANEL units with all columns.

    Args:
        engine: What multiplies; a panel's units are a multiple of its rows.
        cell: Lstm(), Gru() or Rnn().
        factors: What is multiplied.
        products: What comes of it.
        panels: (panels of E and of H, words, PANEL) room for rows of inputs and states; twice as many rows as
            it has words are done at a time.
        turned: ((G + 1) · units, at least as many rows) room for rows of gates.
        begin: First block of units to do.
        end: Block to stop before.
    """
    room, chunk = np.empty(64, np.uint8), 2 * panels.shape[1] // DEPTH * DEPTH
    prepare(engine, room)
    rows, size = factors.states.shape[0], products.of_states.shape[0] * PANEL
    before = len(products.of_inputs)
    for first in range(0, rows, chunk):
        past = min(first + chunk, rows)
        depth = (past - first + DEPTH - 1) // DEPTH * DEPTH
        lay_in_pairs(factors.inputs[first:past], panels[:before], depth)
        lay_in_pairs(factors.states[first:past], panels[before:], depth)
        for gate in range(cell.gates + (cell.joint < cell.gates)):
            out, column, of = gate * size, gate * size, factors.gates
            if gate == cell.gates:
                out, column, of = cell.joint * size, 0, factors.saved
            left, width = column + begin * PANEL, (end - begin) * PANEL
            own = turned[gate * width : (gate + 1) * width]
            turn(of[first : first + depth, left : left + width], own)
            out += begin * PANEL
            if gate < cell.gates:
                _multiply(engine, own, panels[:before], depth, products.of_inputs, out, first)
                add_rows(of[first:past], factors.reads[first:past], left, left + width, products.of_table)
            if gate < cell.joint or gate == cell.gates:
                _multiply(engine, own, panels[before:], depth, products.of_states, out, first)
    leave(engine, room)


@compiled
def _multiply(
    engine: Any, own: Halves, panels: Panels, depth: int, products: Floats, out: int, add: int
) -> None:
    """Write or add the products of turned rows and panels to rows from `out`."""
    for panel in range(len(panels)):
        right = panels[panel].ctypes.data
        for row in range(0, len(own), engine.rows):
            sums = products[panel, out + row].ctypes.data
            multiply(engine, sums, own[row].ctypes.data, own.strides[0], right, depth, add)


@compiled
def lay_in_pairs(source: Halves, panels: Panels, depth: int) -> None:
    """Write rows 2k and 2k + 1 of (R, N) as row k of (N / PANEL, words, PANEL), zeros up to `depth` rows."""
    rows, size = source.shape
    nothing = np.zeros(size, np.uint16)
    for k in range(depth // 2):
        even = source[2 * k] if 2 * k < rows else nothing
        odd = source[2 * k + 1] if 2 * k + 1 < rows else nothing
        for panel in range(size // PANEL):
            for j in range(0, PANEL, LANES):
                column = panel * PANEL + j
                store_halves(panels[panel, k], j, load(even, column), load(odd, column))
        rest = size % PANEL
        if rest:
            last = panels[len(panels) - 1, k]
            last[rest:] = 0
            for j in range(rest):
                column = size - rest + j
                last[j] = np.uint32(even[column]) | np.uint32(odd[column]) << np.uint32(16)


@compiled
def add_rows(
    source: NDArray[Any], reads: NDArray[np.int32], begin: int, end: int, sums: NDArray[np.float32]
) -> None:
    """Add columns `begin` to `end` of each source row i to row reads[i] of the sums, in order."""
    for i in range(len(reads)):
        row, total = source[i], sums[reads[i]]
        for j in range(begin, end, LANES):
            store(total, j, load(total, j) + load(row, j))

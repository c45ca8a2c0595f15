"""Gradients of a recurrent layer's weights, from the gradients of its sums at all steps.

On AMX tiles they are products of our own, `seqgen.kernels.gradients_loop`; elsewhere torch's.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.kernels.engines import bfloat16_engine
from seqgen.kernels.gradients_loop import Factors, Products, add_rows, run_products
from seqgen.kernels.products import DEPTH, PANEL, Bfloat16Tiles
from seqgen.kernels.team import Barrier, run_together, share
from seqgen.kernels.transposing import bits
from seqgen.kernels.workspace import Workspace

_GAP = 32
"""Unused numbers between turned rows, which would lie a power of two apart."""
_MOST_ROWS, _MOST_NUMBERS = 1024, 1 << 17
"""How many rows are laid out at a time, and numbers of each gate: they stay in a core's own cache."""


class SumGradients(NamedTuple):
    """The gradients of the sums of G gates of H units, whole panels, in R rows of steps and batch."""

    cell: Any
    gates: Tensor
    """(R + DEPTH, G·H)."""
    saved: Tensor
    """(R + DEPTH, H): those by way of the state of gates that are not joint."""
    states: Tensor
    """(R, H): the hidden states that the steps consumed."""
    workspace: Workspace

    @property
    def rows(self) -> int:
        """R."""
        return self.states.shape[0]

    @property
    def size(self) -> int:
        """H."""
        return self.states.shape[1]

    def weight_gradients(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of W_ih, (G·H, E), and of W_hh, (G·H, H), for inputs (R, E)."""
        if self._has_tiles:
            return self._by_tiles(inputs, torch.empty(0, dtype=torch.int32), torch.empty(0, 0))
        return self._by_torch(inputs), self._of_recurrent()

    def table_gradients(self, reads: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return the gradient of each distinct input's sums, (count, G·H), and of W_hh.

        Args:
            reads: (T, B), which of the inputs each step reads.
            count: How many there are.
        """
        which = reads.to(torch.int32).flatten()
        sums = torch.zeros(count, self.gates.shape[1])
        if self._has_tiles:
            return sums, self._by_tiles(self.states[:, :0], which, sums)[1]
        blocks = self.gates.shape[1] // PANEL
        threads = min(torch.get_num_threads(), blocks)

        def add(thread: int, _barrier: Barrier) -> None:
            begin, end = share(blocks, thread, threads)
            add_rows(bits(self.gates), bits(which), begin * PANEL, end * PANEL, bits(sums))

        run_together(add, threads)
        return sums, self._of_recurrent()

    @property
    def _has_tiles(self) -> bool:
        return self.gates.dtype == torch.bfloat16 and isinstance(bfloat16_engine(), Bfloat16Tiles)

    def _by_tiles(self, inputs: Tensor, reads: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
        take, blocks, gates = self.workspace.take, self.size // PANEL, self.cell.gates
        for part in (self.gates, self.saved):  # products take whole blocks of rows, and NaN times 0 is NaN
            part[self.rows : -(-self.rows // DEPTH) * DEPTH] = 0.0
        threads = min(torch.get_num_threads(), blocks)
        chunk = max(DEPTH, min(_MOST_ROWS, _MOST_NUMBERS // self.size // DEPTH * DEPTH))
        before = -(-inputs.shape[1] // PANEL)
        panels = take(threads, before + blocks, chunk // 2 + 1, PANEL, dtype=torch.int32)
        own = (gates + 1) * -(-blocks // threads) * PANEL
        turned = take(threads, own, chunk + _GAP, dtype=torch.bfloat16)
        of_inputs, of_states = (take(count, gates * self.size, PANEL) for count in (before, blocks))
        factors = Factors(*map(bits, (self.gates, self.saved, inputs, self.states, reads)))
        products = Products(*map(bits, (of_inputs, of_states, sums)))
        rooms = panels.numpy().view(np.uint32), bits(turned)

        def work(thread: int, _barrier: Barrier) -> None:
            own_rooms = (room[thread] for room in rooms)
            run_products(
                bfloat16_engine(), self.cell, factors, products, *own_rooms, *share(blocks, thread, threads)
            )

        run_together(work, threads)
        gradients = self._from_panels(of_inputs), self._from_panels(of_states)
        self.workspace.give(panels, turned, of_inputs, of_states)
        return gradients[0][:, : inputs.shape[1]], gradients[1]

    def _from_panels(self, panels: Tensor) -> Tensor:
        """Lend (N / PANEL, M, PANEL) as (M, N)."""
        count, height, width = panels.shape
        gradient = self.workspace.lend(height, count * width)
        gradient.view(height, count, width).copy_(panels.transpose(0, 1))
        return gradient

    def _by_torch(self, inputs: Tensor) -> Tensor:
        gradient = self.workspace.lend(self.gates.shape[1], inputs.shape[1])
        _multiply(self.gates[: self.rows], inputs, gradient)
        return gradient

    def _of_recurrent(self) -> Tensor:
        joint = self.cell.joint * self.size
        gradient = self.workspace.lend(self.cell.gates * self.size, self.size)
        _multiply(self.gates[: self.rows, :joint], self.states, gradient[:joint])
        if self.cell.joint < self.cell.gates:
            _multiply(self.saved[: self.rows], self.states, gradient[joint:])
        return gradient


def _multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    """Write the product of (R, M) and (R, N) over all rows to (M, N) float32."""
    if right.dtype == out.dtype:
        torch.mm(left.t(), right, out=out)
    else:
        out.copy_(torch.mm(left.t(), right))

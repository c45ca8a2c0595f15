"""One recurrent layer on a CPU: torch's GEMMs over all steps at once, compiled loops over time between them.

The input projection is one GEMM before the loop and the weight gradients are one GEMM each after it; what
must go step by step is in `seqgen.kernels.recurrence`. All arrays lie as torch has them, (T, B, features).
Sizes that do not fill whole registers are padded with units whose weights, and therefore states and
gradients, are zero. All large memory comes from the workspace: fresh pages cost more than some of the work
on them.

The same inputs give the same bits in every run, whatever the number of threads the loops have.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seqgen.kernels.dropout import Mask
from seqgen.kernels.engines import bfloat16_engine
from seqgen.kernels.gradients import SumGradients
from seqgen.kernels.masks import unit_mask
from seqgen.kernels.pointwise import ROWS, Gru, Lstm, Pass, Rnn
from seqgen.kernels.products import DEPTH, PANEL, Float32Vectors
from seqgen.kernels.recurrence import SLACK, Member, run_backward, run_forward
from seqgen.kernels.team import Barrier, run_together
from seqgen.kernels.transposing import bits
from seqgen.kernels.workspace import Workspace

State = tuple[Tensor, ...]

_GAP = 32
"""Unused numbers at the end of each row of operands."""
_CELLS: dict[str, Lstm | Gru | Rnn] = {"lstm": Lstm(), "gru": Gru(), "rnn": Rnn()}


class Padding(NamedTuple):
    """Between H units and as many as fill whole blocks."""

    size: int
    full: int

    @classmethod
    def of(cls, size: int) -> "Padding":
        """Pad to whole panels and whole products."""
        block = max(DEPTH, PANEL)
        return cls(size, -(-size // block) * block)

    def units(self, tensor: Tensor) -> Tensor:
        """Pad the last axis: (..., H) -> (..., full)."""
        return functional.pad(tensor, (0, self.full - self.size)) if self.full > self.size else tensor

    def gates(self, weight: Tensor) -> Tensor:
        """Pad each gate: (G·H, ...) -> (G·full, ...)."""
        if self.full == self.size:
            return weight
        split = weight.reshape(-1, self.size, *weight.shape[1:]).movedim(1, -1)
        return self.units(split).movedim(-1, 1).flatten(0, 1)

    def cut_gates(self, gradient: Tensor) -> Tensor:
        """Undo `gates`: (G·full, ...) -> (G·H, ...)."""
        if self.full == self.size:
            return gradient
        return gradient.view(-1, self.full, *gradient.shape[1:])[:, : self.size].flatten(0, 1)


class Layer:
    """One layer's pass over a batch of sequences, forward and perhaps backward.

    Args:
        cell: "lstm", "gru" or "rnn".
        weight_ih: (G·H, E).
        weight_hh: (G·H, H).
        bias_ih: (G·H,).
        bias_hh: (G·H,).
        keep: (T + 1, B) float32, 0 where the state is reset before a step; the last row is 1.
        mask: The dropout mask of what is passed on.
        precision: float32 or bfloat16, of what GEMMs multiply.
        workspace: Memory to use.
    """

    def __init__(
        self,
        cell: str,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        *,
        keep: Tensor,
        mask: Mask,
        precision: torch.dtype,
        workspace: Workspace,
    ) -> None:
        self.cell, self.precision, self.workspace = _CELLS[cell], precision, workspace
        self.weight_ih, self.weight_hh = weight_ih, weight_hh
        self.bias_ih, self.bias_hh = bias_ih, bias_hh
        self.keep, self.mask = keep, mask
        self.padding = Padding.of(self.weight_hh.shape[1])
        self.steps, self.batch = keep.shape[0] - 1, keep.shape[1]
        self.rows = self.steps * self.batch
        full = self.padding.full
        self.gates = self._take_rows(self.rows + SLACK, self.cell.gates * full)
        self.operand_in = self._take_rows(self.rows + self.batch + SLACK, full)
        self.saved = self._take_rows(self.rows + SLACK, full)
        self.cell_in = self._take_rows(self.rows, full) if self._is_lstm else self.operand_in
        self.state = workspace.take(self.batch, full)
        passes_on_state = mask.threshold == 0 and bool(keep.all())
        self._outputs = None if passes_on_state else self._take_rows(self.rows, full)
        self._table: Tensor | None = None

    def _take_rows(self, count: int, width: int) -> Tensor:
        """Lend memory for operands, (count, width), whose rows lie no power of two apart.

        A load is held up by an unfinished store to an address that differs by a multiple of 4 KiB.
        """
        return self.workspace.take(count, width + _GAP, dtype=self.precision)[:, :width]

    @property
    def _is_lstm(self) -> bool:
        return isinstance(self.cell, Lstm)

    @property
    def outputs(self) -> Tensor:
        """What is passed on, (T·B, full): the states themselves where none is masked."""
        if self._outputs is None:
            return self.operand_in[self.batch : self.batch + self.rows]
        return self._outputs

    @property
    def passed_on(self) -> Tensor:
        """The outputs without padding, (T·B, H)."""
        return self.outputs[:, : self.padding.size]

    def release(self) -> None:
        """Give the memory back."""
        own = [self.gates, self.operand_in, self.saved, self.state]
        own += [self.cell_in] if self._is_lstm else []
        self.workspace.give(*own, *(part for part in (self._outputs, self._table) if part is not None))

    def forward(self, state: State, inputs: Tensor, reads: Tensor | None) -> State:
        """Take all steps; returns the last state in float32.

        Args:
            state: (h, c) or (h,), each (B, H).
            inputs: (T·B, E) in `precision`; where `reads` is given the distinct inputs, (P, E) float32.
            reads: (T, B), which of them each step reads.
        """
        kept = self.keep[0].unsqueeze(1)
        self.operand_in[: self.batch] = self.padding.units(state[0]) * kept
        self.state.copy_(self.padding.units(state[-1]) * kept)
        incoming, reads = self._project(inputs, reads)
        data = self._pass(self.outputs, incoming, reads, self._biases(), self.state.new_empty(0, 0, 0))
        panels = self._panels(self.cell.gates)
        self._together(run_forward, data, (self._recurrent_weight(),), panels)
        size = self.padding.size
        hidden = self.operand_in[self.rows : self.rows + self.batch, :size].to(torch.float32, copy=True)
        own = self.state[:, :size].clone()
        return {Lstm: (hidden, own), Gru: (own,), Rnn: (hidden,)}[type(self.cell)]

    def backward(self, d_outputs: Tensor, d_state: State) -> Tensor:
        """Turn the gates into the gradients of their sums.

        Args:
            d_outputs: (T·B, H) in `precision`.
            d_state: The gradient of the last state.

        Returns:
            The gradient of the biases, (S, full), as `_biases` makes them.
        """
        d_outputs, d_hidden = (self.padding.units(part).contiguous() for part in (d_outputs, d_state[0]))
        if self._is_lstm:
            self.state.copy_(self.padding.units(d_state[1]))
        else:
            self.state.zero_()
        d_bias = torch.zeros(-(-self.batch // ROWS), self._sums, self.padding.full)
        none = torch.empty(0, 0)
        data = self._pass(d_outputs, none.to(self.precision), none.to(torch.int32), none, d_bias)
        weight = self._recurrent_weight()
        self._together(run_backward, data, (bits(d_hidden), weight), self._panels(2))
        return d_bias.sum(0)

    def input_and_weight_gradients(
        self, inputs: Tensor, reads: Tensor | None, *, needs_inputs: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Return the gradients of the inputs, if wanted, of W_ih and of W_hh; arguments as in `forward`."""
        weight = self.padding.gates(self.weight_ih)
        sums = SumGradients(self.cell, self.gates, self.saved, self.operand_in[: self.rows], self.workspace)
        d_inputs = None
        if reads is not None:
            of_table, d_weight_hh = sums.table_gradients(reads, inputs.shape[0])
            d_inputs, d_weight_ih = torch.mm(of_table, weight), torch.mm(of_table.t(), inputs)
        else:
            if needs_inputs:
                d_inputs = self.workspace.lend(self.rows, weight.shape[1], dtype=self.precision)
                torch.mm(self.gates[: self.rows], weight.to(self.precision), out=d_inputs)
            d_weight_ih, d_weight_hh = sums.weight_gradients(inputs)
        cut = self.padding.cut_gates
        return d_inputs, cut(d_weight_ih), cut(d_weight_hh)[:, : self.padding.size]

    def bias_gradients(self, d_bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of the two bias vectors from that of their sums, (S, full)."""
        joint, gates = self.cell.joint, self.cell.gates
        of_input, own = d_bias[:gates], torch.cat((d_bias[:joint], d_bias[gates:]))
        of_input, own = (part[:, : self.padding.size].flatten() for part in (of_input, own))
        return of_input, own

    def _together(
        self, loop: Callable[..., None], data: Pass, arguments: tuple[Any, ...], panels: Tensor
    ) -> None:
        """Run a compiled loop in all threads."""
        engine = Float32Vectors() if self.precision == torch.float32 else bfloat16_engine()
        trial = self.workspace.trial((loop, self.cell, engine, self.batch, self.padding), self._partitions())
        threads, by_rows = trial.choice
        scratch = self.workspace.take(threads, self.cell.gates, ROWS + SLACK, PANEL)
        room = panels.numpy().view(np.uint32), bits(scratch)

        def work(thread: int, barrier: Barrier) -> None:
            member = Member(thread, threads, by_rows)
            loop(self.cell, engine, data, *arguments, *room, member, barrier)

        with trial:
            run_together(work, threads)
        self.workspace.give(panels, scratch)

    def _partitions(self) -> list[tuple[int, bool]]:
        """Return each sensible number of threads, and whether they share out rows of the batch, not units."""
        threads = torch.get_num_threads()
        by_units = dict.fromkeys((min(threads, self.padding.full // PANEL), 1))
        by_rows = [min(threads, -(-self.batch // ROWS))] if self.batch > ROWS else []
        return [(count, False) for count in by_units] + [(count, True) for count in by_rows if count > 1]

    def _project(self, inputs: Tensor, reads: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the sums from the inputs, and which of them each step reads."""
        weight = self.padding.gates(self.weight_ih).t()
        if reads is not None:
            self._table = self._take_rows(inputs.shape[0], weight.shape[1])
            return self._table.copy_(torch.mm(inputs, weight)), reads.to(torch.int32)
        sums = torch.mm(inputs, weight.to(self.precision), out=self.gates[: self.rows])
        return sums, torch.arange(self.rows, dtype=torch.int32).view(self.steps, self.batch)

    def _pass(self, outputs: Tensor, incoming: Tensor, reads: Tensor, bias: Tensor, d_bias: Tensor) -> Pass:
        by_step = (self.gates, self.operand_in, self.cell_in, self.saved)
        gates, operand_in, cell_in, saved = (self._by_step(buffer) for buffer in by_step)
        return Pass(
            incoming=bits(incoming),
            reads=bits(reads),
            bias=bits(bias),
            gates=gates,
            operand_in=operand_in,
            cell_in=cell_in,
            saved=saved,
            keep=bits(self.keep),
            outputs=self._by_step(outputs),
            apart=self._outputs is not None,
            mask=unit_mask(self.mask, self.batch, self.padding.size),
            state=bits(self.state),
            d_bias=bits(d_bias),
        )

    def _by_step(self, buffer: Tensor) -> Any:
        """Return (T·B + more, N) memory as (T + some, B, N)."""
        whole = buffer.shape[0] // self.batch * self.batch
        return bits(buffer[:whole]).reshape(-1, self.batch, buffer.shape[1])

    @property
    def _sums(self) -> int:
        """How many distinct sums a unit squashes: one for a joint gate, two for one that is not."""
        return 2 * self.cell.gates - self.cell.joint

    def _biases(self) -> Tensor:
        """Return the (S, full) biases that a step adds."""
        joint, gates = self.cell.joint, self.cell.gates
        of_input, own = (self.padding.gates(bias).view(gates, -1) for bias in (self.bias_ih, self.bias_hh))
        return torch.cat((of_input[:joint] + own[:joint], of_input[joint:], own[joint:]))

    def _recurrent_weight(self) -> Any:
        return bits(self.padding.units(self.padding.gates(self.weight_hh)).contiguous())

    def _panels(self, per_block: int) -> Tensor:
        """Lend room for packed weights: (blocks of units, per block, words of the deepest panel, PANEL)."""
        depth = self.padding.full * (1 if per_block == self.cell.gates else self.cell.joint)
        words = depth if self.precision == torch.float32 else depth // 2
        return self.workspace.take(self.padding.full // PANEL, per_block, words, PANEL, dtype=torch.int32)

    def state_gradient(self) -> State:
        """Return the gradient of the first state, in float32."""
        full, kept = self.padding.full, self.keep[0].unsqueeze(1)
        joint = self.cell.joint * full
        weight = self.padding.units(self.padding.gates(self.weight_hh)).to(self.precision)
        d_hidden = torch.mm(self.gates[: self.batch, :joint], weight[:joint]).float()
        if self.cell.joint < self.cell.gates:
            d_hidden += torch.mm(self.saved[: self.batch], weight[joint:]).float() + self.state
        gradients = [d_hidden, self.state] if self._is_lstm else [d_hidden]
        return tuple((part * kept)[:, : self.padding.size] for part in gradients)

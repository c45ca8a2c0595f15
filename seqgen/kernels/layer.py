"""One recurrent layer on a CPU: torch's GEMMs over all steps at once, compiled loops over time between them.

The input projection is one GEMM before the loop and the weight gradients are one GEMM each after it; what
must go step by step is in `seqgen.kernels.recurrence`. All arrays lie as torch has them, (T, B, features),
so nothing is rearranged but the recurrent weights, once a pass. Sizes that do not fill whole registers are
padded with units whose weights, and therefore states and gradients, are zero.

The same inputs give the same bits in every run, whatever the number of threads the loops have.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seqgen.kernels.engines import Engine, bfloat16_engine
from seqgen.kernels.pointwise import Gru, Lstm, Pass, Rnn
from seqgen.kernels.products import DEPTH, PANEL, Float32Vectors
from seqgen.kernels.recurrence import ROWS, SLACK, add_rows, run_backward, run_forward
from seqgen.kernels.team import run_together, share
from seqgen.kernels.workspace import Workspace

State = tuple[Tensor, ...]

_CELLS: dict[str, Lstm | Gru | Rnn] = {"lstm": Lstm(), "gru": Gru(), "rnn": Rnn()}


def fused_layer(
    cell: str,
    inputs: Tensor,
    reads: Tensor | None,
    state: State,
    keep: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    *,
    precision: torch.dtype,
    workspace: Workspace,
) -> tuple[Tensor, State]:
    """Run a layer over all steps, differentiably.

    Args:
        cell: "lstm", "gru" or "rnn".
        inputs: (P, E), the distinct inputs; (T·B, E) where `reads` is None.
        reads: (T, B), the input each step reads, or None where each has its own.
        state: (h, c) or (h,), each (B, H).
        keep: (T + 1, B) float32, 0 where the state is reset before a step; the last row is 1.
        weight_ih: (G·H, E).
        weight_hh: (G·H, H).
        bias_ih: (G·H,).
        bias_hh: (G·H,).
        precision: float32 or bfloat16, of what GEMMs multiply.
        workspace: Memory to use.

    Returns:
        Outputs (T, B, H) and the last state.
    """
    tensors = (inputs, *state, weight_ih, weight_hh, bias_ih, bias_hh)
    differentiable = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    setting = _Setting(_CELLS[cell], precision, workspace, differentiable)
    hidden, *others = state
    cell_state = others[0] if others else hidden.new_empty(0, weight_hh.shape[1])
    outputs, *last = _Layer.apply(  # type: ignore[no-untyped-call]
        setting, reads, keep, inputs, hidden, cell_state, weight_ih, weight_hh, bias_ih, bias_hh
    )
    return outputs, tuple(last[: len(state)])


class _Setting(NamedTuple):
    cell: Lstm | Gru | Rnn
    precision: torch.dtype
    workspace: Workspace
    differentiable: bool


class _Padding(NamedTuple):
    """Between H units and as many as fill whole blocks."""

    size: int
    full: int

    @classmethod
    def of(cls, size: int) -> "_Padding":
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


class _Buffers(NamedTuple):
    """A layer's memory between forward and backward, with a row for each step of each sequence."""

    gates: Tensor
    operand_in: Tensor
    state_in: Tensor
    saved: Tensor


class _Run:
    """One pass over a batch of sequences, forward and perhaps backward."""

    def __init__(self, setting: _Setting, keep: Tensor, size: int) -> None:
        self.cell, self.precision, self.workspace, _ = setting
        self.padding = _Padding.of(size)
        self.keep = keep
        self.steps, self.batch = keep.shape[0] - 1, keep.shape[1]
        self.rows = self.steps * self.batch
        take, full = self.workspace.take, self.padding.full
        after = self.rows + self.batch  # the state after the last step has rows, too
        self.buffers = _Buffers(
            take(self.rows + SLACK, self.cell.gates * full, dtype=self.precision),
            take(after + SLACK, full, dtype=self.precision),
            take(after, full),
            take(self.rows + SLACK, full, dtype=self.precision),
        )

    def start_from(self, hidden: Tensor, cell_state: Tensor) -> None:
        """Write the state that the first step consumes."""
        kept = self.keep[0].unsqueeze(1)
        self.buffers.operand_in[: self.batch] = self.padding.units(hidden) * kept
        kept_apart = cell_state if isinstance(self.cell, Lstm) else hidden
        self.buffers.state_in[: self.batch] = self.padding.units(kept_apart) * kept

    def project(self, inputs: Tensor, weight_ih: Tensor, reads: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the sums from the inputs, and which of them each step reads."""
        weight = self.padding.gates(weight_ih).t()
        if reads is not None:
            return torch.mm(inputs, weight).to(self.precision), reads.to(torch.int32)
        sums = torch.mm(inputs, weight.to(self.precision), out=self.buffers.gates[: self.rows])
        return sums, torch.arange(self.rows, dtype=torch.int32).view(self.steps, self.batch)

    def forward(
        self, incoming: Tensor, reads: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
    ) -> Tensor:
        """Take all steps; returns (T, B, full)."""
        outputs = torch.empty(self.steps, self.batch, self.padding.full)
        data = self._pass(outputs, outputs[0], incoming, reads, self._biases(bias_ih, bias_hh))
        weight = _array(self._full(weight_hh))
        panels, scratch = self._panels(self.cell.gates), self._scratch()
        engine = self._engine()
        run_together(
            lambda thread, barrier: run_forward(
                self.cell,
                engine,
                data,
                weight,
                _words(panels),
                _array(scratch),
                thread,
                len(scratch),
                barrier,
            ),
            len(scratch),
        )
        self.workspace.give(panels, scratch)
        return outputs

    def backward(self, d_outputs: Tensor, d_hidden: Tensor, d_state: Tensor, weight_hh: Tensor) -> None:
        """Turn the gates into the gradients of their sums, and `d_state` into that of the first state."""
        d_outputs, d_hidden = (self.padding.units(part).contiguous() for part in (d_outputs, d_hidden))
        none = (
            torch.empty(0, 0, dtype=self.precision),
            torch.empty(0, 0, dtype=torch.int32),
            torch.empty(0, 0),
        )
        data = self._pass(d_outputs, d_state, *none)
        weight = _array(self._full(weight_hh))
        panels, scratch = self._panels(2), self._scratch()
        engine = self._engine()
        run_together(
            lambda thread, barrier: run_backward(
                self.cell,
                engine,
                data,
                _array(d_hidden),
                weight,
                _words(panels),
                _array(scratch),
                thread,
                len(scratch),
                barrier,
            ),
            len(scratch),
        )
        self.workspace.give(panels, scratch)

    def release(self) -> None:
        """Give the memory back."""
        self.workspace.give(*self.buffers)

    def _pass(self, outputs: Tensor, d_state: Tensor, incoming: Tensor, reads: Tensor, bias: Tensor) -> Pass:
        gates, operand_in, state_in, saved = (
            _array(buffer[: buffer.shape[0] // self.batch * self.batch].view(-1, self.batch, buffer.shape[1]))
            for buffer in self.buffers
        )
        return Pass(
            *(_array(incoming), _array(reads), _array(bias)),
            *(gates, operand_in, state_in, saved),
            *(_array(self.keep), _array(outputs), _array(d_state)),
        )

    def _biases(self, bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
        """Return the (S, full) biases a step adds: one for a joint gate, two for one that is not."""
        joint, gates = self.cell.joint, self.cell.gates
        from_input, own = (self.padding.gates(bias).view(gates, -1) for bias in (bias_ih, bias_hh))
        return torch.cat((from_input[:joint] + own[:joint], from_input[joint:], own[joint:]))

    def _full(self, weight_hh: Tensor) -> Tensor:
        return self.padding.units(self.padding.gates(weight_hh)).contiguous()

    def _engine(self) -> Engine:
        return Float32Vectors() if self.precision == torch.float32 else bfloat16_engine()

    def _panels(self, per_block: int) -> Tensor:
        """Lend room for packed weights: (blocks of units, per block, words of the deepest panel, PANEL)."""
        depth = self.padding.full * (1 if per_block == self.cell.gates else self.cell.joint)
        words = depth if self.precision == torch.float32 else depth // 2
        return self.workspace.take(self.padding.full // PANEL, per_block, words, PANEL, dtype=torch.int32)

    def _scratch(self) -> Tensor:
        threads = min(torch.get_num_threads(), self.padding.full // PANEL)
        return self.workspace.take(threads, self.cell.gates, ROWS + SLACK, PANEL)


def _array(tensor: Tensor) -> Any:
    """Return a tensor's memory as numpy, bfloat16 as its bits."""
    tensor = tensor.detach()
    return tensor.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def _words(tensor: Tensor) -> Any:
    return tensor.numpy().view(np.uint32)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        setting: _Setting,
        reads: Tensor | None,
        keep: Tensor,
        inputs: Tensor,
        hidden: Tensor,
        cell_state: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> tuple[Tensor, ...]:
        size = weight_hh.shape[1]
        run = _Run(setting, keep, size)
        run.start_from(hidden, cell_state)
        operands = inputs.to(setting.precision) if reads is None else inputs
        outputs = run.forward(*run.project(operands, weight_ih, reads), weight_hh, bias_ih, bias_hh)
        last_cell = run.buffers.state_in[run.rows : run.rows + run.batch, :size].clone()
        if setting.differentiable:
            ctx.save_for_backward(operands, weight_ih, weight_hh)
            ctx.run, ctx.reads = run, reads
        else:
            run.release()
        return outputs[:, :, :size], outputs[-1, :, :size].clone(), last_cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.run is None:
            raise RuntimeError("a recurrent layer overwrites what its gradient needs: call backward once")
        run, ctx.run = ctx.run, None
        operands, weight_ih, weight_hh = ctx.saved_tensors
        is_lstm = isinstance(run.cell, Lstm)
        d_state = run.padding.units(d_cell).clone() if is_lstm else torch.zeros(run.batch, run.padding.full)
        run.backward(d_outputs, d_hidden, d_state, weight_hh)
        d_hidden, d_weight_hh, d_bias_own = _recurrent_gradients(run, weight_hh, d_state)
        d_inputs, d_weight_ih, d_bias = _input_gradients(
            run, operands, ctx.reads, weight_ih, needs_inputs=ctx.needs_input_grad[3]
        )
        d_bias_hh = torch.cat((d_bias[: d_bias.shape[0] - d_bias_own.shape[0]], d_bias_own))
        d_cell = d_state[:, : run.padding.size] * run.keep[0].unsqueeze(1)
        run.release()
        states = (d_hidden, d_cell if is_lstm else None)
        return (None, None, None, d_inputs, *states, d_weight_ih, d_weight_hh, d_bias, d_bias_hh)


def _multiply(left: Tensor, right: Tensor, precision: torch.dtype) -> Tensor:
    """Return left·right in float32, from operands rounded to `precision`."""
    return torch.mm(left.to(precision), right.to(precision)).float()


def _recurrent_gradients(run: _Run, weight_hh: Tensor, d_state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the first hidden state, of W_hh and of the biases that are not joint."""
    size, joint = run.padding.size, run.cell.joint * run.padding.full
    consumed = run.buffers.operand_in[: run.rows]
    parts = [run.buffers.gates[: run.rows, :joint]]
    if run.cell.joint < run.cell.gates:
        parts.append(run.buffers.saved[: run.rows])
    full = run.padding.units(run.padding.gates(weight_hh))
    weights = full[:joint], full[joint:]
    d_weight = torch.cat([_multiply(part.t(), consumed, run.precision) for part in parts])
    d_hidden = torch.zeros_like(d_state) if isinstance(run.cell, Lstm) else d_state
    for part, weight in zip(parts, weights, strict=False):
        d_hidden = d_hidden + _multiply(part[: run.batch], weight, run.precision)
    d_hidden = d_hidden * run.keep[0].unsqueeze(1)
    own = parts[1].sum(0, dtype=torch.float32)[:size] if len(parts) > 1 else torch.empty(0)
    return d_hidden[:, :size], run.padding.cut_gates(d_weight)[:, :size], own


def _input_gradients(
    run: _Run, inputs: Tensor, reads: Tensor | None, weight_ih: Tensor, *, needs_inputs: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients of the inputs, of W_ih and of the biases of the inputs' sums."""
    d_sums, precision = run.buffers.gates[: run.rows], run.precision
    if reads is not None:
        d_sums, precision = _sum_by_input(run, reads, inputs.shape[0]), torch.float32
    d_weight = _multiply(d_sums.t(), inputs, precision)
    weight = run.padding.gates(weight_ih)
    d_inputs = _multiply(d_sums, weight, precision) if needs_inputs else None
    d_bias = d_sums.sum(0, dtype=torch.float32)
    return d_inputs, run.padding.cut_gates(d_weight), run.padding.cut_gates(d_bias)


def _sum_by_input(run: _Run, reads: Tensor, inputs: int) -> Tensor:
    """Return the gradient of each input's sums, (P, G·full): that of all steps that read it."""
    gates, which = _array(run.buffers.gates), _array(reads.to(torch.int32)).ravel()
    sums = torch.zeros(inputs, gates.shape[1])
    blocks, threads = gates.shape[1] // PANEL, min(torch.get_num_threads(), gates.shape[1] // PANEL)

    def add(thread: int, _barrier: object) -> None:
        begin, end = share(blocks, thread, threads)
        add_rows(gates, which, begin * PANEL, end * PANEL, _array(sums))

    run_together(add, threads)
    return sums

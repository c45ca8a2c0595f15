"""A normalised or mogrified recurrent layer on a CPU: torch's GEMMs and a compiled pass, step by step.

It computes what `stepped_layer_reference` does. What does not wait for the state stays out of the loop over
steps: the gradient of each weight is one GEMM over all of them, and so is the product with the inputs where
they are not gated.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqgen.kernels import stepped_pointwise as pointwise
from seqgen.kernels.stepped import NONE, State, SteppedWeights
from seqgen.kernels.stepped_pointwise import Share, Steps, gate_backward, gate_forward
from seqgen.kernels.workspace import Workspace

_FORWARD = {"lstm": pointwise.lstm_forward, "gru": pointwise.gru_forward, "rnn": pointwise.rnn_forward}
_BACKWARD = {"lstm": pointwise.lstm_backward, "gru": pointwise.gru_backward, "rnn": pointwise.rnn_backward}
_Take = Callable[..., Tensor]


def fused_stepped_layer(
    cell: str,
    inputs: Tensor,
    state: State,
    resets: Tensor,
    weights: SteppedWeights,
    *,
    precision: torch.dtype,
    workspace: Workspace,
) -> tuple[Tensor, State]:
    """Run a layer over all steps; see `seqgen.kernels.stepped.stepped_layer`."""
    *arrays, rounds = weights
    factors = [factor for matrices in rounds for factor in matrices]
    wanted = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (inputs, *state, *arrays, *factors)
    )
    setting = _Setting(cell, [len(matrices) for matrices in rounds], precision, workspace, wanted)
    hidden, memory = (*state, NONE)[:2]
    outputs, *last = _SteppedLayer.apply(  # type: ignore[no-untyped-call]
        setting, resets, inputs, hidden, memory, *arrays, *factors
    )
    return outputs, tuple(last[: len(state)])


class _Setting(NamedTuple):
    cell: str
    factors: list[int]
    """Of each mogrifier round, how many factors its matrix has."""
    precision: torch.dtype
    workspace: Workspace
    differentiable: bool


class _Product:
    """A matrix (R, K) times vectors (T, B, K), step by step, and the gradients of both."""

    def __init__(self, weight: Tensor, vectors: Tensor, out: Tensor, gradient: Tensor | None = None) -> None:
        """Without a buffer of its own, the gradient takes the place of the product."""
        self.weight, self.vectors, self.out = weight, vectors, out
        self.gradient = out if gradient is None else gradient

    def forward(self, t: int | slice) -> None:
        """Multiply the vectors of a step, or of several: (B, K) -> (B, R)."""
        _multiply(self.vectors[t].flatten(0, -2), self.weight.t(), self.out[t].flatten(0, -2))

    def backward(self, t: int | slice, out: Tensor) -> Tensor:
        """Write the gradient of the vectors of a step, (B, K)."""
        return _multiply(self.gradient[t].flatten(0, -2), self.weight, out)

    def d_weight(self) -> Tensor:
        """Return the gradient of the matrix, all steps together."""
        gradient, vectors = (
            part.flatten(0, 1).to(self.weight.dtype) for part in (self.gradient, self.vectors)
        )
        return torch.mm(gradient.t(), vectors).float()


def _multiply(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """Write a product as float32, of operands in the type of the right one."""
    if right.dtype == torch.float32:
        return torch.mm(left, right, out=out)
    return out.copy_(torch.mm(left.to(right.dtype), right))


class _Round:
    """One round of a mogrifier: what one side makes of the other."""

    def __init__(self, factors: Sequence[Tensor], source: Tensor, values: Tensor, take: _Take) -> None:
        """Plan the round; `factors` of the matrix are given left one first."""
        *before, last = reversed(factors)
        self.products = []
        for factor in before:
            out, gradient = (take(*source.shape[:2], factor.shape[0]) for _ in range(2))
            self.products.append(_Product(factor, source, out, gradient))
            source = out
        self.gates, self.gated = take(*values.shape), take(*values.shape)
        self.products.append(_Product(last, source, self.gates))
        self._arrays = _array(self.gates), _array(values), _array(self.gated)

    def forward(self, t: int) -> None:
        for product in self.products:
            product.forward(t)
        gates, values, gated = self._arrays
        gate_forward(gates[t], values[t], gated[t])

    def backward(self, t: int, d_source: Tensor, d_values: Tensor) -> None:
        """Add to the gradient of the source, and turn that of what was gated into that of the values."""
        gates, _, gated = self._arrays
        gate_backward(gates[t], gated[t], _array(d_values))
        for product, below in zip(reversed(self.products), self.products[-2::-1], strict=False):
            product.backward(t, below.gradient[t])
        d_source += self.products[0].backward(t, torch.empty_like(d_source))

    def d_factors(self) -> list[Tensor]:
        return [product.d_weight() for product in reversed(self.products)]


class _Run:
    """One pass over a batch of sequences, forward and perhaps backward."""

    def __init__(self, setting: _Setting, resets: Tensor, inputs: Tensor, weights: Sequence[Tensor]) -> None:
        self.setting, self._lent = setting, list[Tensor]()
        self.inputs = inputs.detach().contiguous()
        (steps, batch), size = resets.shape, weights[1].shape[1]
        weight_ih, weight_hh, *factors = (
            weight.detach().to(setting.precision) for weight in (*weights[:2], *weights[8:])
        )
        rows = weight_hh.shape[0]
        self.keep = torch.ones(steps + 1, batch)
        self.keep[:-1].masked_fill_(resets, 0.0)
        self.hidden = self._take(steps + 1, batch, size)
        self.memory = self._take(steps + 1, batch, size) if setting.cell == "lstm" else self.hidden
        self.rounds, x, h = [], self.inputs, self.hidden[:-1]
        for number, count in enumerate(setting.factors):
            matrix, factors = factors[:count], factors[count:]
            self.rounds.append(_Round(matrix, *((x, h) if number % 2 else (h, x)), self._take))
            x, h = (x, self.rounds[-1].gated) if number % 2 else (self.rounds[-1].gated, h)
        self.from_input = _Product(weight_ih, x, self._take(steps, batch, rows))
        self.from_state = _Product(weight_hh, h, self._take(steps, batch, rows))
        vectors = [weight.detach().contiguous() for weight in weights[2:8]]
        self.d_vectors = [torch.zeros_like(vector) for vector in vectors]
        self.outputs = torch.empty(steps, batch, size)
        self.steps = self._steps(vectors)

    def _take(self, *shape: int) -> Tensor:
        self._lent.append(self.setting.workspace.take(*shape))
        return self._lent[-1]

    def _steps(self, vectors: list[Tensor]) -> Steps:
        steps, batch, size = self.outputs.shape
        bias_ih, bias_hh, gain_ih, gain_hh, gain_c, bias_c = map(_array, vectors)
        d_bias_ih, d_bias_hh, d_gain_ih, d_gain_hh, d_gain_c, d_bias_c = map(_array, self.d_vectors)
        scales = [_array(torch.empty(steps, batch)) for _ in range(3)]
        shown = self._take(steps, batch, size) if len(gain_c) else torch.empty(0, 0, 0)
        input_sums, state_sums = _array(self.from_input.out), _array(self.from_state.out)
        return Steps(
            from_input=Share(input_sums, scales[0], gain_ih, bias_ih, d_gain_ih, d_bias_ih),
            from_state=Share(state_sums, scales[1], gain_hh, bias_hh, d_gain_hh, d_bias_hh),
            shown=Share(_array(shown), scales[2], gain_c, bias_c, d_gain_c, d_bias_c),
            gates=_array(self._take(steps, batch, len(bias_ih))),
            hidden=_array(self.hidden),
            memory=_array(self.memory),
            outputs=_array(self.outputs),
            saved=_array(self._take(steps, batch, size)),
            keep=_array(self.keep),
            scratch=_array(torch.empty(len(bias_ih))),
        )

    def forward(self, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take all steps; returns the outputs and the last state."""
        step, kept = _FORWARD[self.setting.cell], self.keep[0].unsqueeze(1)
        torch.mul(hidden, kept, out=self.hidden[0])
        if self.memory is not self.hidden:
            torch.mul(memory, kept, out=self.memory[0])
        if not self.rounds:
            self.from_input.forward(slice(None))
        for t in range(len(self.outputs)):
            for mogrifier in self.rounds:
                mogrifier.forward(t)
            if self.rounds:
                self.from_input.forward(t)
            self.from_state.forward(t)
            step(self.steps, t)
        return self.outputs, self.hidden[-1].clone(), self.memory[-1].clone()

    def backward(
        self, d_outputs: Tensor, d_hidden: Tensor, d_memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Go back through all steps; returns the gradients of the inputs and of the first state."""
        step, is_lstm = _BACKWARD[self.setting.cell], self.memory is not self.hidden
        d_inputs, passing = torch.empty(self.inputs.shape), torch.zeros_like(d_hidden)
        passing = d_memory.clone() if is_lstm else passing
        d_output, d_h = torch.empty_like(passing), d_hidden.clone()
        for t in reversed(range(len(self.outputs))):
            torch.add(d_outputs[t], d_h, out=d_output)
            step(self.steps, t, _array(d_output), _array(passing))
            self.from_state.backward(t, d_h)
            if self.rounds:
                d_x = self.from_input.backward(t, d_inputs[t])
                for number in reversed(range(len(self.rounds))):
                    self.rounds[number].backward(t, *((d_x, d_h) if number % 2 else (d_h, d_x)))
            kept = self.keep[t].unsqueeze(1)
            if is_lstm:
                passing *= kept
            else:
                d_h += passing
            d_h *= kept
        if not self.rounds:
            self.from_input.backward(slice(None), d_inputs.flatten(0, 1))
        return d_inputs, d_h, passing

    def d_weights(self) -> list[Tensor]:
        """Return the gradients of all weights in their order."""
        factors = [factor for mogrifier in self.rounds for factor in mogrifier.d_factors()]
        return [self.from_input.d_weight(), self.from_state.d_weight(), *self.d_vectors, *factors]

    def release(self) -> None:
        """Give the memory back."""
        self.setting.workspace.give(*self._lent)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()


class _SteppedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        setting: _Setting,
        resets: Tensor,
        inputs: Tensor,
        hidden: Tensor,
        memory: Tensor,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        run = _Run(setting, resets, inputs, weights)
        results = run.forward(hidden, memory)
        if setting.differentiable:
            ctx.run = run
        else:
            run.release()
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.run is None:
            raise RuntimeError("a recurrent layer overwrites what its gradient needs: call backward once")
        run, ctx.run = ctx.run, None
        d_inputs, d_hidden, d_memory = run.backward(*gradients)
        found = (None, None, d_inputs, d_hidden, d_memory, *run.d_weights())
        run.release()
        return tuple(
            gradient if needed else None for gradient, needed in zip(found, ctx.needs_input_grad, strict=True)
        )

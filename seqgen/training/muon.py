"""Muon (Jordan et al. 2024): a step turns every direction of a matrix by as much as any other.

torch.optim.Muon has the same idea. It multiplies in bfloat16 alone, which most CPUs only emulate, and takes
the gates of a layer, which lie one below the other, for one matrix.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration; Jordan et al. 2024."""
ITERATIONS = 5
STRETCH = 0.4
"""The root mean square of a step, in learning rates; AdamW's is 0.2 by Liu et al. (2025, "Muon is scalable
for LLM training")."""


def gate_weights(model: nn.Module) -> dict[str, int]:
    """Return the names of the weights of recurrent layers, and how many gates each holds."""
    return {
        f"{prefix}.{name}" if prefix else name: module.weight_hh.shape[0] // module.weight_hh.shape[1]
        for prefix, module in model.named_modules()
        if isinstance(getattr(module, "weight_hh", None), nn.Parameter)
        for name in ("weight_ih", "weight_hh")
    }


class Muon(torch.optim.Optimizer):
    """Muon for the weights of recurrent layers, a matrix for each gate, and AdamW for all other parameters.

    Args:
        groups: Parameter groups with their `weight_decay`; those of Muon say in `gates` how many gates, one
            below the other, each of their matrices (G · H, D) holds.
        rate: The learning rate, AdamW's and Muon's.
        betas: Of AdamW.
        momentum: Of Muon, with Nesterov's correction.
        precision: What Muon multiplies.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        *,
        rate: float,
        betas: tuple[float, float],
        momentum: float,
        precision: torch.dtype,
    ) -> None:
        super().__init__(groups, {"lr": rate, "gates": 0})
        others = [group for group in self.param_groups if not group["gates"]]
        self._others = torch.optim.AdamW(others, lr=rate, betas=betas, fused=True)
        self._others.state = self.state
        self._momentum, self._precision = momentum, precision

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step."""
        self._others.step(closure)
        for group in self.param_groups:
            for parameter in group["params"] if group["gates"] else ():
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        kept = state["momentum"].lerp_(grad, 1 - self._momentum)
        ahead = grad.lerp(kept, self._momentum)
        gates = ahead.view(group["gates"], -1, ahead.shape[1])
        turned = orthogonalize(gates.to(self._precision)).to(parameter.dtype).reshape_as(parameter)
        size = STRETCH * math.sqrt(max(gates.shape[1:]))
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(turned, alpha=-group["lr"] * size)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Return matrices with the singular vectors of others and all singular values near 1, (G, H, D).

    Most end between 0.7 and 1.2: the iteration is made to be fast, not to converge. Matrices of 0 stay 0.
    """
    a, b, c = COEFFICIENTS
    wide = matrices.shape[1] <= matrices.shape[2]
    found = matrices if wide else matrices.mT
    found = found / (torch.linalg.matrix_norm(found, keepdim=True) + 1e-7)  # no singular value is above 1 now
    for _ in range(ITERATIONS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found if wide else found.mT

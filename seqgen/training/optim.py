"""Optimisers with decay on matrices only, gradient clipping, and their state as arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqgen.config import TrainingConfig


def make_optimizer(model: nn.Module, config: TrainingConfig, *, apart: bool = False) -> torch.optim.Optimizer:
    """Build the optimiser over a model's parameters: AdamW (Loshchilov and Hutter 2019) or SGD.

    Biases are not decayed. NT-ASGD (Merity et al. 2018) is SGD whose weights `averaging` averages.

    Args:
        model: What is trained.
        config: How.
        apart: Whether each parameter is a group of its own with its `name`, so that rates may differ.
    """
    groups: list[dict[str, Any]]
    if apart:
        groups = [{"params": [p], "name": name} for name, p in model.named_parameters()]
    else:
        parameters = list(model.parameters())
        groups = [{"params": [p for p in parameters if (p.dim() > 1) is matrix]} for matrix in (True, False)]
    for group in groups:
        is_matrix = any(parameter.dim() > 1 for parameter in group["params"])
        group["weight_decay"] = config.weight_decay if is_matrix else 0.0
    if config.optimizer == "adamw":
        betas = (config.beta1, config.beta2)
        return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradients(model: nn.Module, clip_norm: float) -> float:
    """Scale the gradients down to a total norm of at most `clip_norm`; return their norm before."""
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    total = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    norm = float(total)
    if norm > clip_norm:  # most steps of a run that goes well are not clipped, and save a pass
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, total)
    return norm


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the moments by `<parameter name>.<moment>`."""
    return {
        f"{name}.{moment}": value
        for name, parameter in model.named_parameters()
        for moment, value in optimizer.state.get(parameter, {}).items()
        if moment != "step" and value is not None
    }


def restore_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    arrays: Mapping[str, NDArray[np.generic]],
    steps: int,
) -> None:
    """Put back what `optimizer_tensors` returned after `steps` steps, as arrays, and forget all else."""
    optimizer.state.clear()
    for name, parameter in model.named_parameters():
        moments = {
            key.removeprefix(f"{name}."): torch.tensor(array, device=parameter.device)
            for key, array in arrays.items()
            if key.startswith(f"{name}.")
        }
        if moments:
            count = torch.tensor(float(steps), device=parameter.device if parameter.is_cuda else "cpu")
            optimizer.state[parameter] = {"step": count, **moments}

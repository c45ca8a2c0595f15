"""Optimisers with decay on matrices only, gradient clipping, and their state as arrays."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqgen.config import TrainingConfig
from seqgen.kernels.recurrent import choose_precision
from seqgen.training.muon import Muon, gate_weights


def make_optimizer(model: nn.Module, config: TrainingConfig, *, apart: bool = False) -> torch.optim.Optimizer:
    """Build the optimiser over a model's parameters: AdamW (Loshchilov and Hutter 2019), Muon or SGD.

    Biases are not decayed. NT-ASGD (Merity et al. 2018) is SGD whose weights `averaging` averages.

    Args:
        model: What is trained.
        config: How.
        apart: Whether each parameter is a group of its own with its `name`, so that rates may differ.
    """
    parameters = dict(model.named_parameters())
    gates = gate_weights(model) if config.optimizer == "muon" else {}

    def group_of(names: Iterable[str]) -> dict[str, Any]:
        members = {name: parameters[name] for name in names}
        is_matrix = any(parameter.dim() > 1 for parameter in members.values())
        return {"params": list(members.values()), "weight_decay": config.weight_decay if is_matrix else 0.0}

    if apart:
        groups = [{**group_of([name]), "name": name, "gates": gates.get(name, 0)} for name in parameters]
    else:
        kinds = {name: (gates.get(name, 0), p.dim() > 1) for name, p in parameters.items()}
        groups = [
            {**group_of(name for name in parameters if kinds[name] == kind), "gates": kind[0]}
            for kind in sorted(set(kinds.values()), reverse=True)
        ]
    betas = (config.beta1, config.beta2)
    if config.optimizer == "muon":
        precision = choose_precision(next(model.parameters()).device, config.precision)
        rate, momentum = config.learning_rate, config.momentum
        return Muon(groups, rate=rate, betas=betas, momentum=momentum, precision=precision)
    if config.optimizer == "adamw":
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

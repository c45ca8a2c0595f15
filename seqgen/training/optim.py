"""The optimiser: AdamW (Loshchilov and Hutter 2019), with decay on matrices only, and its state as arrays."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqgen.config import TrainingConfig

BETAS = (0.9, 0.99)
MOMENTS = ("exp_avg", "exp_avg_sq")


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Build AdamW over a model's parameters; biases are not decayed."""
    parameters = list(model.parameters())
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=BETAS, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_arrays(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, NDArray[np.generic]]:
    """Return the moments by `<parameter name>.<moment>`."""
    return {
        f"{name}.{moment}": optimizer.state[parameter][moment].cpu().numpy()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for moment in MOMENTS
    }


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, arrays: dict[str, Any], steps: int
) -> None:
    """Put back what `optimizer_arrays` returned after `steps` steps."""
    for name, parameter in model.named_parameters():
        if f"{name}.{MOMENTS[0]}" not in arrays:
            continue
        moments = {
            moment: torch.from_numpy(arrays[f"{name}.{moment}"]).to(parameter.device) for moment in MOMENTS
        }
        count = torch.tensor(float(steps), device=parameter.device if parameter.is_cuda else "cpu")
        optimizer.state[parameter] = {"step": count, **moments}

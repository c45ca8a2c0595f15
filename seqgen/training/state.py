"""The tensors of a training by name: copied out for a checkpoint, and put back bit for bit."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqgen.networks.encoders import State
from seqgen.training.averaging import WeightAverage
from seqgen.training.optim import optimizer_tensors, restore_optimizer

Arrays = Mapping[str, NDArray[np.generic]]


def training_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage, state: State
) -> dict[str, NDArray[np.generic]]:
    """Copy parameters, optimiser moments, averaged weights and carried state."""
    groups: dict[str, Mapping[str, Tensor]] = {
        "model": dict(model.named_parameters()),
        "optimizer": optimizer_tensors(model, optimizer),
        "average": average.tensors(),
        "state": {f"{n}.{k}": part for n, parts in enumerate(state) for k, part in enumerate(parts)},
    }
    return {
        f"{group}.{name}": tensor.detach().cpu().numpy().copy()
        for group, members in groups.items()
        for name, tensor in members.items()
    }


def restore_tensors(
    arrays: Arrays,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    state: State,
    *,
    steps: int,
) -> State:
    """Put copies of what `training_tensors` returned after `steps` steps back; return the carried state.

    Args:
        state: Any carried state of the same shapes.
    """
    weights, parts_of = _members(arrays, "model"), _members(arrays, "state")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    restore_optimizer(model, optimizer, _members(arrays, "optimizer"), steps)
    average.restore(_members(arrays, "average"))
    return [
        tuple(torch.tensor(parts_of[f"{n}.{k}"], device=part.device) for k, part in enumerate(parts))
        for n, parts in enumerate(state)
    ]


def _members(arrays: Arrays, group: str) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of a group, such as "model", by their names within it."""
    prefix = f"{group}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

"""Weights of a model on disk, put into its network."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def with_weights(network: Network, weights: Mapping[str, NDArray[np.float32]]) -> Network:
    """Fill a network with weights and return it in evaluation mode.

    Args:
        network: Of any task.
        weights: By parameter name.

    Raises:
        ValueError: If one is missing, left over or of another shape, naming it.
    """
    parameters = dict(network.named_parameters())
    if strange := [*(parameters.keys() ^ weights.keys())]:
        name = min(strange)
        raise ValueError(f"{name}: {'missing' if name in parameters else 'not of this network'}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != weights[name].shape:
                raise ValueError(f"{name}: {weights[name].shape} where {tuple(parameter.shape)} is expected")
            parameter.copy_(torch.from_numpy(weights[name]))
    return network.eval()

import re

import numpy as np
import pytest
from torch import nn

from seqgen.networks.weights import with_weights


def weights_of(network):
    return {name: parameter.detach().numpy().copy() for name, parameter in network.named_parameters()}


def test_a_network_takes_weights_and_is_ready_to_be_evaluated():
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    found = with_weights(other, weights_of(one))
    assert found is other
    assert not found.training
    assert all(
        np.array_equal(a, b) for a, b in zip(*(weights_of(n).values() for n in (one, other)), strict=True)
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"weight": np.zeros((2, 3))}, "bias: missing"),
        ({"weight": np.zeros((2, 3)), "bias": np.zeros(2), "gain": np.zeros(2)}, "gain: not of this network"),
        ({"weight": np.zeros((2, 1)), "bias": np.zeros(2)}, "weight: (2, 1) where (2, 3) is expected"),
    ],
)
def test_weights_that_do_not_fit_are_named(weights, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        with_weights(nn.Linear(3, 2), weights)

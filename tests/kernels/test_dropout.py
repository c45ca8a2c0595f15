import pytest
import torch

from seqgen.kernels.dropout import drop, dropout_mask, mask_values

T, B, H = 50, 6, 31


def mask(seed=1, site=0, probability=0.25):
    return mask_values(torch.Size((T, B, H)), dropout_mask(seed, site, probability), torch.device("cpu"))


def test_compiled_mask_equals_the_torch_one():
    values = torch.randn(T, B, H)
    assert torch.equal(drop(values, dropout_mask(1, 0, 0.25)), values * mask())


def test_gradient_passes_the_same_mask():
    values = torch.randn(T, B, H, requires_grad=True)
    drop(values, dropout_mask(1, 0, 0.25)).backward(torch.full((T, B, H), 2.0))
    assert torch.equal(values.grad, 2 * mask())


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_of_dropped_units_is_the_probability(probability):
    dropped = (mask(probability=probability) == 0).double()
    assert (
        abs(dropped.mean().item() - probability) < 4 * (probability * (1 - probability) / (T * B * H)) ** 0.5
    )


def test_expectation_is_kept():
    assert abs(mask(probability=0.5).mean().item() - 1) < 0.05


@pytest.mark.parametrize("other", [{"seed": 2}, {"site": 1}])
def test_masks_of_other_seeds_and_sites_are_unrelated(other):
    agree = ((mask(probability=0.5) == 0) == (mask(probability=0.5, **other) == 0)).double().mean().item()
    assert abs(agree - 0.5) < 0.03


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_along_each_axis_are_unrelated(axis):
    dropped = (mask(probability=0.5) == 0).double()
    size = dropped.shape[axis] - 1
    agree = (dropped.narrow(axis, 0, size) == dropped.narrow(axis, 1, size)).double().mean().item()
    assert abs(agree - 0.5) < 0.03


def test_zero_probability_drops_nothing():
    assert torch.equal(mask(probability=0.0), torch.ones(T, B, H))

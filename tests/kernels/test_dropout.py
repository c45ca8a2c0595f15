import pytest
import torch

from seqgen.kernels.dropout import drop, dropout_mask, mask_values

T, B, H = 50, 6, 31


def mask(seed=1, site=0, probability=0.25, *, locked=False):
    chosen = dropout_mask(seed, site, probability, locked=locked)
    return mask_values(torch.Size((T, B, H)), chosen, torch.device("cpu"))


@pytest.mark.parametrize("locked", [False, True])
def test_compiled_mask_equals_the_torch_one(locked):
    values = torch.randn(T, B, H)
    dropped = drop(values, dropout_mask(1, 0, 0.25, locked=locked))
    torch.testing.assert_close(dropped, values * mask(locked=locked), rtol=1e-6, atol=0)


def test_all_steps_share_a_locked_mask():
    values = mask(locked=True)
    assert torch.equal(values, values[:1].expand(T, B, H))
    assert 0 < (values == 0).float().mean() < 1


def test_gradient_passes_the_same_mask():
    values = torch.randn(T, B, H, requires_grad=True)
    drop(values, dropout_mask(1, 0, 0.25)).backward(torch.full((T, B, H), 2.0))
    torch.testing.assert_close(values.grad, 2 * mask(), rtol=1e-6, atol=0)


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

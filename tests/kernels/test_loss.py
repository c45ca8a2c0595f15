import math

import pytest
import torch
from torch.nn import functional

from seqgen.kernels import loss
from seqgen.kernels.loss import linear_cross_entropy
from tests.kernels.naive import relative_error

T, B, H = 7, 5, 6


def by_torch(*arguments, ignored=-1, precision=torch.float32):
    features, weight, bias, targets = arguments
    return loss._by_torch(features.flatten(0, 1), weight, bias, targets.flatten(), ignored, precision)


def case(vocab, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    leaves = [torch.randn(*shape, generator=generator) for shape in ((T, B, H), (vocab, H), (vocab,))]
    targets = torch.randint(0, vocab, (T, B), generator=generator)
    targets[1, 2] = targets[4, 0] = -1
    return [leaf.requires_grad_() for leaf in leaves], targets


def loss_and_gradients(function, leaves, targets, **options):
    value = function(*leaves, targets, **options)
    return [value.detach(), *torch.autograd.grad(3 * value, leaves)]


def expected(leaves, targets):
    features, weight, bias = (leaf.detach().double().requires_grad_() for leaf in leaves)
    logits = features @ weight.t() + bias
    value = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    return [value.detach(), *torch.autograd.grad(3 * value, (features, weight, bias))]


@pytest.mark.parametrize("vocab", [2, 16, 65, 131])
@pytest.mark.parametrize("function", [linear_cross_entropy, by_torch])
def test_loss_and_gradients_equal_torch_in_float64(function, vocab):
    leaves, targets = case(vocab)
    found = loss_and_gradients(function, leaves, targets)
    for pair in zip(found, expected(leaves, targets), strict=True):
        assert relative_error(*pair) < 1e-5


@pytest.mark.parametrize("function", [linear_cross_entropy, by_torch])
def test_parts_make_no_difference(function, monkeypatch):
    leaves, targets = case(131)
    whole = loss_and_gradients(function, leaves, targets)
    monkeypatch.setattr(loss, "_LOGITS_AT_ONCE", 1)
    monkeypatch.setattr(loss, "_ROWS_AT_LEAST", 4)
    parts = loss_and_gradients(function, leaves, targets)
    for pair in zip(parts, whole, strict=True):
        assert relative_error(*pair) < 1e-5


def test_bfloat16_differs_only_by_rounding():
    leaves, targets = case(65)
    found = loss_and_gradients(linear_cross_entropy, leaves, targets, precision=torch.bfloat16)
    errors = [relative_error(*pair) for pair in zip(found, expected(leaves, targets), strict=True)]
    assert 1e-6 < max(errors) < 2e-2


def test_a_batch_without_targets_costs_nothing():
    leaves, targets = case(65)
    found = loss_and_gradients(linear_cross_entropy, leaves, torch.full_like(targets, -1))
    assert not any(value.any() for value in found)


def test_logits_far_apart_neither_overflow_nor_vanish():
    features = torch.tensor([[300.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0]])
    value = linear_cross_entropy(features, weight, torch.zeros(2), torch.tensor([1]))
    assert value.item() == pytest.approx(600)
    value.backward()
    assert features.grad.item() == pytest.approx(2)


def test_nan_in_the_features_reaches_the_loss():
    leaves, targets = case(65)
    broken = leaves[0].detach().clone()
    broken[0, 0, 0] = math.nan
    assert linear_cross_entropy(broken, *leaves[1:], targets).isnan()


def test_loss_without_gradients_equals_loss_with():
    leaves, targets = case(65)
    with torch.no_grad():
        still = linear_cross_entropy(*leaves, targets)
    assert torch.equal(still, linear_cross_entropy(*leaves, targets).detach())


def test_same_inputs_give_the_same_bits():
    leaves, targets = case(131)
    first, second = (loss_and_gradients(linear_cross_entropy, leaves, targets) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))

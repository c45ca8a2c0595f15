import math

import pytest
import torch
from torch.nn import functional

from seqgen.kernels import loss
from seqgen.kernels.loss import linear_cross_entropy, linear_losses
from seqgen.kernels.workspace import Workspace
from tests.kernels.naive import relative_error

T, B, H = 7, 5, 6


@pytest.fixture(params=["compiled", "torch"])
def path(request, monkeypatch):
    """Take the compiled path, or the one for machines without numba and for GPUs."""
    if request.param == "torch":
        monkeypatch.setattr(loss, "HAS_NUMBA", False)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(loss, "_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(loss, "_ROWS_AT_LEAST", 4)


def case(vocab, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    leaves = [torch.randn(*shape, generator=generator) for shape in ((T, B, H), (vocab, H), (vocab,))]
    targets = torch.randint(0, vocab, (T, B), generator=generator)
    targets[1, 2] = targets[4, 0] = -1
    return [leaf.requires_grad_() for leaf in leaves], targets


def loss_and_gradients(leaves, targets, **options):
    value = linear_cross_entropy(*leaves, targets, **options)
    return [value.detach(), *torch.autograd.grad(3 * value, leaves)]


def expected(leaves, targets, *, smoothing=0.0):
    features, weight, bias = (leaf.detach().double().requires_grad_() for leaf in leaves)
    logits, goals = (features @ weight.t() + bias).flatten(0, 1), targets.flatten()
    smoothed = functional.cross_entropy(logits, goals, ignore_index=-1, label_smoothing=smoothing)
    plain = functional.cross_entropy(logits, goals, ignore_index=-1)
    return [plain.detach(), *torch.autograd.grad(3 * smoothed, (features, weight, bias))]


def largest_error(found, wanted):
    return max(relative_error(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize("vocab", [2, 16, 65, 131])
def test_loss_and_gradients_equal_torch_in_float64(path, vocab):
    leaves, targets = case(vocab)
    assert largest_error(loss_and_gradients(leaves, targets), expected(leaves, targets)) < 1e-5


@pytest.mark.parametrize("vocab", [2, 131])
def test_smoothing_is_in_the_gradients_and_not_in_the_loss(path, vocab):
    leaves, targets = case(vocab)
    found = loss_and_gradients(leaves, targets, smoothing=0.3)
    assert largest_error(found, expected(leaves, targets, smoothing=0.3)) < 1e-5


def distributions(vocab):
    return torch.randn(T, B, vocab, generator=torch.Generator().manual_seed(2)).softmax(dim=2)


@pytest.mark.parametrize("vocab", [2, 65, 131])
def test_targets_are_spread_by_a_distribution_of_their_own(path, small_parts, vocab):
    leaves, targets = case(vocab)
    spread = distributions(vocab)
    features, weight, bias = (leaf.detach().double().requires_grad_() for leaf in leaves)
    logits, counts = features @ weight.t() + bias, targets >= 0
    goals = 0.7 * functional.one_hot(targets.clamp(min=0), vocab) + 0.3 * spread
    smoothed = -(goals * logits.log_softmax(dim=2)).sum(2)[counts].mean()
    wanted = [expected(leaves, targets)[0], *torch.autograd.grad(3 * smoothed, (features, weight, bias))]
    assert largest_error(loss_and_gradients(leaves, targets, smoothing=0.3, spread=spread), wanted) < 1e-5


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("spread", [None, distributions(131)], ids=["one-hot", "spread"])
def test_parts_make_no_difference(path, precision, spread, request):
    leaves, targets = case(131)
    options = {"precision": precision, "smoothing": 0.2, "spread": spread}
    whole = loss_and_gradients(leaves, targets, **options)
    request.getfixturevalue("small_parts")
    parts = loss_and_gradients(leaves, targets, **options)
    assert largest_error(parts, whole) < (1e-5 if precision == torch.float32 else 1e-2)


@pytest.mark.parametrize("vocab", [5, 65])  # the weight's gradient has a path for few tokens and one for many
def test_bfloat16_differs_only_by_rounding(vocab):
    leaves, targets = case(vocab)
    found = loss_and_gradients(leaves, targets, precision=torch.bfloat16)
    assert 1e-6 < largest_error(found, expected(leaves, targets)) < 2e-2


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_features_of_either_type_get_gradients_of_their_own(path, precision):
    (features, weight, bias), targets = case(65)
    half = features.detach().bfloat16().requires_grad_()
    found = loss_and_gradients([half, weight, bias], targets, precision=precision)
    assert [gradient.dtype for gradient in found] == [torch.float32, torch.bfloat16, *2 * [torch.float32]]
    assert largest_error(found, expected([half.float(), weight, bias], targets)) < 2e-2


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_losses_of_single_targets_equal_torch_in_float64(path, small_parts, precision):
    leaves, targets = case(65)
    features, weight, bias = (leaf.detach().double() for leaf in leaves)
    logits = (features @ weight.t() + bias).flatten(0, 1)
    wanted = functional.cross_entropy(logits, targets.flatten(), ignore_index=-1, reduction="none")
    found = linear_losses(*leaves, targets, precision=precision)
    assert (found.shape, found.dtype, found.requires_grad) == ((T, B), torch.float32, False)
    assert relative_error(found.flatten(), wanted) < (1e-5 if precision == torch.float32 else 2e-2)


def test_the_sum_is_divided_by_what_is_given(path):
    leaves, targets = case(65)
    found = loss_and_gradients(leaves, targets, divisor=11)
    wanted = [part * int((targets != -1).sum()) / 11 for part in expected(leaves, targets)]
    assert largest_error(found, wanted) < 1e-5


def test_a_batch_without_targets_costs_nothing(path):
    leaves, targets = case(65)
    found = loss_and_gradients(leaves, torch.full_like(targets, -1))
    assert not any(value.any() for value in found)


def test_a_batch_without_rows_costs_nothing(path):
    (features, weight, bias), targets = case(65)
    found = loss_and_gradients([features[:0], weight, bias], targets[:0], divisor=1)
    assert not any(value.any() for value in found)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_memory_used_again_neither_changes_results_nor_gradients_that_were_kept(precision):
    workspace = Workspace()
    cases = [case(vocab, seed=vocab) for vocab in (65, 131, 65, 5, 131)]
    kept = [
        loss_and_gradients(leaves, targets, precision=precision, workspace=workspace)
        for leaves, targets in cases
    ]
    for found, (leaves, targets) in zip(kept, cases, strict=True):
        alone = loss_and_gradients(leaves, targets, precision=precision)
        assert all(torch.equal(*pair) for pair in zip(found, alone, strict=True))


def test_a_gradient_stays_where_it_was_computed_until_it_is_dropped():
    workspace, ((features, weight, bias), targets) = Workspace(), case(131)
    places = set()
    for _ in range(6):
        value = linear_cross_entropy(features, weight, bias, targets, workspace=workspace)
        features.grad = weight.grad = bias.grad = None
        value.backward()
        del value
        places.add(weight.grad.untyped_storage().data_ptr())
    assert len(places) == 2


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
    torch.testing.assert_close(still, linear_cross_entropy(*leaves, targets).detach())


def test_same_inputs_give_the_same_bits():
    leaves, targets = case(131)
    first, second = (loss_and_gradients(leaves, targets) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))

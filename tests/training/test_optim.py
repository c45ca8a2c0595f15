import pytest
import torch
from torch import nn

from seqgen.config import build_config
from seqgen.training.optim import clip_gradients, make_optimizer, optimizer_tensors, restore_optimizer


def model_with_gradients(seed=1, kind=nn.Linear):
    torch.manual_seed(seed)
    model = kind(3, 5)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def settings(**training):
    return build_config({"training": {"learning_rate": 0.1, "weight_decay": 0.5, **training}}).training


def step(model, **training):
    """Return the parameters before and after a step."""
    optimizer = make_optimizer(model, settings(**training))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer.step()
    return before, [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize("optimizer", ["sgd", "nt-asgd"])
def test_sgd_follows_the_gradient_and_decays_matrices_only(optimizer):
    model = model_with_gradients()
    (weight, bias), (new_weight, new_bias) = step(model, optimizer=optimizer)
    torch.testing.assert_close(new_weight, weight - 0.1 * (model.weight.grad + 0.5 * weight))
    torch.testing.assert_close(new_bias, bias - 0.1 * model.bias.grad)


def test_the_first_step_of_adamw_is_the_rate_in_each_direction():
    model = model_with_gradients()
    (weight, bias), (new_weight, new_bias) = step(model, optimizer="adamw")
    torch.testing.assert_close(new_weight, weight * (1 - 0.1 * 0.5) - 0.1 * model.weight.grad.sign())
    torch.testing.assert_close(new_bias, bias - 0.1 * model.bias.grad.sign())


def test_the_betas_of_adamw_can_be_chosen():
    optimizer = make_optimizer(model_with_gradients(), settings(beta1=0.7, beta2=0.8))
    assert {group["betas"] for group in optimizer.param_groups} == {(0.7, 0.8)}


@pytest.mark.parametrize("clip_norm", [0.5, 100.0])
def test_clipping_is_that_of_torch(clip_norm):
    one, other = model_with_gradients(), model_with_gradients()
    expected = nn.utils.clip_grad_norm_(other.parameters(), clip_norm)
    assert clip_gradients(one, clip_norm) == expected.item()
    for found, wanted in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(found.grad, wanted.grad)


@pytest.mark.parametrize(
    "training",
    [{}, {"optimizer": "muon", "momentum": 0.9}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.9}],
)
def test_a_restored_optimizer_goes_on_bit_for_bit(training):
    models = [model_with_gradients(seed, nn.LSTMCell) for seed in (1, 2)]
    one, other = (make_optimizer(model, settings(**training)) for model in models)
    one.step()
    one.step()
    other.step()  # what it remembers of this must be forgotten
    arrays = {name: tensor.numpy() for name, tensor in optimizer_tensors(models[0], one).items()}
    restore_optimizer(models[1], other, arrays, steps=2)
    models[1].load_state_dict(models[0].state_dict())
    for found, wanted in zip(models[1].parameters(), models[0].parameters(), strict=True):
        found.grad = wanted.grad.clone()
    one.step()
    other.step()
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))

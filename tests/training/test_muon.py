import pytest
import torch
from torch import nn

from seqgen.config import build_config
from seqgen.networks.tasks import LanguageModel
from seqgen.training.muon import STRETCH, gate_weights, orthogonalize
from seqgen.training.optim import make_optimizer

RATE = 0.1


@pytest.mark.parametrize("shape", [(3, 6, 6), (2, 4, 9), (2, 9, 4)], ids=str)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_singular_vectors_stay_and_singular_values_become_alike(shape, precision):
    torch.manual_seed(3)
    matrices = torch.randn(shape)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    assert (values[:, 0] / values[:, -1]).max() > 2
    found = left.mT @ orthogonalize(matrices.to(precision)).float() @ right.mT
    diagonals = torch.diagonal(found, dim1=1, dim2=2)
    assert diagonals.min() > 0.6
    assert diagonals.max() < 1.25
    torch.testing.assert_close(found, torch.diag_embed(diagonals), rtol=0, atol=0.05)


def test_nothing_to_turn_stays_nothing():
    assert not orthogonalize(torch.zeros(2, 3, 4)).any()


def moved(optimizer, **training):
    """Return what a first step adds to each parameter of a model, and its gradient, by its name."""
    settings = {"weight_decay": 0.0, "learning_rate": RATE, "optimizer": optimizer, **training}
    model = {"cell": "gru", "hidden_size": 8, "embedding_size": 6}
    config = build_config({"model": model, "training": settings})
    torch.manual_seed(5)
    model = LanguageModel(config.model, 12)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    make_optimizer(model, config.training).step()
    return {name: (p.detach() - before[name], p.grad) for name, p in model.named_parameters()}


def test_each_gate_is_turned_by_itself_and_all_else_is_left_to_adamw():
    muon, adamw = moved("muon", momentum=0.9), moved("adamw")
    gates = {name for name in muon if name.endswith(("weight_ih", "weight_hh"))}
    assert len(gates) == 4
    for name, (change, gradient) in muon.items():
        if name not in gates:
            torch.testing.assert_close(change, adamw[name][0])
            continue
        for gate, by in zip(change.view(3, 8, -1), gradient.view(3, 8, -1), strict=True):
            size = RATE * STRETCH * max(gate.shape) ** 0.5
            torch.testing.assert_close(gate, -size * orthogonalize(by[None])[0], rtol=0, atol=1e-4)


def test_momentum_keeps_the_direction_of_earlier_gradients():
    model = nn.RNNCell(4, 4)
    settings = {"optimizer": "muon", "momentum": 0.9, "weight_decay": 0.0, "learning_rate": RATE}
    optimizer = make_optimizer(model, build_config({"training": settings}).training)
    for gradient in (torch.eye(4), torch.zeros(4, 4)):
        model.weight_hh.grad = gradient.clone()
        before = model.weight_hh.detach().clone()
        optimizer.step()
        assert torch.diagonal(model.weight_hh.detach() - before).max() < 0


def test_the_gates_of_a_layer_are_counted():
    assert gate_weights(nn.LSTMCell(3, 5)) == {"weight_ih": 4, "weight_hh": 4}
    stack = nn.ModuleList([nn.Linear(5, 5), nn.GRUCell(3, 5)])
    assert gate_weights(stack) == {"1.weight_ih": 3, "1.weight_hh": 3}

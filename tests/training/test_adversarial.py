from dataclasses import replace

import numpy as np
import pytest
import torch

from seqgen.config import ClassifyConfig, ModelConfig
from seqgen.data.buckets import padded
from seqgen.networks.classifier import Classifier
from seqgen.training.adversarial import adversarial_loss, adversarial_step

V, E, H, C = 11, 5, 4, 3
TEXTS = [np.array(ids, dtype=np.uint32) for ids in ([3, 1, 4, 1, 5], [9, 2], [6, 5, 3, 8, 9, 7, 9])]
LABELS = torch.tensor([2, 0, 1])


@pytest.fixture(params=["gru", "bow"])
def model(request):
    torch.manual_seed(4)
    config = ModelConfig(cell=request.param, layers=1, hidden_size=H, embedding_size=E, dropout=0.0)
    config = replace(config, bidirectional=request.param != "bow")
    made = Classifier(config, ClassifyConfig(labels=("a", "b", "c"), pool="mean", pooled_dropout=0.0), V)
    with torch.no_grad():
        made.embedding.weight.mul_(7)
    return made.train()


def of(model):
    """What `adversarial_loss` takes, for TEXTS."""
    tokens, lengths = map(torch.from_numpy, padded(TEXTS))

    def loss_of(vectors, _):
        return model.losses(model(tokens, lengths, vectors=vectors), LABELS)

    return (lambda: model.embedding.weight[tokens]), loss_of


def test_vectors_read_as_they_are_change_nothing(model):
    tokens, lengths = map(torch.from_numpy, padded(TEXTS))
    with torch.no_grad():
        plain = model(tokens, lengths).clone()
        assert torch.allclose(
            model(tokens, lengths, vectors=model.embedding.weight[tokens]), plain, atol=1e-6
        )


def test_each_text_is_moved_as_far_and_padding_is_not(model):
    vectors_of, loss_of = of(model)
    vectors = vectors_of()
    vectors.retain_grad()
    loss_of(vectors, 0).backward()
    step = adversarial_step(vectors, 0.6)
    lengths = step.square().sum(dim=(0, 2)).sqrt()
    assert lengths.tolist() == pytest.approx([0.6 * float(vectors.detach().std())] * 3)
    assert step[2:, 1].abs().max() == 0


def test_no_step_of_the_same_length_raises_the_loss_more(model):
    vectors_of, loss_of = of(model)
    vectors = vectors_of()
    vectors.retain_grad()
    here = loss_of(vectors, 0)
    here.backward()
    step = adversarial_step(vectors, 0.05)
    size = step.square().sum(dim=(0, 2), keepdim=True).sqrt()
    with torch.no_grad():
        worst = loss_of(vectors_of() + step, 0).item()
        assert worst > here.item()
        for seed in range(20):
            other = torch.randn(step.shape, generator=torch.Generator().manual_seed(seed))
            other *= size / other.square().sum(dim=(0, 2), keepdim=True).sqrt()
            assert loss_of(vectors_of() + other, 0).item() < worst


def test_the_gradient_is_that_of_both_readings(model):
    vectors_of, loss_of = of(model)
    loss = adversarial_loss(vectors_of, loss_of, 0.5)
    loss.backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    vectors = vectors_of()
    vectors.retain_grad()
    plain = loss_of(vectors, 0)
    plain.backward()
    step = adversarial_step(vectors, 0.5)
    moved = loss_of(vectors_of() + step, 1)
    moved.backward()
    assert loss.item() == pytest.approx((plain.item() + moved.item()) / 2)
    for name, parameter in model.named_parameters():
        assert torch.allclose(found[name], parameter.grad / 2, atol=1e-6), name

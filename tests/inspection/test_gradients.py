import numpy as np
import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.errors import CorpusError
from seqgen.inspection.gradients import (
    WARM_UP,
    decades,
    descend,
    factor_per_step,
    flow_back,
    read_places,
)
from seqgen.networks.tasks import LanguageModel

V, E, H = 7, 3, 5


def model(cell, **options):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(cell=cell, embedding_size=E, hidden_size=H, **options), V).eval()


def stream(count=400):
    return np.random.default_rng(0).integers(1, V, count).astype(np.uint8)


def flow(net, *, distance=20, places=3, documents=(0, 400), **options):
    read = read_places(stream(), np.array(documents), distance=distance, places=places)
    return flow_back(net, read, distance=distance, **options)


def test_the_norms_of_a_tanh_rnn_are_products_of_its_jacobians():
    net = model("rnn", layers=1)
    weights = net.encoder[0]
    found = flow(net, distance=12, places=1).hidden
    tokens = torch.from_numpy(stream()[: WARM_UP + 14].astype(np.int64))
    h, jacobians = torch.zeros(H), []
    for token in tokens[:-1]:
        sums = weights.weight_ih @ net.embedding.weight[token] + weights.weight_hh @ h
        h = torch.tanh(sums + weights.bias_ih + weights.bias_hh)
        jacobians.append((1 - h**2).unsqueeze(1) * weights.weight_hh)
    wrong = torch.softmax(net.head.weight @ h + net.head.bias, 0)
    wrong[tokens[-1]] -= 1
    gradient, expected = wrong @ net.head.weight, []
    for jacobian in reversed(jacobians[WARM_UP - 1 :]):
        expected.append(gradient.norm().item())
        gradient = gradient @ jacobian
    assert found.tolist() == pytest.approx(expected[:13], rel=1e-3)


def test_scaled_weights_explode_where_plain_ones_vanish():
    net = model("rnn", layers=1)
    with torch.no_grad():
        net.encoder[0].weight_hh.copy_(0.9 * torch.linalg.qr(net.encoder[0].weight_hh)[0])
        net.encoder[0].weight_ih.zero_()  # the state stays at 0, where tanh has slope 1
    assert (flow(net).near, flow(net).far) == pytest.approx((0.9, 0.9))
    exploding = flow(net, scale=1.3)
    assert (exploding.near, exploding.far) == pytest.approx((1.17, 1.17))


def test_an_lstm_tells_of_its_cell_state_and_a_gru_has_none():
    assert flow(model("lstm")).memory.shape == (21,)
    assert flow(model("gru")).memory is None


def test_a_factor_per_step_is_that_of_an_exponential():
    assert factor_per_step(5 * 0.8 ** np.arange(30), 1, 29) == pytest.approx(0.8)
    assert np.isnan(factor_per_step(np.zeros(30), 1, 29))


def test_places_lie_within_documents():
    short = flow(model("gru"), documents=(0, 30, 90, 100, 160, 400), places=500)
    # Of 54 tokens each: 60 and 60 leave 7 starts each, 240 leave 187.
    assert short.places == 7 + 7 + 187


def test_documents_that_are_too_short_are_refused():
    with pytest.raises(CorpusError, match="has the 54 tokens this takes, the longest has 40"):
        flow(model("gru"), documents=(0, 40, 60))


def test_a_clipped_step_is_a_shorter_one_and_does_less_harm_where_gradients_explode():
    net = model("rnn", layers=1)
    read = read_places(stream(), np.array((0, 400)), distance=30, places=25)
    start = [parameter.clone() for parameter in net.parameters()]
    found = descend(net, read, clip_norm=0.1, learning_rate=0.1, scale=5.0)
    assert found.gradient_norm > 1000
    assert found.loss_after > found.loss_after_clipped
    assert found.clipped_share == pytest.approx(0.1 / found.gradient_norm)
    shorter = descend(net, read, clip_norm=1e9, learning_rate=0.1 * found.clipped_share, scale=5.0)
    assert shorter.loss_after == pytest.approx(found.loss_after_clipped, abs=1e-6)
    assert all(torch.equal(one, other) for one, other in zip(start, net.parameters(), strict=True))


def test_an_explosion_past_float32_is_still_a_number():
    read = read_places(stream(), np.array((0, 400)), distance=60, places=2)
    net = model("rnn", layers=1)
    with torch.no_grad():
        net.encoder[0].weight_hh.copy_(torch.linalg.qr(net.encoder[0].weight_hh)[0])
        net.encoder[0].weight_ih.zero_()
    found = descend(net, read, clip_norm=1.0, learning_rate=0.1, scale=9.0)
    assert 1e39 < found.gradient_norm < np.inf
    assert np.isfinite([found.loss_after, found.loss_after_clipped]).all()


def test_a_small_gradient_is_left_as_it_is_and_the_step_goes_down():
    found = descend(
        model("gru"),
        read_places(stream(), np.array((0, 400)), distance=20, places=5),
        clip_norm=50.0,
        learning_rate=0.1,
    )
    assert found.clipped_share == 1.0
    assert found.loss_after == found.loss_after_clipped < found.loss_before


def test_slopes_are_told_in_decades_a_step():
    assert decades(0.1) == -1.0
    assert np.isnan(decades(0.0))

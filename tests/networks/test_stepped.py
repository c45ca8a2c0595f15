import numpy as np
import pytest
import torch
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.decode import Decoder
from seqgen.networks.encoders import RecurrentEncoder
from seqgen.networks.stepped import SteppedEncoder, make_encoder
from seqgen.networks.tasks import LanguageModel

T, B, V, E, H = 7, 3, 11, 5, 18
CELLS = ["lstm", "gru", "rnn"]
OPTIONS = [
    {"mogrifier": 1},
    {"mogrifier": 5, "mogrifier_rank": 2},
    {"layer_norm": True},
    {"mogrifier": 4, "layer_norm": True},
]


def model(cell="lstm", **options):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(cell=cell, embedding_size=E, hidden_size=H, **options), V)


def weights_of(net):
    return {name: parameter.detach().numpy() for name, parameter in net.named_parameters()}


def batch():
    inputs = torch.randint(1, V, (T, B), generator=torch.Generator().manual_seed(1))
    return inputs, torch.zeros(T, B, dtype=torch.bool)


def perturbed(net):
    """Move gains and biases off their first values, or a mistake in them would not show."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return net


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_sampling_loop_gives_the_logits_of_the_network(cell, options):
    net = perturbed(model(cell, **options)).eval()
    inputs, resets = batch()
    with torch.no_grad():
        features, _ = net(inputs, net.initial_state(B), resets)
        expected = functional.linear(features, net.head.weight, net.head.bias)
    decoder = Decoder(weights_of(net), cell=cell)
    state = decoder.start(range(B))
    for t in range(T):
        state.draws.token[:] = inputs[t].numpy()
        assert np.abs(decoder.logits(state) - expected[t].numpy()).max() < 1e-4


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_reset_hides_everything_before_it(options):
    net = perturbed(model(dropout=0.0, **options))
    inputs, resets = batch()
    resets[4] = True
    features, _ = net(inputs, net.initial_state(B), resets)
    fresh, _ = net(inputs[4:], net.initial_state(B), resets[4:])
    torch.testing.assert_close(features[4:], fresh, rtol=1e-5, atol=1e-6)


def test_dropout_depends_on_the_seed_alone_and_ends_with_training():
    net = model(dropout=0.5, mogrifier=2, layer_norm=True).train()
    inputs, resets = batch()

    def features(seed):
        return net(inputs, net.initial_state(B), resets, seed=seed)[0]

    assert torch.equal(features(1), features(1))
    assert not torch.equal(features(1), features(2))
    net.eval()
    assert torch.equal(features(1), features(2))


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_options_add_as_many_numbers_as_they_should(cell, gates):
    plain = model(cell).parameter_count()
    norm = model(cell, layer_norm=True).parameter_count() - plain
    assert norm == 2 * (2 * gates * H + (2 * H if cell == "lstm" else 0))
    assert model(cell, mogrifier=3).parameter_count() - plain == 3 * (E * H + H * H)
    low = model(cell, mogrifier=3, mogrifier_rank=2).parameter_count() - plain
    assert low == 3 * 2 * ((E + H) + (H + H))


def test_without_options_the_encoder_is_the_plain_one():
    assert type(make_encoder(ModelConfig())) is RecurrentEncoder
    assert type(make_encoder(ModelConfig(layer_norm=True))) is SteppedEncoder


def test_a_rank_without_rounds_is_refused():
    with pytest.raises(ConfigError, match=r"model\.mogrifier_rank = 4: of no effect"):
        make_encoder(ModelConfig(mogrifier_rank=4))

import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.decode import Decoder
from seqgen.networks.tasks import LanguageModel

T, B, V, E, H, N = 7, 3, 11, 5, 6, 4
CELLS = ["window", "bow"]
EMBEDDINGS = ["learned", "one-hot"]


def model(cell="window", **options):
    torch.manual_seed(0)
    options = {"embedding_size": E, "hidden_size": H, "context": N, "layers": 2, "dropout": 0.0, **options}
    return LanguageModel(ModelConfig(cell=cell, **options), V)


def batch(steps=T):
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randint(1, V, (steps, B), generator=draw)
    resets = torch.zeros(steps, B, dtype=torch.bool)
    resets[3, 1] = resets[0, 2] = True
    return inputs, resets


def naive_features(net, cell, inputs, resets):
    """Each row's window as a list, each layer by its definition."""
    first, *others = net.encoder
    size = net.embedding.weight.shape[1]
    rows = []
    for b in range(B):
        seen, row = [], []
        for t in range(len(inputs)):
            seen = [*([] if resets[t, b] else seen), int(inputs[t, b])]
            window = seen[-N:]
            total = first.bias_ih.clone()
            for place, token in enumerate(reversed(window)):  # 0 is the newest
                vector = net.embedding.weight[token]
                if cell == "window":
                    start = (N - 1 - place) * size
                    total = total + first.weight_ih[:, start : start + size] @ vector
                else:
                    total = total + first.weight_ih @ vector / len(window)
            features = total.tanh()
            for layer in others:
                features = (layer.weight_ih @ features + layer.bias_ih).tanh()
            row.append(features)
        rows.append(torch.stack(row))
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", [T, 9])  # 27 tokens are enough for the table of products, 21 are not
def test_features_match_the_naive_loop(cell, embedding, steps):
    net = model(cell, embedding=embedding)
    inputs, resets = batch(steps)
    features, _ = net(inputs, net.initial_state(B), resets)
    torch.testing.assert_close(features, naive_features(net, cell, inputs, resets), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_carried_state_makes_two_windows_equal_to_one(cell, cut):
    net = model(cell)
    inputs, resets = batch()
    whole, last = net(inputs, net.initial_state(B), resets)
    first, state = net(inputs[:cut], net.initial_state(B), resets[:cut])
    second, same = net(inputs[cut:], state, resets[cut:])
    torch.testing.assert_close(torch.cat([first, second]), whole)
    assert torch.equal(last[0][0], same[0][0])


def test_the_state_is_the_last_tokens_of_the_document():
    net = model()
    inputs, resets = batch()
    resets[5, 0] = True
    _, ((state,),) = net(inputs, net.initial_state(B), resets)
    assert state[0].tolist() == [-1, *inputs[5:, 0].tolist()]
    assert state[1].tolist() == inputs[4:, 1].tolist()


def test_a_bag_of_words_is_blind_to_order_and_a_window_is_not():
    inputs, _ = batch()
    resets = torch.zeros(T, B, dtype=torch.bool)
    shuffled = inputs.clone()
    shuffled[-N:] = inputs[-N:].flip(0)
    for cell, blind in (("bow", True), ("window", False)):
        net = model(cell)
        one, other = (net(order, net.initial_state(B), resets)[0][-1] for order in (inputs, shuffled))
        assert torch.allclose(one, other, atol=1e-6) is blind


@pytest.mark.parametrize("cell", CELLS)
def test_the_reach_is_exactly_the_context(cell):
    net = model(cell)
    resets = torch.zeros(T, B, dtype=torch.bool)
    inputs, _ = batch()
    last = net(inputs, net.initial_state(B), resets)[0][-1]
    for distance in range(T):
        changed = inputs.clone()
        changed[T - 1 - distance] = (inputs[T - 1 - distance] + 1) % V
        moved = not torch.equal(net(changed, net.initial_state(B), resets)[0][-1], last)
        assert moved == (distance < N), distance


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("cell", [*CELLS, "gru"])
def test_sampling_sees_the_probabilities_of_training(cell, embedding):
    net = model(cell, embedding=embedding)
    weights = {name: parameter.detach().numpy() for name, parameter in net.named_parameters()}
    decoder = Decoder(weights, cell=cell, context=N)
    tokens = torch.tensor([[0], [4], [9], [2], [2], [7], [0], [3]])
    features, _ = net(tokens, net.initial_state(1), tokens == 0)
    expected = features[-1] @ net.head.weight.T + net.head.bias
    found = decoder.logits(decoder.start([0], tokens[1:, 0].numpy()))
    torch.testing.assert_close(torch.from_numpy(found), expected.detach(), rtol=1e-4, atol=1e-5)


def mean_loss(net):
    inputs, resets = batch(9)
    features, _ = net(inputs, net.initial_state(B), resets)
    return net.mean_loss(features, inputs.roll(-1, 0))


OPTIONS = [
    *(
        {"cell": cell, "embedding": embedding}
        for cell in (*CELLS, "rnn", "lstm", "gru")
        for embedding in EMBEDDINGS
    ),
    *({"cell": cell, "mogrifier": 3, "layer_norm": True} for cell in ("rnn", "lstm", "gru")),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_gradients_match_finite_differences(options):
    net = model(**options)
    mean_loss(net).backward()
    draw = torch.Generator().manual_seed(2)
    # Normalisation of a few units is far from linear, and a small difference of losses is rounded.
    width, rounding = (1e-3, 4e-4) if "layer_norm" in options else (1e-2, 1e-4)
    for name, parameter in net.named_parameters():
        gradient = parameter.grad.clone()
        # Along the gradient any wrong scale or sign shows; across it, any wrong direction.
        random = torch.randn(parameter.shape, generator=draw)
        for direction in (gradient, random):
            direction = direction / direction.norm().clamp(min=1e-12)
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.add_(direction, alpha=sign * width)
                    losses.append(mean_loss(net).item())
                    parameter.sub_(direction, alpha=sign * width)
            slope = (losses[0] - losses[1]) / (2 * width)
            assert slope == pytest.approx(float((gradient * direction).sum()), rel=0.02, abs=rounding), name


@pytest.mark.parametrize("steps", [T, 9])
def test_both_ways_to_the_first_layer_have_the_same_gradients(steps):
    net = model(dropout=0.0, input_dropout=0.0)
    inputs, resets = batch(steps)
    features, _ = net(inputs, net.initial_state(B), resets)
    features.square().sum().backward()
    expected = [parameter.grad.clone() for parameter in net.encoder.parameters()]
    net.zero_grad()
    naive_features(net, "window", inputs, resets).square().sum().backward()
    for parameter, gradient in zip(net.encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)


def test_a_tied_window_ends_in_the_size_of_the_embedding():
    net = model(tied=True)
    inputs, resets = batch()
    features, _ = net(inputs, net.initial_state(B), resets)
    assert features.shape == (T, B, E)


@pytest.mark.parametrize("option", [{"mogrifier": 2}, {"layer_norm": True}, {"weight_drop": 0.5}])
def test_options_of_recurrent_cells_are_refused(option):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(option))} is for lstm, gru and rnn"):
        model("bow", **option)


def test_a_one_hot_embedding_cannot_be_tied_or_huge():
    with pytest.raises(ConfigError, match="set only one"):
        model(embedding="one-hot", tied=True)
    with pytest.raises(ConfigError, match="20,000 tokens are too many"):
        LanguageModel(ModelConfig(embedding="one-hot"), 20_000)


def test_a_one_hot_embedding_saves_and_trains_nothing():
    net = model("gru", embedding="one-hot")
    assert "embedding.weight" not in dict(net.named_parameters()) | net.state_dict()
    assert net.encoder[0].weight_ih.shape == (3 * H, V)

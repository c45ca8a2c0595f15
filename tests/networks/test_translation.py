import math

import pytest
import torch

from seqgen.config import ModelConfig, TranslateConfig
from seqgen.errors import ConfigError
from seqgen.networks.heads import IGNORED
from seqgen.networks.translation import TranslationModel
from tests.kernels.naive import naive_layer

S, T, B, E, H = 5, 7, 3, 4, 6
SOURCES, TARGETS = 13, 11
LENGTHS = torch.tensor([5, 2, 4])
SCORES = ["none", "dot", "general", "additive"]


def network(cell="lstm", *, attention="general", input_feeding=False, shared=False, **options):
    torch.manual_seed(0)
    sizes = {"layers": 2, "embedding_size": E, "hidden_size": H, "dropout": 0.0}
    choice = TranslateConfig(attention=attention, input_feeding=input_feeding, shared_vocab=shared)
    return TranslationModel(ModelConfig(cell=cell, **{**sizes, **options}), choice, SOURCES, TARGETS)


def batch():
    draw = torch.Generator().manual_seed(1)
    source = torch.randint(1, SOURCES, (S, B), generator=draw)
    for row, length in enumerate(LENGTHS):
        source[: S - length, row] = 0
    inputs = torch.randint(1, TARGETS, (T, B), generator=draw)
    targets = torch.randint(0, TARGETS, (T, B), generator=draw)
    targets[4:, 1] = IGNORED
    return source, inputs, targets


def naive_encoder(net, ids):
    """Read one sentence, (S,), in each direction; return features (S, H) and each layer's last state."""
    features, states = [], []
    for number, stack in enumerate(net.encoder.stacks):
        read = ids.flip(0) if number else ids
        below = net.source_embedding.weight[read].unsqueeze(1)
        last = []
        for layer, start in zip(stack, stack.initial_state(1), strict=True):
            below, end = naive_layer(net.encoder.stacks[0].cell, below, start, None, *layer.tensors())
            last.append(end)
        features.append(below.flip(0) if number else below)
        states.append(last)
    joined = [
        tuple(torch.cat(parts, 1) for parts in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    ]
    return torch.cat(features, 2)[:, 0], joined


def naive_score(net, kind, query, value):
    attention = net.attention
    if kind == "dot":
        return query @ value
    if kind == "general":
        return query @ attention.weight @ value
    return attention.vector @ (attention.query @ query + attention.weight @ value + attention.bias).tanh()


def naive_features(net, kind, ids, inputs):
    """Translate one sentence step by step, with a score at a time."""
    values, state = naive_encoder(net, ids)
    fed, rows = torch.zeros(1, net.fed_size), []
    for token in inputs:
        below = torch.cat([net.target_embedding.weight[token].unsqueeze(0), fed], 1).unsqueeze(0)
        for number, layer in enumerate(net.decoder):
            below, state[number] = naive_layer(net.decoder.cell, below, state[number], None, *layer.tensors())
        query = below[0, 0]
        if kind != "none":
            scores = torch.stack([naive_score(net, kind, query, value) for value in values])
            weights = scores.exp() / scores.exp().sum()
            query = torch.cat([query, sum(w * value for w, value in zip(weights, values, strict=True))])
        found = (net.combine.weight @ query + net.combine.bias).tanh()
        fed = found.unsqueeze(0) if net.fed_size else fed
        rows.append(found)
    return torch.stack(rows)


@pytest.mark.parametrize("attention", SCORES)
@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize(("cell", "both"), [("lstm", True), ("gru", False), ("rnn", True)])
def test_features_match_a_naive_loop_over_each_sentence(attention, feeding, cell, both):
    net = network(cell, attention=attention, input_feeding=feeding, bidirectional=both)
    source, inputs, _ = batch()
    features = net(source, LENGTHS, inputs)
    for row, length in enumerate(LENGTHS):
        plain = naive_features(net, attention, source[S - length :, row], inputs[:, row])
        torch.testing.assert_close(features[:, row], plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["none", "dot", "additive"])
def test_padding_changes_nothing(attention):
    net = network(attention=attention, bidirectional=True)
    source, inputs, targets = batch()
    wide = torch.cat([torch.full((3, B), 9), source])  # whatever padding holds
    long = torch.cat([inputs, torch.full((2, B), 5)])
    goals = torch.cat([targets, torch.full((2, B), IGNORED)])
    features, padded = net(source, LENGTHS, inputs), net(wide, LENGTHS, long)
    torch.testing.assert_close(padded[:T], features, rtol=1e-5, atol=1e-6)
    losses = [
        net.mean_loss(*pair, precision=torch.float32) for pair in ((features, targets), (padded, goals))
    ]
    torch.testing.assert_close(losses[0], losses[1])


def test_padding_has_a_weight_of_exactly_zero():
    net = network()
    source, inputs, _ = batch()
    memory, carry = net.read(source, LENGTHS)
    _, weights, _ = net.step(inputs[0], memory, carry)
    assert weights.shape == (B, S)
    assert weights[1, : S - 2].eq(0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(B))


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("attention", SCORES)
def test_gradients_match_finite_differences(attention, feeding):
    net = network("gru", attention=attention, input_feeding=feeding, bidirectional=True)
    source, inputs, targets = batch()

    def loss():
        return net.mean_loss(net(source, LENGTHS, inputs), targets, precision=torch.float32)

    loss().backward()
    draw = torch.Generator().manual_seed(2)
    for name, parameter in net.named_parameters():
        direction = torch.randn(parameter.shape, generator=draw)
        direction /= direction.norm()
        step, values = 1e-2, []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * step)
                values.append(loss().item())
                parameter.sub_(direction, alpha=sign * step)
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx((parameter.grad * direction).sum().item(), rel=2e-2, abs=2e-4), name


def test_without_attention_only_the_last_state_tells_of_the_source():
    net = network(attention="none")
    source, inputs, _ = batch()
    memory, carry = net.read(source, LENGTHS)
    found, weights, _ = net.step(inputs[0], memory, carry)
    other, _, _ = net.step(inputs[0], memory._replace(values=memory.values + 1), carry)
    torch.testing.assert_close(found, other)
    assert weights.shape == (B, 0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_sweep_equals_its_steps(cell):
    net = network(cell)
    source, inputs, _ = batch()
    sweep = net(source, LENGTHS, inputs)
    memory, carry = net.read(source, LENGTHS)
    for step in range(T):
        found, _, carry = net.step(inputs[step], memory, carry)
        torch.testing.assert_close(found, sweep[step], rtol=1e-5, atol=1e-6)


def test_scheduled_sampling_feeds_the_likeliest_token_where_the_draw_says_so():
    net = network()
    source, inputs, _ = batch()
    all_given = net(source, LENGTHS, inputs, teacher_forcing=1 - 1e-9)
    torch.testing.assert_close(all_given, net(source, LENGTHS, inputs), rtol=1e-5, atol=1e-6)
    own = net(source, LENGTHS, inputs, teacher_forcing=0.0)
    fed = torch.cat([inputs[:1], net.log_probs(own[:-1]).argmax(2)])
    torch.testing.assert_close(net(source, LENGTHS, fed), own, rtol=1e-5, atol=1e-6)
    assert not torch.equal(fed, inputs)


def test_dropout_is_of_training_alone_and_follows_the_seed():
    net = network(dropout=0.5)
    source, inputs, _ = batch()
    assert torch.equal(net(source, LENGTHS, inputs, seed=1), net(source, LENGTHS, inputs, seed=1))
    assert not torch.equal(net(source, LENGTHS, inputs, seed=1), net(source, LENGTHS, inputs, seed=2))
    net.eval()
    assert torch.equal(net(source, LENGTHS, inputs, seed=1), net(source, LENGTHS, inputs, seed=2))


def test_a_shared_vocabulary_has_one_embedding_and_a_tied_output_none_of_its_own():
    shared = network(shared=True)
    assert shared.target_embedding is shared.source_embedding
    tied = network(tied=True, input_feeding=True)
    assert tied.head.weight is tied.target_embedding.weight
    source, inputs, _ = batch()
    assert tied(source, LENGTHS, inputs).shape == (T, B, E)


def test_an_untrained_model_is_near_uniform():
    net = network()
    source, inputs, targets = batch()
    loss = net.mean_loss(net(source, LENGTHS, inputs), targets, precision=torch.float32)
    assert loss.item() == pytest.approx(math.log(TARGETS), abs=0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "bow"}, "a translator needs a recurrent state; use lstm, gru, rnn"),
        ({"softmax": "adaptive"}, "a translator ranks all tokens"),
        ({"hidden_size": 7, "bidirectional": True}, "two directions need an even number"),
    ],
)
def test_what_a_translator_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        network(options.pop("cell", "lstm"), **options)

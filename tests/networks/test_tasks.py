import math

import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.kernels import loss as kernel
from seqgen.networks.heads import IGNORED
from seqgen.networks.tasks import LanguageModel

T, B, V, E, H = 7, 3, 11, 5, 6


def model(cell="lstm", **options):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(cell=cell, embedding_size=E, hidden_size=H, **options), V)


def batch():
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randint(1, V, (T, B), generator=draw)
    targets = torch.randint(0, V, (T, B), generator=draw)
    return inputs, targets, torch.zeros(T, B, dtype=torch.bool)


def naive_features(net, cell, inputs, resets):
    """The textbook recurrences, one unit of time after the other."""
    state = [(torch.zeros(B, H), torch.zeros(B, H)) for _ in net.encoder]
    rows = []
    for t in range(T):
        below = net.embedding.weight[inputs[t]]
        for number, layer in enumerate(net.encoder):
            h, c = (torch.where(resets[t][:, None], 0.0, part) for part in state[number])
            from_input = below @ layer.weight_ih.T + layer.bias_ih
            from_state = h @ layer.weight_hh.T + layer.bias_hh
            if cell == "lstm":
                i, f, g, o = (from_input + from_state).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            elif cell == "gru":
                (ri, zi, ni), (rh, zh, nh) = from_input.chunk(3, 1), from_state.chunk(3, 1)
                z = (zi + zh).sigmoid()
                h = (1 - z) * (ni + (ri + rh).sigmoid() * nh).tanh() + z * h
            else:
                h = (from_input + from_state).tanh()
            state[number] = (h, c)
            below = h
        rows.append(below)
    return torch.stack(rows)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_features_match_the_naive_recurrence(cell):
    net = model(cell, layers=2, dropout=0.0)
    inputs, _, resets = batch()
    resets[3, 1] = resets[0, 2] = True
    features, _ = net(inputs, net.initial_state(B), resets)
    torch.testing.assert_close(features, naive_features(net, cell, inputs, resets), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_carried_state_makes_two_windows_equal_to_one(cell):
    net = model(cell, dropout=0.0)
    inputs, _, resets = batch()
    whole, _ = net(inputs, net.initial_state(B), resets)
    first, state = net(inputs[:4], net.initial_state(B), resets[:4])
    second, _ = net(inputs[4:], state, resets[4:])
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-5, atol=1e-6)


def test_a_reset_hides_everything_before_it():
    net = model(dropout=0.0)
    inputs, _, resets = batch()
    resets[4] = True
    features, _ = net(inputs, net.initial_state(B), resets)
    fresh, _ = net(inputs[4:], net.initial_state(B), resets[4:])
    torch.testing.assert_close(features[4:], fresh, rtol=1e-5, atol=1e-6)


def test_an_untrained_model_is_near_uniform():
    net = model(dropout=0.0)
    inputs, targets, resets = batch()
    features, _ = net(inputs, net.initial_state(B), resets)
    assert abs(net.mean_loss(features, targets).item() - math.log(V)) < 0.3


def test_ignored_targets_cost_nothing_and_are_not_counted():
    net = model(dropout=0.0)
    inputs, targets, resets = batch()
    features, _ = net(inputs, net.initial_state(B), resets)
    kept = net.losses(features, targets)[:2].mean()
    targets[2:] = IGNORED
    torch.testing.assert_close(net.mean_loss(features, targets), kept)


def test_slices_of_a_large_vocabulary_give_the_same_loss_and_gradients(monkeypatch):
    net = model(dropout=0.0)
    inputs, targets, resets = batch()

    def loss_and_gradients():
        net.zero_grad()
        features, _ = net(inputs, net.initial_state(B), resets)
        loss = net.mean_loss(features, targets)
        loss.backward()
        return [loss.detach(), *(p.grad.clone() for p in net.parameters())]

    whole = loss_and_gradients()
    monkeypatch.setattr(kernel, "_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(kernel, "_ROWS_AT_LEAST", 2 * B)
    for part, expected in zip(loss_and_gradients(), whole, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-7)


def test_dropout_depends_on_the_seed_alone():
    net = model(dropout=0.5).train()
    inputs, _, resets = batch()
    one, again, other = (net(inputs, net.initial_state(B), resets, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_nothing_is_dropped_in_evaluation():
    net = model(dropout=0.5).eval()
    inputs, _, resets = batch()
    one, other = (net(inputs, net.initial_state(B), resets, seed=s)[0] for s in (1, 2))
    assert torch.equal(one, other)

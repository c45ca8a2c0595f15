"""Whether training on rounded products goes as training on exact ones does."""

import pytest
import torch
from torch import nn

from seqgen.kernels.loss import linear_cross_entropy
from seqgen.kernels.recurrent import recurrent_stack

T, B, V, E, H = 20, 16, 11, 16, 32


def markov_text(length):
    """Return tokens of which each depends on the two before it."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(V, V, V, generator=generator).mul(3).softmax(-1)
    tokens = [0, 1]
    for _ in range(length - 2):
        tokens.append(int(torch.multinomial(weights[tokens[-2], tokens[-1]], 1, generator=generator)))
    return torch.tensor(tokens)


def final_loss(text, cell, precision, seed, steps=300):
    """Train a small model; returns its mean loss over the last fifth of the steps."""
    torch.manual_seed(seed)
    module = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](E, H, 2)
    net = nn.ModuleList([nn.Embedding(V, E), module, nn.Linear(H, V)])
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    weights = list(module.parameters())
    layers = [tuple(weights[:4]), tuple(weights[4:])]
    state = [tuple(torch.zeros(B, H) for _ in range(2 if cell == "lstm" else 1))] * 2
    losses = []
    for step in range(steps):
        starts = torch.randint(0, len(text) - T - 1, (B,))
        batch = torch.stack([text[start : start + T + 1] for start in starts.tolist()], dim=1)
        features, _ = recurrent_stack(
            cell, batch[:-1], net[0].weight, layers, state, None, dropout=0.1, seed=step, precision=precision
        )
        loss = linear_cross_entropy(features, net[2].weight, net[2].bias, batch[1:], precision=precision)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-steps // 5 :]) / (steps // 5)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bfloat16_trains_as_well_as_float32_within_seed_noise(cell):
    text, seeds = markov_text(5000), (1, 2, 3)
    exact, rounded = (
        torch.tensor([final_loss(text, cell, precision, seed) for seed in seeds])
        for precision in (torch.float32, torch.bfloat16)
    )
    assert exact.mean() < 2.0  # of log(11) = 2.4 nats: it has learnt something
    assert (exact - rounded).mean().abs() < exact.std()

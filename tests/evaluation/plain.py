"""Adaptive evaluation by loops and autograd, a token at a time: what the fast code is tested against."""

import math

import torch
from torch.nn import functional


def plain_step(model, state, token):
    """Read one token in zero-based state where it is EOS; return the last layer's h and the state."""
    if token == 0:
        state = [[torch.zeros_like(part) for part in layer] for layer in state]
    below, after = model.embedding.weight[token], []
    for layer, (h,) in zip(model.encoder, state, strict=True):
        from_input = layer.weight_ih @ below + layer.bias_ih
        from_state = layer.weight_hh @ h + layer.bias_hh
        (ri, zi, ni), (rh, zh, nh) = from_input.chunk(3), from_state.chunk(3)
        z = (zi + zh).sigmoid()
        below = (1 - z) * (ni + (ri + rh).sigmoid() * nh).tanh() + z * h
        after.append([below])
    return below, after


def plain_reading(model, tokens, *, segment=None, update=None):
    """Return each token's loss (a GRU's) and feature; `update(parameters)` follows every segment."""
    state = [[torch.zeros(size)] for size in model.encoder.sizes]
    losses, features, pending, previous = [], [], [], 0
    for count, token in enumerate(map(int, tokens), start=1):
        feature, state = plain_step(model, state, previous)
        loss = functional.cross_entropy(model.head.weight @ feature + model.head.bias, torch.tensor(token))
        losses.append(loss.item())
        features.append(feature.detach())
        pending.append(loss)
        previous = token
        if segment and (count % segment == 0 or count == len(tokens)):
            model.zero_grad()
            torch.stack(pending).mean().backward()
            with torch.no_grad():
                update(list(model.parameters()))
            state = [[part.detach() for part in layer] for layer in state]
            pending = []
    return losses, features


def plain_cache(losses, features, tokens, *, size, theta, mix):
    """Mix a cache into losses, by the formula of Grave et al. and nothing else."""
    mixed = []
    for t, loss in enumerate(losses):
        past = range(max(0, t - size), t)
        weights = [math.exp(theta * float(features[t].double() @ features[i].double())) for i in past]
        hits = sum(weight for i, weight in zip(past, weights, strict=True) if tokens[i] == tokens[t])
        model = math.exp(-loss)
        cache = hits / sum(weights) if weights else model
        mixed.append(-math.log((1 - mix) * model + mix * cache))
    return mixed

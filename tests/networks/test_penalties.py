import torch

from seqgen.networks.tasks import activation_penalties

T, B, H = 5, 3, 4


def features():
    return torch.randn(T, B, H, generator=torch.Generator().manual_seed(1))


def test_activation_penalty_is_the_mean_square():
    size, _ = activation_penalties(features(), torch.zeros(T, B, dtype=torch.bool))
    torch.testing.assert_close(size, features().pow(2).mean())


def test_temporal_penalty_is_the_mean_square_of_changes():
    _, change = activation_penalties(features(), torch.zeros(T, B, dtype=torch.bool))
    torch.testing.assert_close(change, (features()[1:] - features()[:-1]).pow(2).mean())


def test_the_edge_of_a_document_is_no_change():
    values, resets = features(), torch.zeros(T, B, dtype=torch.bool)
    resets[2] = True
    values[2:] += 100
    _, change = activation_penalties(values, resets)
    assert change < 10


def test_one_step_has_no_changes():
    _, change = activation_penalties(features()[:1], torch.zeros(1, B, dtype=torch.bool))
    assert change == 0

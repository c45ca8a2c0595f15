import numpy as np
import pytest
import torch

from seqgen.evaluation import cache
from seqgen.evaluation.adapt import Adaptation, tune_cache
from seqgen.evaluation.cache import Cache, CacheConfig
from tests.evaluation.plain import plain_cache, plain_reading


def random_tokens(count, seed=1):
    return np.random.default_rng(seed).integers(0, 7, count).astype(np.uint8)


def read(model, tokens, **options):
    parts = list(Adaptation(cache=CacheConfig(**options)).losses(model, tokens))
    positions, losses = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    assert positions.tolist() == list(range(len(tokens)))
    return losses


@pytest.mark.parametrize("size", [1, 4, 11, 100])
@pytest.mark.parametrize("theta", [0.0, 0.7, 30.0])
def test_the_cache_matches_the_formula_token_by_token(model, size, theta, monkeypatch):
    monkeypatch.setattr(cache, "STEPS", 6)
    tokens = random_tokens(45)
    losses, features = plain_reading(model, tokens)
    expected = plain_cache(losses, features, tokens, size=size, theta=theta, mix=0.3)
    np.testing.assert_allclose(read(model, tokens, size=size, theta=theta, mix=0.3), expected, atol=1e-5)


def test_a_cache_with_no_share_changes_nothing(model):
    tokens = random_tokens(45)
    (static,) = Adaptation().losses(model, tokens)
    np.testing.assert_array_equal(read(model, tokens, size=8, theta=0.5, mix=0.0), static[1])


def test_a_later_token_changes_no_earlier_cached_loss(model):
    tokens = random_tokens(45)
    before = read(model, tokens, size=20, theta=0.5, mix=0.3)
    tokens[30] = (tokens[30] + 1) % 7
    after = read(model, tokens, size=20, theta=0.5, mix=0.3)
    np.testing.assert_allclose(after[:30], before[:30], atol=1e-6)
    assert abs(after[30] - before[30]) > 1e-3


def test_what_the_cache_forgot_counts_no_more():
    memory = Cache(2, [0.0])
    features = torch.zeros(5, 3)
    log_probs = memory.log_probs(features, torch.tensor([4, 5, 4, 6, 5]), torch.full((5,), -9.0))
    np.testing.assert_allclose(log_probs[0].exp(), [np.exp(-9.0), 0.0, 0.5, 0.0, 0.0], atol=1e-7)


def test_blocks_of_any_size_leave_the_cache_the_same(model):
    tokens = torch.from_numpy(random_tokens(40).astype(np.int64))
    features, fallback = torch.randn(40, 3, generator=torch.Generator().manual_seed(2)), torch.zeros(40)
    whole = Cache(7, [0.2, 1.0]).log_probs(features, tokens, fallback)
    memory = Cache(7, [0.2, 1.0])
    pieces = [
        memory.log_probs(*(x[k : k + 3] for x in (features, tokens, fallback))) for k in range(0, 40, 3)
    ]
    assert whole.shape == (2, 40)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


def test_tuning_takes_what_helps_a_text_that_repeats_itself(model):
    tokens = np.tile(random_tokens(23), 12)
    chosen = tune_cache(model, tokens, size=60, after=Adaptation())
    assert chosen.mix > 0
    static = np.concatenate([losses for _, losses in Adaptation().losses(model, tokens)])
    cached = read(model, tokens, size=60, theta=chosen.theta, mix=chosen.mix)
    assert cached.mean() < static.mean() - 0.1


def test_what_is_given_is_not_tuned(model):
    chosen = tune_cache(model, random_tokens(50), size=9, after=Adaptation(), thetas=[0.25], mixes=[0.125])
    assert chosen == CacheConfig(size=9, theta=0.25, mix=0.125)

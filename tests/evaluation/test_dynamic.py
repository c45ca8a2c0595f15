import numpy as np
import pytest
import torch

from seqgen.evaluation import dynamic
from seqgen.evaluation.adapt import Adaptation, tune_dynamic
from seqgen.evaluation.cache import CacheConfig
from seqgen.evaluation.dynamic import DynamicConfig, gradient_scales, read_dynamically
from tests.evaluation.plain import plain_cache, plain_reading

LENGTH, SEGMENT = 47, 6


@pytest.fixture
def tokens():
    return np.random.default_rng(1).integers(0, 7, LENGTH).astype(np.uint8)


@pytest.fixture
def scales(model):
    draw = torch.Generator().manual_seed(5)
    return [torch.rand(parameter.shape, generator=draw) * 0.1 for parameter in model.parameters()]


def read(model, tokens, adaptation):
    return np.concatenate([losses for _, losses in adaptation.losses(model, tokens)])


def config(**options):
    return DynamicConfig(**{"segment": SEGMENT, "rate": 0.05, "decay": 0.02, **options})


def plain_update(model, scales, *, rate, decay):
    """Return the update of Krause et al., weight by weight; plain gradient descent where scales is None."""
    originals = [parameter.detach().clone() for parameter in model.parameters()]
    mean = None if scales is None else torch.cat([scale.flatten() for scale in scales]).mean()

    def update(parameters):
        for k, (parameter, original) in enumerate(zip(parameters, originals, strict=True)):
            pull, step = torch.tensor(decay), torch.tensor(rate)
            if scales is not None:
                pull = torch.minimum(decay * scales[k] / mean, torch.tensor(1.0))
                step = rate / (scales[k] + dynamic.EPSILON * mean)
            parameter += -step * parameter.grad + pull * (original - parameter)

    return update


@pytest.mark.parametrize(
    ("update", "rate", "decay"), [("sgd", 0.05, 0.1), ("rms", 2e-3, 0.02), ("rms", 2e-3, 0.9)]
)
def test_dynamic_evaluation_matches_the_formula_step_by_step(model, tokens, scales, update, rate, decay):
    chosen = config(update=update, rate=rate, decay=decay)
    fast = read(model, tokens, Adaptation(dynamic=chosen, scales=scales))
    rule = plain_update(model, scales if update == "rms" else None, rate=rate, decay=decay)
    slow, _ = plain_reading(model, tokens, segment=SEGMENT, update=rule)
    np.testing.assert_allclose(fast, slow, atol=1e-5)


def test_a_cache_reads_the_features_of_the_model_as_it_learns(model, tokens):
    chosen, cache = config(update="sgd"), CacheConfig(size=9, theta=0.5, mix=0.2)
    adaptation = Adaptation(dynamic=chosen, cache=cache)
    assert adaptation.protocol == "carried+dynamic+cache"
    fast = read(model, tokens, adaptation)
    rule = plain_update(model, None, rate=chosen.rate, decay=chosen.decay)
    slow, features = plain_reading(model, tokens, segment=SEGMENT, update=rule)
    np.testing.assert_allclose(
        fast, plain_cache(slow, features, tokens, size=9, theta=0.5, mix=0.2), atol=1e-5
    )


@pytest.mark.parametrize("update", ["rms", "sgd"])
def test_a_model_that_learns_at_rate_0_scores_as_it_stands(model, tokens, scales, update):
    dynamic = read(model, tokens, Adaptation(dynamic=config(update=update, rate=0.0), scales=scales))
    np.testing.assert_allclose(dynamic, read(model, tokens, Adaptation()), atol=1e-6)


def test_a_later_token_changes_no_earlier_loss(model, tokens):
    learning = Adaptation(dynamic=config(update="sgd"))
    before = read(model, tokens, learning)
    tokens[30] = (tokens[30] + 1) % 7
    after = read(model, tokens, learning)
    np.testing.assert_allclose(after[:30], before[:30], atol=1e-6)
    assert abs(after[30] - before[30]) > 1e-3


def test_the_model_ends_as_it_began_even_when_reading_stops_early(model, tokens):
    before = {name: parameter.clone() for name, parameter in model.state_dict().items()}
    model.train()
    for stop in (1, LENGTH):
        reading = read_dynamically(model, tokens, config(update="sgd"))
        for _ in zip(range(stop), reading, strict=False):
            pass
        reading.close()
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
        assert model.training


def test_scales_are_the_root_mean_square_gradients_of_training_batches(model, monkeypatch):
    monkeypatch.setattr(dynamic, "STATISTICS_ROWS", 1)
    tokens = np.random.default_rng(2).integers(0, 7, 12).astype(np.uint8)
    found = gradient_scales(model, tokens, segment=4)
    squares = []
    plain_reading(model, tokens, segment=4, update=lambda all_: squares.append([p.grad**2 for p in all_]))
    for scale, *parts in zip(found, *squares, strict=True):
        torch.testing.assert_close(scale, (sum(parts) / 3).sqrt(), rtol=1e-4, atol=1e-6)


def test_rms_without_scales_is_refused(model, tokens):
    with pytest.raises(ValueError, match="scales"):
        list(read_dynamically(model, tokens, config(update="rms")))


@pytest.mark.parametrize("update", ["rms", "sgd"])
def test_tuning_takes_what_helps_a_text_that_repeats_itself(model, update):
    tokens = np.tile(np.random.default_rng(3).integers(0, 7, 23), 20).astype(np.uint8)
    scales = gradient_scales(model, tokens, segment=SEGMENT)
    chosen = tune_dynamic(model, tokens, update=update, segment=SEGMENT, scales=scales)
    assert chosen.rate > 0
    learning = read(model, tokens, Adaptation(dynamic=chosen, scales=scales))
    assert learning.mean() < read(model, tokens, Adaptation()).mean() - 0.05


def test_what_is_given_is_not_tuned(model, tokens):
    assert tune_dynamic(model, tokens, update="sgd", rates=[0.5], decays=[0.25]) == DynamicConfig(
        update="sgd", rate=0.5, decay=0.25
    )

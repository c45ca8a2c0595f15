import math
import random

import pytest

from seqgen.training.divergence import DivergenceError, LossWatch

VOCAB = 65


def follow(watch, losses):
    for loss in losses:
        watch.check_step(loss, 1.0)
    return watch


def watch_of(losses):
    return follow(LossWatch(VOCAB), losses)


def learning_curve(steps=600, noise=0.3, seed=3):
    draw = random.Random(seed)
    return [1.4 + 2.9 * math.exp(-k / 80) + draw.gauss(0, noise) for k in range(steps)]


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_a_noisy_curve_is_no_divergence(noise):
    watch_of(learning_curve(noise=noise))


def test_a_first_hill_and_single_wild_batches_are_no_divergence():
    watch_of([4.2, 5.0, 8.0, 7.0, 6.0, 5.0, 4.5, 4.3, *learning_curve(), 12.0, *[1.4] * 50, 15.0, 1.4])


def test_a_rise_by_overfitting_of_nothing_but_noise_is_no_divergence():
    watch_of([*learning_curve(), *[1.4 + k * 0.002 for k in range(300)]])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_or_gradient_that_is_not_finite_is_divergence(loss):
    with pytest.raises(DivergenceError, match="loss is no longer finite"):
        LossWatch(VOCAB).check_step(loss, 1.0)
    with pytest.raises(DivergenceError, match="gradient is no longer finite"):
        LossWatch(VOCAB).check_step(1.0, loss)


def test_falling_back_to_letter_frequencies_for_good_is_divergence():
    watch = watch_of(learning_curve())
    with pytest.raises(DivergenceError, match=r"exploded to 3\.3 nats"):
        follow(watch, [3.3] * 200)


def test_an_absurd_loss_is_divergence_at_once():
    with pytest.raises(DivergenceError, match=r"exploded to 1e\+06 nats"):
        LossWatch(VOCAB).check_step(1e6, 1.0)


def test_validation_may_overfit_but_not_explode():
    watch = LossWatch(VOCAB)
    watch.check_validation(2 * watch.uniform)
    for loss in (math.nan, math.inf, 1e5):
        with pytest.raises(DivergenceError):
            watch.check_validation(loss)


def test_a_restored_watch_judges_alike():
    watch, again = watch_of(learning_curve()), LossWatch(VOCAB)
    again.restore(watch.record())
    assert (again.smoothed, again.limit) == (watch.smoothed, watch.limit)

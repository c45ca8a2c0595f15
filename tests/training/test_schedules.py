import pytest

from seqgen.config import build_config
from seqgen.training.schedules import CYCLE_END, CYCLE_RISE, CYCLE_START, FINAL_RATE, rate_factor


def factor(step, progress, losses=(), **settings):
    config = build_config({"training": {"warmup_steps": 99, **settings}}).training
    return rate_factor(config, step, progress, list(losses))


def test_cosine_warms_up_peaks_and_ends_small():
    assert factor(0, 0.0) == pytest.approx(0.01)
    assert factor(99, 0.0) == 1
    assert factor(500, 0.5) == pytest.approx((1 + FINAL_RATE) / 2)
    assert factor(1000, 1.0) == pytest.approx(FINAL_RATE)


def test_a_short_budget_warms_up_for_a_share_of_it():
    assert factor(1, 0.05, schedule="constant") == 1


def test_a_constant_rate_stays_at_its_peak():
    assert [factor(step, step / 1000, schedule="constant") for step in (200, 600, 999)] == [1, 1, 1]


def test_one_cycle_rises_to_its_peak_and_falls_to_almost_nothing():
    rates = [factor(k, k / 100, schedule="one-cycle") for k in range(101)]
    peak = round(100 * CYCLE_RISE)
    assert rates[0] == pytest.approx(CYCLE_START)
    assert rates[peak] == 1
    assert rates[100] == pytest.approx(CYCLE_END)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@pytest.mark.parametrize(
    ("losses", "patience", "drops"),
    [
        ([], 1, 0),
        ([3.0, 2.0, 1.0], 1, 0),
        ([3.0, 2.0, 2.5], 1, 1),
        ([3.0, 2.0, 2.0, 2.5, 1.5], 1, 2),
        ([3.0, 2.0, 2.5], 2, 0),
        ([3.0, 2.0, 2.5, 2.1, 2.2], 2, 1),
        ([3.0, 2.0, 2.5, 1.9, 2.0], 2, 0),
    ],
)
def test_plateau_lowers_the_rate_when_validation_stops_improving(losses, patience, drops):
    found = factor(500, 0.5, losses, schedule="plateau", plateau_patience=patience, plateau_factor=0.3)
    assert found == pytest.approx(0.3**drops)

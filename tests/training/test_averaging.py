import pytest
import torch
from torch import nn

from seqgen.config import build_config
from seqgen.errors import ConfigError
from seqgen.training.averaging import EVERY, WeightAverage, averaging_rule


class Walk:
    """A model whose one weight is set by hand, with its average."""

    def __init__(self, **settings):
        self.model = nn.Linear(1, 1, bias=False)
        self.average = WeightAverage(
            self.model, averaging_rule(build_config({"training": settings}).training)
        )
        self.step = 0

    def go(self, value, progress=0.0, losses=()):
        self.step += EVERY
        self.model.weight.data.fill_(value)
        self.average.update(self.step, progress, list(losses))

    def averaged(self):
        with self.average.in_place():
            return self.model.weight.item()


def test_without_averaging_the_raw_weights_are_seen():
    walk = Walk()
    walk.go(3.0)
    assert walk.averaged() == 3
    assert walk.average.tensors() == {}


def test_a_tail_average_is_the_mean_of_the_last_weights():
    walk = Walk(average="tail", average_tail=0.5)
    for value, progress in ((9.0, 0.3), (1.0, 0.5), (2.0, 0.7), (6.0, 0.9)):
        walk.go(value, progress)
    assert walk.averaged() == pytest.approx(3.0)
    assert walk.model.weight.item() == 6


def test_an_exponential_average_follows_its_recurrence():
    walk = Walk(average="ema", average_decay=0.95)
    expected = None
    for value in (1.0, 4.0, -2.0, 5.0, 0.5) * 9:
        walk.go(value)
        kept = min(0.95, (1 + walk.step) / (10 + walk.step)) ** EVERY
        expected = value if expected is None else kept * expected + (1 - kept) * value
    assert walk.averaged() == pytest.approx(expected, rel=1e-5)


def test_nt_asgd_averages_from_when_validation_stalls():
    walk = Walk(optimizer="nt-asgd", average_after=2)
    walk.go(9.0, losses=[3.0, 2.0, 2.5, 2.2])  # 2.2 is worse than 2.0, which is only two before it
    assert walk.average.count == 0
    walk.go(1.0, losses=[3.0, 2.0, 2.5, 2.2, 2.1])
    walk.go(4.0, losses=[3.0, 2.0, 2.5, 2.2, 2.1, 1.0])
    assert walk.averaged() == pytest.approx(2.5)


def test_nt_asgd_takes_no_other_average():
    with pytest.raises(ConfigError, match="averages by itself"):
        averaging_rule(build_config({"training": {"optimizer": "nt-asgd", "average": "ema"}}).training)


def test_steps_between_are_not_averaged():
    walk = Walk(average="ema")
    walk.average.update(EVERY + 1, 0.5, [])
    assert walk.average.count == 0


def test_an_average_that_is_restored_goes_on_alike():
    walk, again = Walk(average="tail", average_tail=1.0), Walk(average="tail", average_tail=1.0)
    walk.go(1.0)
    walk.go(2.0)
    again.average.restore({name: tensor.numpy() for name, tensor in walk.average.tensors().items()})
    again.average.count = walk.average.count
    again.step = walk.step
    for one in (walk, again):
        one.go(6.0)
    assert walk.averaged() == again.averaged() == pytest.approx(3.0)


def test_the_raw_weights_come_back_after_an_error():
    walk = Walk(average="ema")
    walk.go(1.0)
    walk.model.weight.data.fill_(5.0)
    with pytest.raises(ZeroDivisionError), walk.average.in_place():
        walk.model.weight.data.fill_(1 / 0)
    assert torch.equal(walk.model.weight.data, torch.tensor([[5.0]]))

import pytest

from seqgen.config import build_config
from seqgen.errors import ConfigError
from seqgen.training.budget import (
    PRESETS,
    Budget,
    budget_text,
    preset,
    preset_for,
    suited_to,
    suited_to_vocabulary,
    with_budget,
)


def training(**budget):
    return build_config({"training": budget}).training


def test_a_budget_ends_at_whichever_comes_first():
    budget = Budget.of(training(epochs=2, minutes=1), steps_per_epoch=50)
    assert budget.progress(50, 6) == 0.5
    assert budget.progress(10, 45) == 0.75
    assert budget.progress(100, 1) == 1


def test_without_a_budget_training_lasts_some_minutes():
    budget = Budget.of(training(), steps_per_epoch=50)
    assert budget.steps is None
    assert budget.seconds == 180
    assert budget_text(build_config({}).training) == "3 minutes"
    assert budget_text(training(epochs=1, minutes=1)) == "1 epoch or 1 minute"


def test_a_budget_can_be_steps():
    budget = Budget.of(training(steps=40), steps_per_epoch=7)
    assert (budget.steps, budget.seconds) == (40, None)
    assert budget.progress(10, 1e6) == 0.25
    assert Budget.of(training(steps=40, epochs=2), steps_per_epoch=7).steps == 14
    assert budget_text(training(steps=1200)) == "1,200 steps"
    assert budget_text(training(steps=1)) == "1 step"


def test_a_budget_that_is_chosen_replaces_another_of_any_kind():
    plain = {"training": {"steps": None, "epochs": 2.0, "minutes": 1.0, "bptt": 30}}
    chosen = {"training": {"steps": 9, "bptt": 50}}
    assert with_budget(plain, chosen)["training"] == {"steps": 9, "epochs": None, "minutes": None, "bptt": 30}
    assert with_budget(plain, {"model": {"layers": 3}}) == plain


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_configuration(name):
    build_config(preset(name))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "nt-asgd"])
def test_every_optimizer_suits_a_valid_configuration(optimizer):
    build_config(suited_to(optimizer))


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="choose tiny, small"):
        preset("huge")


def test_presets_grow_with_the_corpus():
    sizes = [PRESETS[preset_for(n, accelerated=False)]["model"]["hidden_size"] for n in (10**4, 10**6, 10**8)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_a_large_vocabulary_gets_an_adaptive_softmax_where_nothing_needs_a_full_one():
    adaptive = {"model": {"softmax": "adaptive"}}
    assert suited_to_vocabulary({}, size=30_000, level="word") == adaptive
    assert suited_to_vocabulary({}, size=65, level="char") == {}
    assert suited_to_vocabulary({}, size=30_000, level="note") == {}
    for settled in ({"model": {"tied": True}}, {"training": {"label_smoothing": 0.1}}):
        assert suited_to_vocabulary(settled, size=30_000, level="word") == {}

import pytest

from seqgen.config import build_config
from seqgen.errors import ConfigError
from seqgen.training import planner
from seqgen.training.planner import batch_for, fitted_law, make_plan, plannable_seconds
from tests.corpora import MemoryCorpus, sentences


@pytest.fixture(scope="module")
def corpus():
    return MemoryCorpus(sentences(400))


def loss(**changes):
    values = {"cell": "gru", "hidden_size": 256, "dropout": 0.2, "train_tokens": 10**6, "seen_tokens": 5e6}
    values |= changes
    return fitted_law().loss(1.7, **values)


def prospect(affordable, *, train_tokens, hidden_size=256, dropouts=planner.DROPOUTS):
    return fitted_law().best(
        1.7,
        cell="gru",
        hidden_size=hidden_size,
        dropouts=dropouts,
        train_tokens=train_tokens,
        affordable=affordable,
    )


def test_seeing_more_of_a_large_corpus_helps_and_of_a_small_one_harms():
    assert loss(train_tokens=10**9, seen_tokens=2e7) < loss(train_tokens=10**9)
    assert loss(train_tokens=10**4, seen_tokens=2e7) > loss(train_tokens=10**4, seen_tokens=2e5)


def test_time_that_would_only_overfit_is_left_unused():
    poem, library = prospect(2e7, train_tokens=3_000), prospect(2e7, train_tokens=10**9)
    assert not poem.whole
    assert poem.epochs < 2e7 / 3_000 / 10
    assert library.whole
    assert library.epochs == 2e7 / 10**9


def test_dropout_slows_learning_and_overfitting():
    def overfitting(dropout):
        small, large = (loss(train_tokens=n, dropout=dropout) for n in (10**5, 10**12))
        return small - large

    assert overfitting(0.5) < overfitting(0.0)
    assert loss(train_tokens=10**12, dropout=0.5) > loss(train_tokens=10**12, dropout=0.0)


def test_a_batch_leaves_some_steps_an_epoch():
    for tokens in (3_000, 30_000, 10**6):
        batch = batch_for(tokens)
        assert tokens / (batch["batch_size"] * batch["bptt"]) >= 8
    assert batch_for(10**6) == {"batch_size": 64, "bptt": 64}


def test_a_plan_leaves_what_was_chosen_and_ends_with_the_clock(corpus):
    chosen = {"vocab": {"level": "char"}, "model": {"cell": "lstm", "dropout": 0.25, "layers": 1}}
    plan = make_plan(corpus, chosen, seconds=60)
    config = build_config(plan.values)
    assert (config.model.cell, config.model.dropout, config.model.layers) == ("lstm", 0.25, 1)
    assert config.model.hidden_size in planner.HIDDEN_SIZES
    assert plan.epochs * len(corpus.tokens("train")) / plan.tokens_per_second == pytest.approx(plan.lasts)
    if plan.whole:
        assert config.training.minutes * 60 == pytest.approx(60 - plan.seconds)
    else:
        assert config.training.epochs == plan.epochs


def test_both_cells_are_timed_and_the_better_prospect_is_taken(corpus, monkeypatch):
    monkeypatch.setattr(planner, "HIDDEN_SIZES", (16, 32))
    plan = make_plan(corpus, {"vocab": {"level": "char"}}, seconds=60)
    assert {line.split()[0] for line in plan.timed} == {"gru", "lstm"}
    assert plan.loss_nats == pytest.approx(min(float(line.split()[-1]) for line in plan.timed), abs=5e-4)


def test_too_little_memory_says_how_much_the_smallest_takes(corpus):
    with pytest.raises(ConfigError, match=r"--memory: even gru with 64 units takes [0-9.]+ [MG]B"):
        make_plan(corpus, {}, seconds=60, memory=1e6)


@pytest.mark.parametrize(
    ("settled", "seconds"),
    [
        ({}, 180),
        ({"training": {"minutes": 5}}, 300),
        ({"training": {"minutes": 0.1}}, None),
        ({"training": {"epochs": 2}}, None),
        ({"training": {"epochs": 2, "minutes": 5}}, None),
        ({"training": {"optimizer": "sgd"}}, None),
        ({"model": {"hidden_size": 100}}, None),
        ({"model": {"cell": "rnn"}}, None),
        ({"model": {"cell": "lstm"}}, 180),
    ],
)
def test_only_a_budget_in_time_with_an_open_size_is_planned(settled, seconds):
    assert plannable_seconds(settled, 65) == seconds


def test_words_are_not_planned():
    assert plannable_seconds({}, 33_278) is None

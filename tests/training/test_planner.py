from itertools import count
from types import SimpleNamespace

import pytest

from seqgen.config import build_config
from seqgen.errors import ConfigError
from seqgen.training import law, planner
from seqgen.training.law import batch_for, fitted_law, rate_for
from seqgen.training.planner import make_plan, planned_seconds, reason_not_to_plan, suited_rate
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
        affordable={0.0: affordable},
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


def test_smoothing_lessens_overfitting():
    small = {"train_tokens": 10**4, "seen_tokens": 2e6}
    assert loss(**small, smoothing=0.5) < loss(**small, smoothing=0.3) < loss(**small)


def test_smaller_batches_are_worth_less_than_as_many_more_steps():
    large = {"train_tokens": 10**9}
    assert loss(**large, rows=64) == loss(**large)
    assert loss(**large, seen_tokens=10**7) < loss(**large, rows=32) < loss(**large)


def test_muon_learns_faster_and_overfits_sooner():
    assert loss(train_tokens=10**9, optimizer="muon") < loss(train_tokens=10**9)
    small = {"train_tokens": 10**4, "seen_tokens": 10**7}
    assert loss(**small, optimizer="muon") > loss(**small)


def test_a_batch_leaves_some_steps_an_epoch():
    for tokens in (3_000, 30_000, 10**6):
        batch = batch_for(tokens)
        assert tokens / (batch["batch_size"] * batch["bptt"]) >= 8
    assert batch_for(10**6) == {"batch_size": 64, "bptt": 64}


def rate(steps, *, train_tokens=10**7, batch_tokens=4096, hidden_size=256):
    sizes = {"batch_tokens": batch_tokens, "hidden_size": hidden_size}
    return rate_for(steps, train_tokens=train_tokens, **sizes)


def test_shorter_trainings_larger_batches_and_smaller_models_learn_at_higher_rates():
    assert rate(100) > rate(2_000) > rate(10_000)
    assert rate(2_000) > rate(2_000, batch_tokens=1_024) > rate(20_000, batch_tokens=128) > 0
    assert rate(2_000, train_tokens=10**6) == rate(2_000) > rate(2_000, train_tokens=10**5)
    assert rate(2_000) > rate(2_000, hidden_size=512) > rate(2_000, hidden_size=1024)


def test_a_plan_has_a_rate_of_its_own_unless_one_was_chosen(corpus, monkeypatch):
    monkeypatch.setattr(planner, "HIDDEN_SIZES", (16,))
    plan = make_plan(corpus, {}, seconds=60)
    training = build_config(plan.values).training
    batch_tokens = training.batch_size * training.bptt
    tokens = len(corpus.tokens("train"))
    sizes = {"train_tokens": tokens, "batch_tokens": batch_tokens, "hidden_size": 16}
    assert training.learning_rate == rate(plan.epochs * tokens / batch_tokens, **sizes)
    chosen = make_plan(corpus, {"training": {"learning_rate": 0.003}}, seconds=60)
    assert build_config(chosen.values).training.learning_rate == 0.003


def suited(corpus, *, cell="gru", **training):
    values = {
        "model": {"cell": cell, "hidden_size": 16},
        "training": {"batch_size": 8, "bptt": 16, **training},
    }
    return suited_rate(corpus, build_config(values))


def test_the_rate_of_a_settled_model_follows_from_the_steps_of_its_budget(corpus, monkeypatch):
    monkeypatch.setattr(planner.Trainer, "trial", lambda self, steps: 12_800.0)
    monkeypatch.setattr(planner, "rate_for", lambda steps, **_sizes: steps)
    assert suited(corpus, minutes=2) == 12_000
    assert suited(corpus, steps=700) == suited(corpus, steps=700, minutes=2) == 700
    assert suited(corpus, epochs=3) == 3 * (len(corpus.tokens("train")) // 128)


@pytest.mark.parametrize("other", [{"cell": "rnn"}, {"optimizer": "sgd"}], ids=str)
def test_the_rates_of_other_cells_and_optimisers_stay(corpus, other):
    assert suited(corpus, steps=700, **other) is None


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


@pytest.fixture
def large_enough(monkeypatch):
    monkeypatch.setattr(planner, "FEWEST_TURNED", 100)


def choice(corpus, speed_of, **chosen):
    """Plan with the speed that a function of the training's settings says; return what it settles on."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(planner, "HIDDEN_SIZES", (16,))
        patched.setattr(planner, "batch_for", lambda _tokens: {"batch_size": 64, "bptt": 8})
        patched.setattr(planner.Trainer, "trial", lambda trainer: speed_of(trainer.config.training))
        plan = make_plan(corpus, chosen, seconds=60)
    return build_config(plan.values).training, plan.timed


def test_half_the_rows_are_taken_where_they_are_nearly_as_fast(corpus):
    plain = {"optimizer": "adamw"}
    taken, timed = choice(corpus, lambda training: 1e4 - 50 / training.batch_size, training=plain)
    assert taken.batch_size == 32
    assert [line.split()[2] for line in timed] == ["64", "64", "32"]
    slow, _ = choice(corpus, lambda training: 10.0 * training.batch_size, training=plain)
    assert slow.batch_size == 64


def test_muon_is_taken_where_it_is_nearly_as_fast_and_brings_its_momentum(corpus, large_enough):
    taken, timed = choice(corpus, lambda training: 1e4 - (training.optimizer == "muon"))
    assert (taken.optimizer, taken.momentum) == ("muon", 0.9)
    tried = [(line.split()[0], "muon" in line) for line in timed]
    assert tried == [("gru", False), ("gru", True), ("lstm", True)]
    assert taken.batch_size == 64
    slow, _ = choice(corpus, lambda training: 1e4 if training.optimizer == "adamw" else 1e2)
    assert (slow.optimizer, slow.momentum) == ("adamw", 0)


def test_small_corpora_are_left_to_adamw(corpus):
    assert len(corpus.tokens("train")) < planner.FEWEST_TURNED
    taken, timed = choice(corpus, lambda _training: 1e4)
    assert taken.optimizer == "adamw"
    assert not any("muon" in line for line in timed)


def test_a_chosen_batch_and_optimiser_stay(corpus):
    chosen = {"batch_size": 48, "optimizer": "adamw"}
    taken, timed = choice(corpus, lambda _training: 1e4, training=chosen)
    assert (taken.batch_size, taken.optimizer, len(timed)) == (48, "adamw", 2)


def smoothings(corpus, **chosen):
    return list(planner._Planner(corpus, chosen, seconds=60, memory=None).smoothings)


def test_a_small_text_is_smoothed_by_its_ngrams(corpus, monkeypatch):
    monkeypatch.setattr(planner, "HIDDEN_SIZES", (16,))
    plan = make_plan(corpus, {"vocab": {"level": "char"}}, seconds=600)
    assert plan.values["training"]["ngram_smoothing"] in planner.SMOOTHINGS[1:]


@pytest.mark.parametrize(
    "chosen", [{"training": {"label_smoothing": 0.1}}, {"model": {"softmax": "adaptive"}}], ids=str
)
def test_targets_that_cannot_be_smoothed_by_ngrams_are_not(corpus, chosen):
    assert smoothings(corpus, **chosen) == [0.0]


def test_music_and_large_corpora_are_not_smoothed(corpus, monkeypatch):
    assert smoothings(corpus) == list(planner.SMOOTHINGS)
    with monkeypatch.context() as patched:
        patched.setattr(planner, "MOST_SMOOTHED", 100)
        assert smoothings(corpus) == [0.0]
    notes = SimpleNamespace(tokens=["<eos>", *"abcdefgh"], level="note")
    music = SimpleNamespace(tokens=lambda part: corpus.tokens(part) % 9, tokenizer=notes)
    assert smoothings(music) == [0.0]


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_chosen_smoothing_stays(corpus, share, monkeypatch):
    monkeypatch.setattr(planner, "HIDDEN_SIZES", (16,))
    plan = make_plan(corpus, {"training": {"ngram_smoothing": share}}, seconds=60)
    assert build_config(plan.values).training.ngram_smoothing == share


def test_looking_up_ngrams_takes_time(corpus):
    planned = planner._Planner(corpus, {}, seconds=60, memory=None)
    assert planned._with_smoothing(1e5, 0.0) == 1e5
    planned.smoothing_seconds = 1e-5
    assert planned._with_smoothing(1e5, 0.3) == pytest.approx(5e4)


def test_what_is_expected_is_of_the_time_that_planning_leaves(corpus, monkeypatch):
    clock = count(step=4)
    monkeypatch.setattr(planner, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(planner, "HIDDEN_SIZES", (16, 32))
    monkeypatch.setattr(law, "EPOCH_SHARES", (1.0,))
    plan = make_plan(corpus, {"vocab": {"level": "char"}}, seconds=100)
    assert plan.whole
    assert plan.seconds + plan.lasts == pytest.approx(100, abs=4)
    assert len(plan.timed) == 3


def test_too_little_memory_says_how_much_the_smallest_takes(corpus):
    with pytest.raises(ConfigError, match=r"--memory 0.001: even gru with 64 units takes [0-9.]+ [MG]B"):
        make_plan(corpus, {}, seconds=60, memory=1e6)


def test_where_memory_is_short_targets_are_not_smoothed(corpus, monkeypatch):
    monkeypatch.setattr(planner, "HIDDEN_SIZES", (16,))
    needed = {0.0: 1.0, 0.3: 3.0, 0.5: 3.0}
    monkeypatch.setattr(planner._Planner, "_memory_needed", lambda self, values, smoothing: needed[smoothing])
    plan = make_plan(corpus, {}, seconds=600, memory=2.0)
    assert build_config(plan.values).training.ngram_smoothing == 0
    roomy = make_plan(corpus, {}, seconds=600, memory=4.0)
    assert build_config(roomy.values).training.ngram_smoothing > 0


@pytest.mark.parametrize(("settled", "seconds"), [({}, 180), ({"training": {"minutes": 5}}, 300)])
def test_a_budget_in_time_with_an_open_size_is_planned(settled, seconds):
    assert reason_not_to_plan(settled, 65) is None
    assert planned_seconds(settled) == seconds
    assert reason_not_to_plan({"model": {"cell": "lstm"}}, 1000) is None


@pytest.mark.parametrize(
    ("settled", "vocab_size", "reason"),
    [
        ({"training": {"minutes": 0.1}}, 65, "less than 30 seconds are too few to time candidates"),
        ({"training": {"epochs": 2}}, 65, "the budget is not in minutes"),
        ({"training": {"steps": 2, "minutes": 5}}, 65, "the budget is not in minutes"),
        ({"training": {"optimizer": "sgd"}}, 65, "it knows adamw and muon, not sgd"),
        ({"model": {"hidden_size": 100}}, 65, "the hidden size is given"),
        ({"model": {"cell": "rnn"}}, 65, "it knows gru and lstm, not rnn"),
        ({}, 33_278, "it knows vocabularies of up to 1,000 tokens, and this one has 33,278"),
    ],
)
def test_why_nothing_is_planned_is_told(settled, vocab_size, reason):
    assert reason_not_to_plan(settled, vocab_size) == reason

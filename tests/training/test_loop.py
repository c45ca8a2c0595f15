from itertools import islice

import numpy as np
import pytest

from seqgen.artifacts import load_artifact, load_checkpoint
from seqgen.config import build_config, merge, to_plain
from seqgen.errors import ArtifactError, ConfigError
from seqgen.networks.tasks import LanguageModel
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.training.finish import finish
from seqgen.training.loop import fit_batch, train
from tests.corpora import MemoryCorpus, sentences


@pytest.fixture(scope="module")
def corpus():
    return MemoryCorpus(sentences(300))


def settings(cell="gru", *, options=None, **training):
    return build_config(
        {
            "vocab": {"level": "char"},
            "model": {
                "cell": cell, "hidden_size": 24, "embedding_size": 10, "dropout": 0.1, **(options or {}),
            },
            "training": {
                "epochs": 2, "batch_size": 8, "bptt": 20, "learning_rate": 1e-2, "warmup_steps": 3,
                "device": "cpu", "validations": 4, **training,
            },
        }
    )  # fmt: skip


def run(corpus, path, config, *, stop_after=None, checkpoint=None):
    steps = train(corpus, config, path=path, source={"corpus": ["memory"]}, checkpoint=checkpoint)
    taken = list(islice(steps, stop_after))
    steps.close()
    return taken


def weights(path):
    return load_checkpoint(path).tensors


def test_training_learns_more_than_letter_frequencies(corpus, tmp_path):
    steps = run(corpus, tmp_path / "m", settings(epochs=8))
    counts = np.bincount(corpus.tokens("valid"))
    shares = counts[counts > 0] / counts.sum()
    unigram_nats = -(shares * np.log(shares)).sum()
    score = finish(corpus, tmp_path / "m", device="cpu")
    assert score.loss_nats < 0.6 * unigram_nats
    assert steps[-1].progress == 1
    assert load_artifact(tmp_path / "m").scores["valid"]["protocol"] == "carried"


def test_training_begins_with_the_frequencies(corpus, tmp_path):
    first = run(corpus, tmp_path / "m", settings(options={"dropout": 0.0}), stop_after=1)[0]
    counts = np.bincount(corpus.tokens("train"))
    shares = counts[counts > 0] / counts.sum()
    assert first.loss_nats == pytest.approx(-(shares * np.log(shares)).sum(), rel=0.05)
    assert first.loss_nats < 0.9 * np.log(len(corpus.tokenizer.tokens))


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {}),
        ("gru", {"embedding": "one-hot"}),
        ("rnn", {}),
        ("lstm", {"mogrifier": 2, "layer_norm": True}),
        ("window", {"context": 5}),
        ("bow", {"context": 1}),
    ],
    ids=str,
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(corpus, tmp_path, cell, options):
    config = settings(cell, options=options)
    whole = run(corpus, tmp_path / "whole", config)
    for cut in (len(whole) // 3, len(whole) // 2 + 1):
        path = tmp_path / f"cut{cut}"
        run(corpus, path, config, stop_after=cut)
        rest = run(corpus, path, config, checkpoint=load_checkpoint(path))
        assert rest[-1].step == whole[-1].step
        expected, found = weights(tmp_path / "whole"), weights(path)
        assert expected.keys() == found.keys()
        assert all(np.array_equal(expected[name], found[name]) for name in expected)
        assert [r["valid_loss_nats"] for r in load_checkpoint(path).history] == [
            r["valid_loss_nats"] for r in load_checkpoint(tmp_path / "whole").history
        ]


@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.5, "schedule": "plateau"},
        {"optimizer": "nt-asgd", "learning_rate": 5.0, "schedule": "constant", "average_after": 1},
        {"average": "ema", "average_decay": 0.9, "schedule": "one-cycle"},
        {"average": "tail", "average_tail": 0.9, "random_bptt": True},
    ],
)
def test_every_way_of_training_resumes_bit_for_bit(corpus, tmp_path, training):
    config = settings(validations=12, **training)
    whole = run(corpus, tmp_path / "whole", config)
    expected = load_checkpoint(tmp_path / "whole")
    assert bool(expected.progress["averaged"]) == ("momentum" not in training)
    for cut in (len(whole) // 3, 3 * len(whole) // 4):
        path = tmp_path / f"cut{cut}"
        run(corpus, path, config, stop_after=cut)
        run(corpus, path, config, checkpoint=load_checkpoint(path))
        assert_equal(load_checkpoint(path), expected)


def assert_equal(found, expected):
    assert {**found.progress, "seconds": 0} == {**expected.progress, "seconds": 0}
    assert expected.tensors.keys() == found.tensors.keys()
    assert all(np.array_equal(expected.tensors[name], found.tensors[name]) for name in expected.tensors)


def test_the_artifact_keeps_the_averaged_weights_and_the_checkpoint_both(corpus, tmp_path):
    config = settings(average="tail", average_tail=0.9, validations=1)
    run(corpus, tmp_path / "m", config)
    kept, tensors = load_artifact(tmp_path / "m").weights(), load_checkpoint(tmp_path / "m").tensors
    for name, array in kept.items():
        assert np.array_equal(array, tensors[f"average.{name}"])
        assert not np.array_equal(array, tensors[f"model.{name}"])


def test_random_windows_vary_and_scale_the_rate(corpus, tmp_path):
    config = settings(random_bptt=True, schedule="constant", warmup_steps=0)
    rates = [step.learning_rate for step in run(corpus, tmp_path / "m", config)]
    assert len(set(rates)) > 5
    assert np.mean(rates) == pytest.approx(1e-2, rel=1e-3)


def break_once(monkeypatch, at_call):
    """Make one loss NaN; the first call warms up."""
    real, calls = LanguageModel.mean_loss, []

    def mean_loss(*arguments, **options):
        calls.append(1)
        return real(*arguments, **options) * (float("nan") if len(calls) == at_call else 1.0)

    monkeypatch.setattr(LanguageModel, "mean_loss", mean_loss)


def test_a_single_nan_goes_back_to_the_last_validation_at_half_the_rate(corpus, tmp_path, monkeypatch):
    config = settings(schedule="constant", average="ema")
    plain = run(corpus, tmp_path / "plain", config)
    validated = next(step.step for step in plain if step.validation)
    break_once(monkeypatch, at_call=validated + 7)
    steps = run(corpus, tmp_path / "m", config)
    (told,) = [k for k, step in enumerate(steps) if step.notice]
    assert (steps[told - 1].step, steps[told].step) == (validated + 5, validated + 1)
    assert "no longer finite" in steps[told].notice
    assert f"going on from step {validated} at half the learning rate (1 of 3" in steps[told].notice
    assert steps[told].loss_nats == plain[validated].loss_nats
    assert steps[told].learning_rate == plain[validated].learning_rate / 2
    assert steps[-1].step == plain[-1].step
    assert finish(corpus, tmp_path / "m", device="cpu").loss_nats < 2


def test_a_recovered_run_resumes_bit_for_bit(corpus, tmp_path, monkeypatch):
    config = settings(average="tail", average_tail=0.9)
    for name, cut in (("whole", None), ("cut", 40)):
        with monkeypatch.context() as patch:
            break_once(patch, at_call=30)
            run(corpus, tmp_path / name, config, stop_after=cut)
    run(corpus, tmp_path / "cut", config, checkpoint=load_checkpoint(tmp_path / "cut"))
    expected = load_checkpoint(tmp_path / "whole")
    assert expected.progress["recoveries"] == 1
    assert_equal(load_checkpoint(tmp_path / "cut"), expected)


@pytest.mark.parametrize(
    "head", [{"tied": True}, {"softmax": "adaptive", "cutoffs": (3, 9)}], ids=["tied", "adaptive"]
)
def test_every_output_layer_learns_resumes_and_is_restored(corpus, tmp_path, head):
    plain = to_plain(settings(label_smoothing=0.1))
    config = build_config(merge(plain, {"model": head}))
    whole = run(corpus, tmp_path / "whole", config)
    run(corpus, tmp_path / "cut", config, stop_after=len(whole) // 2)
    run(corpus, tmp_path / "cut", config, checkpoint=load_checkpoint(tmp_path / "cut"))
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert finish(corpus, tmp_path / "whole", device="cpu").loss_nats < whole[0].loss_nats - 0.3
    assert list(Sampler(load_artifact(tmp_path / "whole")).generate(SampleConfig(length=20)))


def test_ngram_smoothing_helps_a_network_that_overfits(tmp_path):
    corpus, losses = MemoryCorpus(sentences(60)), {}
    for share in (0.0, 0.5):
        config = settings(
            options={"hidden_size": 64, "dropout": 0.0}, epochs=40, ngram_smoothing=share, validations=20
        )
        path = tmp_path / str(share)
        losses[share] = [step.validation.loss_nats for step in run(corpus, path, config) if step.validation]
    assert losses[0.5][-1] < losses[0.0][-1] - 0.05
    assert min(losses[0.5]) < min(losses[0.0])


def test_a_run_with_ngram_smoothing_resumes_bit_for_bit(corpus, tmp_path):
    config = settings(ngram_smoothing=0.3)
    whole = run(corpus, tmp_path / "whole", config)
    run(corpus, tmp_path / "cut", config, stop_after=len(whole) // 2)
    run(corpus, tmp_path / "cut", config, checkpoint=load_checkpoint(tmp_path / "cut"))
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_the_same_seed_trains_the_same_weights_and_another_does_not(corpus, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(corpus, tmp_path / name, settings(seed=seed), stop_after=9)
    a, b, c = (weights(tmp_path / name)["model.head.weight"] for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_closed_training_leaves_a_model_and_a_checkpoint(corpus, tmp_path):
    run(corpus, tmp_path / "m", settings(), stop_after=2)
    assert load_checkpoint(tmp_path / "m").progress["step"] == 2
    assert load_artifact(tmp_path / "m").scores == {}


def test_a_run_that_is_killed_goes_on_from_its_last_validation(corpus, tmp_path):
    config = settings()
    whole = run(corpus, tmp_path / "whole", config)
    steps = train(corpus, config, path=tmp_path / "killed", source={"corpus": ["memory"]})
    last = next(step for step in steps if step.validation)
    saved = load_checkpoint(tmp_path / "killed")  # as it lies there before the generator is closed
    assert saved.progress["step"] == last.step
    steps.close()
    run(corpus, tmp_path / "killed", config, checkpoint=saved)
    assert load_checkpoint(tmp_path / "killed").progress["step"] == whole[-1].step


def test_more_epochs_after_the_end_are_validated_as_evenly(corpus, tmp_path):
    run(corpus, tmp_path / "m", settings(epochs=1))
    more = run(corpus, tmp_path / "m", settings(epochs=3), checkpoint=load_checkpoint(tmp_path / "m"))
    assert sum(step.validation is not None for step in more) in (2, 3)


def test_the_best_weights_are_kept_when_the_last_are_worse(corpus, tmp_path):
    steps = run(corpus, tmp_path / "m", settings(epochs=6, validations=6, learning_rate=0.5, warmup_steps=0))
    best = min(s.validation.loss_nats for s in steps if s.validation)
    history = load_artifact(tmp_path / "m").history()
    assert history[-1]["valid_loss_nats"] == pytest.approx(best, abs=1e-4)


def test_training_stops_early_when_the_score_stops_improving(corpus, tmp_path):
    config = settings(epochs=50, validations=50, learning_rate=0.5, patience=2, warmup_steps=0)
    steps = run(corpus, tmp_path / "m", config)
    assert steps[-1].stopped_early
    assert not any(s.is_best for s in steps if s.validation and s.step > steps[-1].step - 2)


def test_a_checkpoint_of_another_corpus_is_refused(corpus, tmp_path):
    run(corpus, tmp_path / "m", settings(), stop_after=1)
    other = MemoryCorpus(sentences(50, seed=9))
    with pytest.raises(ArtifactError, match="another corpus"):
        run(other, tmp_path / "m", settings(), checkpoint=load_checkpoint(tmp_path / "m"))


@pytest.mark.parametrize("training", [{}, {"average": "ema"}, {"optimizer": "sgd"}])
@pytest.mark.parametrize("learning_rate", [1e6, 1e30])
def test_a_hopeless_rate_is_one_line_with_advice_and_leaves_nothing(
    corpus, tmp_path, learning_rate, training
):
    config = settings(learning_rate=learning_rate, warmup_steps=0, clip_norm=1e30, validations=1, **training)
    with pytest.raises(ConfigError, match=r"halved 3 times; .* lower --learning-rate"):
        run(corpus, tmp_path / "m", config)
    assert not (tmp_path / "m").exists()


def test_what_was_validated_before_a_training_fell_apart_stays(corpus, tmp_path, monkeypatch):
    real, calls = LanguageModel.mean_loss, []

    def mean_loss(*arguments, **options):
        calls.append(1)
        return real(*arguments, **options) * (float("nan") if len(calls) > 60 else 1.0)

    monkeypatch.setattr(LanguageModel, "mean_loss", mean_loss)
    with pytest.raises(ConfigError, match="halved 3 times"):
        run(corpus, tmp_path / "m", settings())
    checkpoint, history = load_checkpoint(tmp_path / "m"), load_artifact(tmp_path / "m").history()
    assert checkpoint.progress["step"] == history[-1]["step"] > 0
    assert all(np.isfinite(array).all() for array in checkpoint.tensors.values())


def test_clipped_steps_are_told(corpus, tmp_path):
    assert run(corpus, tmp_path / "a", settings(clip_norm=1e-9), stop_after=3)[-1].clipped_share == 1
    assert run(corpus, tmp_path / "b", settings(clip_norm=1e9), stop_after=3)[-1].clipped_share == 0


def test_a_corpus_without_validation_still_gives_a_model(tmp_path):
    corpus = MemoryCorpus(sentences(40))
    corpus.parts["valid"] = []
    steps = run(corpus, tmp_path / "m", settings(epochs=1))
    assert all(step.validation is None for step in steps)
    assert finish(corpus, tmp_path / "m", device="cpu") is None
    assert load_artifact(tmp_path / "m").weights()


def test_small_corpora_shrink_the_batch():
    assert fit_batch(1_000_000, batch_size=64, bptt=100) == (64, 100)
    assert fit_batch(1_000, batch_size=64, bptt=100) == (10, 100)
    assert fit_batch(30, batch_size=64, bptt=100) == (1, 30)

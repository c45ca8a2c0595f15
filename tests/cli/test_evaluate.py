import json
from dataclasses import fields, replace

import pytest

from seqgen.artifacts import load_artifact
from seqgen.cli.adapting import AdaptOptions, switched_off
from seqgen.cli.app import run
from seqgen.evaluation.adapt import Adaptation
from seqgen.evaluation.cache import CacheConfig
from seqgen.evaluation.dynamic import DynamicConfig
from tests.corpora import sentences

SMALL = [
    "--hidden-size",
    "16",
    "--embedding-size",
    "8",
    "--batch-size",
    "8",
    "--epochs",
    "1",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a text that repeats itself and a model of it."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQGEN_CACHE", str(path / "cache"))
        (path / "text.txt").write_text("\n".join(sentences(40) * 4))
        text = str(path / "text.txt")
        assert run(["train", text, "-o", str(path / "m"), "--split", "60/20/20", *SMALL]) == 0
        assert run(["train", text, "-o", str(path / "untested"), "--split", "100/0/0", *SMALL]) == 0
        yield path


def scored(capsys, *arguments):
    assert run(["evaluate", *map(str, arguments), "--device", "cpu", "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_an_adapted_score_stands_beside_the_static_one(home, capsys):
    before = load_artifact(home / "m").content_hash
    static, _ = scored(capsys, home / "m", "--part", "test")
    record, err = scored(capsys, home / "m", "--part", "test", "--cache", 300, "--dynamic")
    assert record["protocol"] == "carried+dynamic+cache"
    assert record["static"] == static
    assert record["tokens"] == static["tokens"]
    assert record["loss_nats"] < static["loss_nats"]
    assert set(record["dynamic"]) == {"update", "segment", "rate", "decay"}
    assert record["cache"]["size"] == 300
    assert record["tuned_on"].endswith("tokens of valid")
    assert "fair" not in err
    assert load_artifact(home / "m").content_hash == before


def test_given_hyper_parameters_are_used_as_they_are(home, capsys):
    options = ["--cache", 9, "--cache-theta", 0.25, "--cache-lambda", 0.0, "--dynamic", "--dynamic-update"]
    options += ["sgd", "--dynamic-rate", 0, "--dynamic-decay", 0, "--dynamic-segment", 7]
    record, _ = scored(capsys, home / "m", *options)
    assert record["cache"] == {"size": 9, "theta": 0.25, "lambda": 0.0}
    assert record["dynamic"] == {"update": "sgd", "segment": 7, "rate": 0.0, "decay": 0.0}
    assert record["tuned_on"] is None
    assert record["loss_nats"] == pytest.approx(record["static"]["loss_nats"], abs=2e-5)


def test_the_table_names_method_hyper_parameters_and_what_tuned_them(home, capsys):
    assert run(["evaluate", str(home / "m"), "--cache", "50", "--cache-theta", "0.5", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    table = dict(line.split("  ", 1) for line in out.splitlines())
    assert table["protocol"].strip() == "carried+cache"
    assert table["cache"].strip().startswith("size 50, theta 0.5, lambda ")
    assert table["tuned on"].strip().endswith("tokens of valid")
    assert "nats per token, carried" in table
    assert "--part test gives the fair score" in err


def test_what_tuning_switches_off_is_told_unless_it_was_asked_for():
    off = Adaptation(
        cache=CacheConfig(size=9, theta=0.5, mix=0.0), dynamic=DynamicConfig(rate=0.0, decay=0.0)
    )
    given = {field.name: None for field in fields(AdaptOptions)} | {"cache": 9, "dynamic": True}
    told = switched_off(off, AdaptOptions(**given))
    assert [line.split(":")[0] for line in told] == [
        "tuning has switched the cache off (lambda 0)",
        "tuning has switched learning off (rate 0)",
    ]
    asked = AdaptOptions(**given | {"cache_lambda": 0.0, "dynamic_rate": 0.0})
    assert switched_off(off, asked) == []
    assert switched_off(replace(off, cache=CacheConfig(size=9, theta=0.5, mix=0.1)), asked) == []
    assert switched_off(None, asked) == []


def test_another_corpus_is_scored_with_what_the_models_own_tuned(home, capsys):
    (home / "other.txt").write_text("the cat saw the rat. the cat saw the rat.")
    record, err = scored(capsys, home / "m", home / "other.txt", "--cache", 30)
    assert record["tokens"] == 42
    assert record["tuned_on"].endswith("tokens of valid")
    assert "fair" not in err


def test_losses_a_token_add_up_to_the_adapted_score(home, capsys):
    options = ["--cache", 30, "--cache-theta", 0.5, "--cache-lambda", 0.25]
    record, _ = scored(capsys, home / "m", *options)
    assert run(["evaluate", str(home / "m"), *map(str, options), "--device", "cpu", "--per-token"]) == 0
    nats = [json.loads(line)["nats"] for line in capsys.readouterr().out.splitlines()]
    assert sum(nats) / len(nats) == pytest.approx(record["loss_nats"], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--cache 0", "--cache 0: expected at least 1"),
        ("--cache-theta 0.1", "--cache-theta 0.1: does nothing without --cache"),
        ("--cache 9 --cache-theta nan", "--cache-theta nan: expected a number of at least 0"),
        ("--cache 9 --cache-lambda 1", "--cache-lambda 1.0: expected a share from 0 to 1, 1 excluded"),
        ("--dynamic-rate 0.1", "--dynamic-rate 0.1: does nothing without --dynamic"),
        ("--dynamic --dynamic-decay -1", "--dynamic-decay -1.0: expected a number of at least 0"),
        ("--dynamic --dynamic-update adam", "--dynamic-update adam: choose rms or sgd"),
        ("--dynamic --dynamic-segment 0", "--dynamic-segment 0: expected at least 1"),
        ("--dynamic --protocol windows:9", "--protocol windows:9: --cache and --dynamic read with the state"),
    ],
)
def test_bad_options_are_one_line(home, capsys, options, message):
    assert run(["evaluate", str(home / "m"), *options.split()]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_without_a_validation_part_hyper_parameters_must_be_given(home, capsys):
    model = [str(home / "untested"), str(home / "text.txt")]
    assert run(["evaluate", *model, "--cache", "9", "--cache-theta", "0.5"]) == 1
    assert "no validation part to tune on; give --cache-lambda" in capsys.readouterr().err
    record, _ = scored(capsys, *model, "--cache", "9", "--cache-theta", "0.5", "--cache-lambda", "0.1")
    assert record["tuned_on"] is None


def test_an_ngram_model_is_scored_beside_the_network_and_mixed_in(home, capsys):
    static, _ = scored(capsys, home / "m", "--part", "test")
    record, _ = scored(capsys, home / "m", "--part", "test", "--ngram", "--mix-ngram", 0.5)
    assert record["protocol"] == "carried+ngram"
    assert record["static"] == static
    assert record["mix_ngram"] == 0.5
    assert record["ngram"]["tokens"] == record["tokens"] == static["tokens"]
    assert record["ngram"]["loss_nats"] < static["loss_nats"]  # the text repeats itself
    assert record["loss_nats"] < static["loss_nats"]


def test_a_share_of_nothing_or_of_all_is_one_model_alone(home, capsys):
    network, _ = scored(capsys, home / "m", "--mix-ngram", 0)
    ngrams, _ = scored(capsys, home / "m", "--mix-ngram", 1, "--ngram")
    assert network["loss_nats"] == pytest.approx(network["static"]["loss_nats"], abs=2e-5)
    assert ngrams["loss_nats"] == pytest.approx(ngrams["ngram"]["loss_nats"], abs=2e-5)


def test_the_share_of_the_ngram_model_is_chosen_on_held_out_text(home, capsys):
    record, err = scored(capsys, home / "m", "--part", "test", "--mix-ngram", "auto")
    share = record["mix_ngram"]
    assert record["mix_ngram_chosen_on"] == "valid"
    assert f"--mix-ngram auto: {share:g}, the best for valid" in err
    assert "fair" not in err
    given, _ = scored(capsys, home / "m", "--part", "test", "--mix-ngram", share)
    assert given["loss_nats"] == record["loss_nats"]
    assert given["mix_ngram_chosen_on"] is None
    other, err = scored(capsys, home / "m", home / "text.txt", "--mix-ngram", "auto")
    assert other["mix_ngram"] == share
    record, err = scored(capsys, home / "m", "--mix-ngram", "auto", "--ngram-order", 3)
    assert record["mix_ngram_chosen_on"] == "the first half of valid"
    assert "--part test gives the fair score" in err
    assert run(["evaluate", str(home / "untested"), "--part", "train", "--mix-ngram", "auto"]) == 1
    assert "there is no validation part to choose on; give a share" in capsys.readouterr().err


def test_ngrams_of_fixed_order_are_named_by_it(home, capsys):
    options = ["--part", "test", "--ngram", "--mix-ngram", 0.5]
    unbounded, _ = scored(capsys, home / "m", *options)
    record, _ = scored(capsys, home / "m", *options, "--ngram-order", 3)
    assert record["protocol"] == "carried+ngram:3"
    assert record["ngram"]["protocol"] == "ngram:3"
    assert record["ngram"]["loss_nats"] < record["static"]["loss_nats"]
    assert record["ngram"]["loss_nats"] != unbounded["ngram"]["loss_nats"]


def test_ngrams_go_with_a_cache_and_stand_in_the_table(home, capsys):
    options = "--cache 20 --cache-theta 0.5 --cache-lambda 0.1 --mix-ngram 0.25 --ngram --device cpu"
    assert run(["evaluate", str(home / "m"), *options.split()]) == 0
    table = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert table["protocol"].strip() == "carried+cache+ngram"
    assert table["n-gram share"].strip() == "0.25"
    assert "nats per token, carried" in table
    assert "bits per char, ngram" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--mix-ngram 1.5", "--mix-ngram 1.5: expected a share from 0 to 1"),
        ("--mix-ngram much", "--mix-ngram much: expected a share from 0 to 1, or auto"),
        ("--mix-ngram nan", "--mix-ngram nan: expected a share from 0 to 1"),
        ("--ngram --ngram-order 0", "--ngram-order 0: at least 1 token"),
        ("--ngram-order 3", "--ngram-order 3: of what? give --ngram or --mix-ngram too"),
        ("--ngram --protocol windows:9", "--protocol windows:9: --ngram and --mix-ngram know all"),
    ],
)
def test_bad_ngram_options_are_one_line(home, capsys, options, message):
    assert run(["evaluate", str(home / "m"), *options.split()]) == 1
    assert message in capsys.readouterr().err

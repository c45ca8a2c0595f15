"""Flags and the configuration keys they set, derived from the parameters of a command."""

from types import SimpleNamespace

import pytest
import typer

from seqgen.cli.app import app
from seqgen.cli.flags import flags_of, given_by_flags, naming_flags
from seqgen.config import known_keys
from seqgen.errors import ConfigError

TRAIN = typer.main.get_command(app).commands["train"]


def called(**given):
    values = dict.fromkeys(parameter.name for parameter in TRAIN.params)
    return SimpleNamespace(command=TRAIN, params=values | given)


def test_last_parts_of_keys_are_unique_so_that_a_parameter_means_one_key():
    names = [key.rpartition(".")[2] for key in known_keys()]
    assert len(set(names)) == len(names)


def test_a_flag_is_that_of_the_parameter_called_as_the_key():
    flags = flags_of(TRAIN)
    assert flags["training.activation_regularization"] == "--ar"
    assert flags["training.weight_decay"] == "--weight-decay"
    assert flags["corpus.on_error"] == "--on-error"
    assert flags["task"] == "--task"
    assert "training.clip_norm" not in flags
    assert "classify.init_from" not in flags  # the command reads that model itself


def test_values_that_were_given_are_collected_by_key():
    found = given_by_flags(called(layers=3, locked_dropout=False, preset="tiny"))
    assert found == {"model.layers": 3, "model.locked_dropout": False}


@pytest.mark.parametrize(
    ("message", "renamed"),
    [
        ("model.cell = 'bag': input should be", "--cell bag: input should be"),
        ("model.hidden_size = -3: too small", "--hidden-size -3: too small"),
        ("model.embedding_size and model.embedding", "--embedding-size and --embedding"),
        ("task = 'x': choose --task lm; the task", "--task x: choose --task lm; the task"),
        ("model.cutoffs is for model.softmax", "model.cutoffs is for --softmax"),
        ("set model.embedding_size=64", "set --embedding-size=64"),
    ],
)
def test_messages_call_keys_by_their_flags(message, renamed):
    with pytest.raises(ConfigError) as caught, naming_flags(called()):
        raise ConfigError(message)
    assert str(caught.value) == renamed


def test_a_key_from_elsewhere_keeps_its_name_unless_its_flag_was_given_too():
    file = {"model": {"tied": True, "cell": "gru"}, "task": "lm", "corpus": None}
    with (
        pytest.raises(ConfigError, match=r"model\.tied, --cell, --softmax"),
        naming_flags(called(cell="rnn"), file),
    ):
        raise ConfigError("model.tied, model.cell, model.softmax")

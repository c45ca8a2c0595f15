"""Which flag of a command sets which configuration key: a parameter sets the key whose last part is its name.

So `--ar`, the flag of the parameter `activation_regularization`, sets `training.activation_regularization`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def flags_of(command: Any) -> dict[str, str]:
    """Return the flag of every configuration key that a command has one for, by dotted key."""
    from seqgen.config import known_keys

    flags = {parameter.name: parameter.opts[0] for parameter in command.params}
    return {key: flags[name] for key in known_keys() if (name := key.rpartition(".")[2]) in flags}


def flags_given(options: "DataclassInstance") -> list[str]:
    """Return the flags of the fields of a dataclass that hold what was given: neither None nor False."""
    given = [field.name for field in fields(options) if getattr(options, field.name) not in (None, False)]
    return [f"--{name.replace('_', '-')}" for name in given]


def given_by_flags(called: typer.Context) -> dict[str, Any]:
    """Return the configuration values that a command was called with, by dotted key."""
    values = {key: called.params[key.rpartition(".")[2]] for key in flags_of(called.command)}
    # A flag that can be repeated and was not given is an empty sequence.
    return {key: value for key, value in values.items() if value is not None and value not in ([], ())}


@contextmanager
def naming_flags(called: typer.Context, *others: Mapping[str, Any]) -> Iterator[None]:
    """Let errors call configuration keys by their flags, as the user did.

    Args:
        called: The command and what it was called with.
        others: Nested values from elsewhere, such as a file; their keys stay as they are unless a flag was
            given, too.
    """
    try:
        yield
    except ConfigError as error:
        typed = given_by_flags(called)
        flags = {
            key: flag
            for key, flag in flags_of(called.command).items()
            if key in typed or not any(_holds(values, key) for values in others)
        }
        raise ConfigError(_renamed(str(error), flags)) from error


def _holds(values: Mapping[str, Any], key: str) -> bool:
    section, _, name = key.rpartition(".")
    return name in (values.get(section) or {} if section else values)


def _renamed(message: str, flags: Mapping[str, str]) -> str:
    """Put flags in place of keys: `model.cell = 'x': ...` becomes `--cell x: ...`."""

    def as_typed(found: re.Match[str]) -> str:
        flag, value = flags[found[1]], found[2]
        if value is None:
            return flag if "." in found[1] else found[0]  # `task` is a word, too
        return f"{flag} {value.strip(chr(39))}"

    keys = "|".join(map(re.escape, sorted(flags, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.-])({keys})(?![\w.])(?: = ('[^']*'|[^\s:]+))?", as_typed, message)

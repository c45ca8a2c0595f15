"""The commands by name, each imported from its module when it is first asked for: to run one loads one."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

NAMES = (
    "train",
    "sample",
    "translate",
    "replay",
    "evaluate",
    "classify",
    "score",
    "compare",
    "vocab",
    "index",
    "novelty",
    "convert",
    "memory",
    "report",
    "doctor",
    "corpus",
    "inspect",
)
"""In the order of `seqgen --help`. `seqgen.cli.NAME` has a function of that name, or a Typer called `app`."""

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def plain_typer(**options: Any) -> typer.Typer:
    """Return a Typer whose help and errors are plain text."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_OPTIONS,
        **options,
    )


@cache
def load_command(name: str) -> Any:
    """Import a command."""
    module = import_module(f"seqgen.cli.{name}")
    app: typer.Typer | None = getattr(module, "app", None)
    if app is None:
        app = plain_typer()
        app.command(name)(getattr(module, name))
    command = typer.main.get_command(app)
    command.name = name
    return command


class _Commands(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        return load_command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


class CommandTable(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]

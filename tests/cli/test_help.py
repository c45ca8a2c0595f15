"""What `--help` shows, read as someone new reads it."""

import re

import pytest

from seqgen.cli.app import run
from tests.cli.helps import HELPS


@pytest.fixture
def help_of(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")

    def shown(*command):
        run([*command, "--help"])
        return capsys.readouterr().out

    return shown


@pytest.mark.parametrize("group", [[], ["corpus"], ["inspect"]], ids=str)
def test_every_command_is_told_in_one_line_that_is_not_cut(help_of, group):
    listed = help_of(*group).partition("Commands:")[2].strip().split("\n\n")[0]
    assert "..." not in listed
    assert len(listed.splitlines()) == len(re.findall(r"^ {2}\w+ {2,}\w", f"  {listed}", re.M)) > 2


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_every_help_has_an_example_and_names_arguments_in_capitals(help_of, command):
    shown = help_of(*command)
    assert f"Example: {'echo ' if command == ['classify'] else f'seqgen {command[0]}'}" in shown
    usage = " ".join(shown.partition("\n\n")[0].split()).partition("[OPTIONS]")[2]
    assert usage == usage.upper()
    assert "......" not in usage.replace(" ", "")

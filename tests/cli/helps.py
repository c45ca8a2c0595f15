"""The commands that have a help of their own."""

from seqgen.cli.commands import NAMES, load_command

HELPS = [
    [name, *more]
    for name in NAMES
    for more in ([[command] for command in getattr(load_command(name), "commands", {})] or [[]])
]

"""What goes to stderr: notices, complaints and tables. stdout is for results alone."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> "Console":
    """Return a console on stderr that shows text as it is, markup and emoji names included."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def notice(message: str) -> None:
    """Tell the user something they may want to know; one line on stderr."""
    print(f"seqgen: {message}", file=sys.stderr)


def complain(message: str) -> None:
    """Tell the user why the command failed; line breaks are folded so that it stays one line."""
    print(f"seqgen: error: {' '.join(message.split())}", file=sys.stderr)


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as `1 file` or `2,000 files`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def show_table(
    rows: Iterable[Sequence[str]], *, headings: Sequence[str] = (), title: str | None = None
) -> None:
    """Print a small table on stderr; the first column is left-aligned, the others right."""
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    table = Table(title=title, box=None, show_header=bool(headings), pad_edge=False)
    width = len(headings) or (len(rows[0]) if rows else 0)
    for column in range(width):
        heading = headings[column] if headings else ""
        table.add_column(heading, justify="left" if column == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def print_table(rows: Iterable[Sequence[str]], *, headings: Sequence[str]) -> None:
    """Print a table that is the result, on stdout; the first column is left-aligned, the others right."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        first, *others = (
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())

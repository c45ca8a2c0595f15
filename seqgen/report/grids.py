"""Tables whose cells are shaded by their numbers, in HTML: their letters keep their size on a narrow page."""

import html
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DEEPEST = 0.5
"""Opacity of a shade behind digits, which stay readable on it."""
_FLAT = 2
"""Names of columns that are wider than so many digits are written downwards."""


def attention_grid(source: Sequence[str], target: Sequence[str], weights: NDArray[np.float32]) -> str:
    """Return the weights (T, S) of a translation, a row for each of its tokens."""
    columns, names = [_shown(token) for token in source], [_shown(token) for token in target]
    head = "".join(
        f'<th scope="col"><span{" class=tall" * (_width(name) > _FLAT)}>{html.escape(name)}</span></th>'
        for name in columns
    )
    rows = []
    for name, row in zip(map(html.escape, names), weights, strict=True):
        cells = "".join(
            f'<td style="background:rgba(var(--open),{weight:.2f})" '
            f'title="{name} ← {column} {weight:.2f}"></td>'
            for column, weight in zip(map(html.escape, columns), row.tolist(), strict=True)
        )
        rows.append(f'<tr><th scope="row" title="{name}">{name}</th>{cells}</tr>')
    size = f"--columns:{len(source)};--name:{max(map(_width, names), default=0) + 2}ch"
    return f'<table class="attention" style="{size}"><tr><td></td>{head}</tr>{"".join(rows)}</table>'


def _shown(token: str) -> str:
    """Return a token as it can be seen: a space at its beginning is no part of a word."""
    return token.strip() or "␣"


def _width(name: str) -> int:
    """Return the room a name takes, in digits."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in name)


def confusion_grid(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return counts of true labels (rows) by given ones (columns), shaded by their share of the row."""
    names = [html.escape(label) for label in labels]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = []
    for place, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = max(1, sum(row))
        cells = "".join(
            f'<td style="background:rgba(var(--{"open" if column == place else "high"}),'
            f'{_DEEPEST * count / total:.2f})" title="{name}, given {names[column]}: {count / total:.1%}">'
            f"{count:,}</td>"
            for column, count in enumerate(row)
        )
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    corner = '<th scope="col">true, given</th>'
    return (
        f'<div class="scroll"><table class="confusion"><tr>{corner}{head}</tr>{"".join(rows)}</table></div>'
    )

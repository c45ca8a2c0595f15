"""Tables whose cells are shaded by their numbers, in HTML: their letters keep their size on a narrow page."""

import html
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DEEPEST = 0.5
"""Opacity of a shade behind digits, which stay readable on it."""


def attention_grid(source: Sequence[str], target: Sequence[str], weights: NDArray[np.float32]) -> str:
    """Return the weights (T, S) of a translation, a row for each of its tokens."""
    columns = [_shown(token) for token in source]
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in columns)
    rows = []
    for token, row in zip(target, weights, strict=True):
        name = _shown(token)
        cells = "".join(
            f'<td style="background:rgba(var(--open),{weight:.2f})" '
            f'title="{name} ← {column} {weight:.2f}"></td>'
            for column, weight in zip(columns, row.tolist(), strict=True)
        )
        rows.append(f'<tr><th scope="row" title="{name}">{name}</th>{cells}</tr>')
    size = f'style="--columns:{len(source)}"'
    return f'<table class="attention" {size}><tr><td></td>{head}</tr>{"".join(rows)}</table>'


def _shown(token: str) -> str:
    """Return a token as it can be seen: a space at its beginning is no part of a word."""
    return html.escape(token.strip() or "␣")


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

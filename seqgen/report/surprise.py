"""One self-contained HTML page: a text coloured by how it surprised one model, or one more than another."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from seqgen.report.strip import STYLE, colour, shown

DEEPEST_BITS = 12.0
"""From this on colours are as deep as they get."""


class Reading(NamedTuple):
    """A text and one number for each of its tokens.

    Attributes:
        heading: What the numbers are.
        bits: Of each token, (T,).
        notes: What is told where one points at it, (T,).
        signed: Whether they may be negative.
    """

    heading: str
    bits: Sequence[float]
    notes: Sequence[str]
    signed: bool


def page(title: str, tokens: Sequence[str], readings: Sequence[Reading], *, remarks: Sequence[str]) -> str:
    """Return the page.

    Args:
        title: Of the page.
        tokens: As they are shown, T of them.
        readings: What is shown, one below the other.
        remarks: What a reader should know, a paragraph each.
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    body += [f"<p>{html.escape(remark)}</p>" for remark in remarks]
    for reading in readings:
        body.append(f"<section><h2>{html.escape(reading.heading)}</h2>{_spans(tokens, reading)}</section>")
    return _PAGE.format(title=html.escape(title), style=STYLE, body="\n".join(body))


def _spans(tokens: Sequence[str], reading: Reading) -> str:
    spans = [
        f'<span style="background:{colour(bits / DEEPEST_BITS, signed=reading.signed)}" '
        f'tabindex="0" title="{html.escape(note)}">{html.escape(shown(token))}</span>'
        for token, bits, note in zip(tokens, reading.bits, reading.notes, strict=True)
    ]
    return f'<div class="strip" style="max-height:none">{"".join(spans)}</div>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}
.strip span:focus::after{{content:" " attr(title) " ";font-size:.8em;background:#fff;color:#111}}
</style></head><body>
{body}
</body></html>
"""

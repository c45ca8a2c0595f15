"""One self-contained HTML page made of sections: no network, light or dark as the reader's system is."""

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        anchor: Names it in links.
        title: Its heading.
        lead: A sentence or two on what is to be seen, as plain text.
        body: HTML.
    """

    anchor: str
    title: str
    lead: str
    body: str


def make_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Return the page.

    Args:
        title: Of the page.
        subtitle: What it is about, in a sentence.
        sections: In their order.
    """
    links = "".join(f'<a href="#{part.anchor}">{html.escape(part.title)}</a>' for part in sections)
    return _PAGE.format(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        links=links,
        style=_resource("page.css"),
        script=_resource("page.js"),
        body="\n".join(_section_html(part) for part in sections),
    )


def _section_html(section: Section) -> str:
    lead = f"<p class=lead>{html.escape(section.lead)}</p>" if section.lead else ""
    heading = f"<h2>{html.escape(section.title)}</h2>"
    return f'<section id="{section.anchor}">{heading}{lead}{section.body}</section>'


def _resource(name: str) -> str:
    return files("seqgen.report").joinpath(name).read_text(encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title><style>{style}</style></head><body>
<header><h1>{title}</h1><p>{subtitle}</p><nav>{links}</nav></header>
<main>
{body}
</main>
<footer>Made with seqgen</footer>
<script>{script}</script></body></html>
"""

"""The sections of a report, each a function from values to a `Section`."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.report.charts import Line, chart, key
from seqgen.report.grids import attention_grid, confusion_grid
from seqgen.report.page import Section
from seqgen.report.tunes import ShownTune, tune_html

Floats = NDArray[np.float64]


def tunes_section(tunes: Sequence[ShownTune], lead: str) -> Section:
    """Show tunes that can be played."""
    return Section("tunes", "Tunes", lead, "".join(tune_html(tune) for tune in tunes))


def texts_section(texts: Sequence[str], lead: str) -> Section:
    """Show texts side by side; those that are laid out with blanks in letters of one width."""
    kinds = [" code" if _is_laid_out(text) else "" for text in texts]
    shown = "".join(
        f'<div class="card"><p class="sample{kind}">{html.escape(text)}</p></div>'
        for kind, text in zip(kinds, texts, strict=True)
    )
    return Section("samples", "Samples", lead, f'<div class="columns">{shown}</div>')


def _is_laid_out(text: str) -> bool:
    return "\n  " in text or "\n\t" in text or text.count("  ") > 3


def curves_section(history: Sequence[Mapping[str, Any]], lead: str, unit: str = "token") -> Section:
    """Show the losses of training and validation, means per `unit`, over the seconds of training."""
    names = {"train_loss_nats": "training", "valid_loss_nats": "validation"}
    lines = [
        Line(name, [(float(r["seconds"]), float(r[field])) for r in history if r[field] is not None], colour)
        for colour, (field, name) in enumerate(names.items())
    ]
    drawn = chart(
        [line for line in lines if line.points], x="seconds of training", y=f"loss in nats per {unit}"
    )
    return Section("learning", "How it learned", lead, drawn)


class Strip(NamedTuple):
    """Tokens coloured by one number each.

    Attributes:
        heading: What is shown, such as what a cell watches.
        label: More of it.
        tokens: T of them, as they are shown.
        values: Within ±the deepest value where `signed`, else from 0 to it, (T,).
    """

    heading: str
    label: str
    tokens: Sequence[str]
    values: Floats
    signed: bool


def strips_section(strips: Sequence[Strip], lead: str) -> Section:
    """Show what cells do while a text is read."""
    return Section("cells", "What its cells watch", lead, _strips_html(strips, "value", 1.0))


def contributions_section(strips: Sequence[Strip], lead: str) -> Section:
    """Show texts by what each token contributes to their label; one colour is one number in all of them."""
    deepest = max(float(np.abs(strip.values).max()) for strip in strips) or 1.0
    body = _strips_html(strips, "contribution", deepest)
    return Section("texts", "What speaks for a label", lead, body)


def _strips_html(strips: Sequence[Strip], name: str, deepest: float) -> str:
    """Return strips below a legend, their colours deepest at ±`deepest`."""
    body = "".join(
        f'<h3>{html.escape(strip.heading)}</h3><p class="note">{html.escape(strip.label)}</p>'
        f"{_strip(strip, deepest)}"
        for strip in strips
    )
    return _LEGEND.format(name=name, deepest=f"{deepest:.3g}") + body


def _strip(strip: Strip, deepest: float) -> str:
    spans = "".join(
        f'<span style="background:{_tint(float(value) / deepest, signed=strip.signed)}" title="{value:.2f}">'
        f"{html.escape(token)}</span>"
        for token, value in zip(strip.tokens, strip.values, strict=True)
    )
    return f'<div class="strip">{spans}</div>'


def _tint(value: float, *, signed: bool) -> str:
    name = ("low" if value < 0 else "high") if signed else "open"
    return f"rgba(var(--{name}),{0.7 * min(1.0, abs(value)):.2f})"


_LEGEND = (
    '<p class="note legend">{name} −{deepest} <i style="background:linear-gradient(90deg,rgba(var(--low),.7),'
    'transparent,rgba(var(--high),.7))"></i> +{deepest}. Point at a token to read its number.</p>'
)


LETTER_SHARE, LINE_SHARE = 1.5, 3.4
"""Room that a letter and a line of a map take, in percent of its width and height."""


def map_section(points: Floats, names: Sequence[str], kinds: Sequence[str], lead: str) -> Section:
    """Show names where their vectors lie; where there is no room for a name, a dot.

    Args:
        points: (N, 2), the most important first.
        names: N of them, as they are shown.
        kinds: What each is, which decides its colour; at most seven different ones.
        lead: Of the section.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    places = 4 + 92 * (points - low) / np.maximum(high - low, 1e-12)
    order = list(dict.fromkeys(kinds))
    spans = "".join(
        f'<span{"" if has_room else " class=dot"} title="{html.escape(name)}" '
        f'style="left:{x:.1f}%;top:{100 - y:.1f}%;color:var(--c{order.index(kind)})">'
        f"{html.escape(name) if has_room else ''}</span>"
        for (x, y), name, kind, has_room in zip(places, names, kinds, find_room(places, names), strict=True)
    )
    legend = key([(kind, number) for number, kind in enumerate(order)]) if len(order) > 1 else ""
    return Section("map", "What lies near what", lead, f'{legend}<div class="map">{spans}</div>')


def find_room(places: Floats, names: Sequence[str]) -> list[bool]:
    """Tell which names can be written at their places, in percent, without touching an earlier one."""
    taken: list[tuple[float, float, float]] = []
    found = []
    for (x, y), name in zip(places.tolist(), names, strict=True):
        half = LETTER_SHARE * len(name) / 2
        free = all(abs(x - x0) > half + half0 or abs(y - y0) > LINE_SHARE for x0, y0, half0 in taken)
        if free:
            taken.append((x, y, half))
        found.append(free)
    return found


class ShownTranslation(NamedTuple):
    """A sentence and its translation.

    Attributes:
        source: The sentence.
        text: Its translation by the model.
        references: Its translations by people.
        source_tokens: S of them.
        target_tokens: Of the model's translation, T of them.
        weights: How much each of these looked at each of the source, (T, S); (T, 0) without attention.
    """

    source: str
    text: str
    references: Sequence[str]
    source_tokens: Sequence[str]
    target_tokens: Sequence[str]
    weights: NDArray[np.float32]


def translations_section(translations: Sequence[ShownTranslation], lead: str) -> Section:
    """Show sentences, their translations and those of people, and where the attention lay."""
    body = "".join(_translation(translation) for translation in translations)
    return Section("translations", "Translations", lead, f'<div class="pairs">{body}</div>')


def _translation(shown: ShownTranslation) -> str:
    references = " / ".join(shown.references)
    grid = (
        attention_grid(shown.source_tokens, shown.target_tokens, shown.weights) if shown.weights.size else ""
    )
    return (
        f'<div class="card pair"><h3>{html.escape(shown.source)}</h3>'
        f"<p>{html.escape(shown.text) or '(nothing)'}</p>"
        f'<p class="note">People wrote: {html.escape(references)}</p>{grid}</div>'
    )


def confusion_section(
    tables: Mapping[str, Sequence[Sequence[int]]], labels: Sequence[str], lead: str
) -> Section:
    """Show by name how many examples of each label (rows) were given which (columns), (C, C)."""
    body = "".join(
        f"<h3>{html.escape(name)}</h3>{confusion_grid(labels, counts)}" for name, counts in tables.items()
    )
    return Section("confusion", "What it confuses", lead, body)


def flow_section(flows: Mapping[str, Sequence[float]], lead: str) -> Section:
    """Show norms of gradients over distance."""
    lines = [Line(name, list(enumerate(norms)), number) for number, (name, norms) in enumerate(flows.items())]
    drawn = chart(lines, x="distance k in tokens", y="norm of the gradient", decades=True)
    return Section("memory", "How far back it feels", lead, drawn)


def ladder_section(models: Sequence[Mapping[str, Any]], own: str, lead: str) -> Section:
    """Show models of a comparison from worst to best, and their curves.

    Args:
        models: Records of `seqgen compare --json`.
        own: The name of the model that the report is about, which stands out.
        lead: Of the section.
    """
    ordered = sorted(models, key=lambda model: -model["bits"])
    rows = "".join(
        "<tr>"
        + f"<td>{_marked(str(model['name']), own)}</td><td>{model['parameters']:,}</td>"
        + f"<td>{model['minutes']:.2f}</td><td>{model['bits']:.3f}</td><td>{model['gap_bits']:+.3f}</td></tr>"
        for model in ordered
    )
    unit = str(ordered[0]["unit"]).removesuffix("s")
    headings = ("model", "parameters", "minutes", f"bits per {unit}", "gap")
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    table = f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'
    lines = [
        Line(str(model["name"]), [(float(x), float(y)) for x, y in model["curve"]], number)
        for number, model in enumerate(models)
        if model["curve"]
    ]
    curves = chart(lines, x="seconds of training", y="bits per token") if lines else ""
    return Section("ladder", "Among others", lead, table + curves)


def _marked(name: str, own: str) -> str:
    return f"<b>{html.escape(name)}</b>" if name == own else html.escape(name)


def card_section(facts: Mapping[str, str], command: str) -> Section:
    """Show facts by name, and the command that makes more."""
    items = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    body = f"<dl>{items}</dl><pre>{html.escape(command)}</pre>"
    return Section("card", "The model", "", body)

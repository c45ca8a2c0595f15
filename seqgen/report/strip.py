"""One self-contained HTML page: a text coloured by what cells of a network did while it was read."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVELS = 255
_NEGATIVE, _POSITIVE, _OPEN = (33, 102, 172), (214, 96, 77), (27, 120, 55)


class Strip(NamedTuple):
    """The whole text under one cell.

    Attributes:
        label: What is shown, such as "forget gate".
        values: Of each token, (T,).
        signed: Whether they lie within ±1; else within 0 and 1.
    """

    label: str
    values: Floats
    signed: bool


class Section(NamedTuple):
    """A cell worth looking at, and its strips."""

    heading: str
    strips: list[Strip]


def page(
    title: str,
    tokens: Sequence[str],
    sections: Sequence[Section],
    quantities: Sequence[Mapping[str, Floats]],
    *,
    remarks: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        title: Of the page.
        tokens: As they are shown, T of them.
        sections: What is shown at once.
        quantities: Of each layer by name what can be chosen, (T, H): `value` within ±1, gates within 0 and 1.
        remarks: What a reader should know, a paragraph each.
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    body += [f"<p>{html.escape(remark)}</p>" for remark in remarks]
    body.append(_LEGEND)
    for section in sections:
        body.append(f"<section><h2>{html.escape(section.heading)}</h2>")
        for strip in section.strips:
            body.append(f"<h3>{html.escape(strip.label)}</h3>{_spans(tokens, strip)}")
        body.append("</section>")
    data = {"tokens": [shown(token) for token in tokens], "layers": [_pack(layer) for layer in quantities]}
    encoded = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    return _PAGE.format(
        title=html.escape(title), style=STYLE, body="\n".join(body), data=encoded, script=_SCRIPT
    )


def _spans(tokens: Sequence[str], strip: Strip) -> str:
    spans = [
        f'<span style="background:{colour(float(value), signed=strip.signed)}" title="{value:.2f}">'
        f"{html.escape(shown(token))}</span>"
        for token, value in zip(tokens, strip.values, strict=True)
    ]
    return f'<div class="strip">{"".join(spans)}</div>'


def colour(value: float, *, signed: bool) -> str:
    """Return the background of a value: white at 0, deeper the further it is from it."""
    ink = (_NEGATIVE if value < 0 else _POSITIVE) if signed else _OPEN
    share = min(1.0, abs(value)) * 0.85  # black letters stay readable on it
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in ink)


def shown(token: str) -> str:
    """Return a token with what cannot be seen made visible."""
    return token.replace("\n", "↵\n").replace("\t", "→\t")


def _pack(layer: Mapping[str, Floats]) -> dict[str, Any]:
    """Round to bytes, which are seen no coarser and take a twentieth of the room, (T, H) -> (H, T)."""
    packed: dict[str, Any] = {"cells": next(iter(layer.values())).shape[1], "quantities": {}}
    for name, values in layer.items():
        low = -1.0 if name == "value" else 0.0
        levels = np.rint((values.T - low) / (1.0 - low) * LEVELS).clip(0, LEVELS).astype(np.uint8)
        data = base64.b64encode(levels.tobytes()).decode("ascii")
        packed["quantities"][name] = {"low": low, "data": data}
    return packed


_LEGEND = (
    '<p class="legend">Values: <span style="background:#5b8ec1">&nbsp;−1&nbsp;</span>'
    '<span>&nbsp;0&nbsp;</span><span style="background:#dd8574">&nbsp;+1&nbsp;</span> '
    'Gates: <span>&nbsp;0 closed&nbsp;</span><span style="background:#49925f">&nbsp;1 open&nbsp;</span> '
    "Point at a token to read its number.</p>"
)
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;
background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}
h3{font-size:.85rem;font-weight:600;margin:.7rem 0 .2rem}
.strip{font:14px/1.6 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #ccc;
padding:.4rem .6rem;max-height:22rem;overflow-y:auto}
.legend span{font:13px ui-monospace,monospace;border:1px solid #ccc}
label{margin-right:1rem}select,input{font:inherit}input{width:5rem}
"""
_SCRIPT = """
const data=JSON.parse(document.getElementById("data").textContent);
const pick=id=>document.getElementById(id);
const bytes=text=>Uint8Array.from(atob(text),c=>c.charCodeAt(0));
const decoded=data.layers.map(l=>Object.fromEntries(Object.entries(l.quantities)
  .map(([n,q])=>[n,{low:q.low,data:bytes(q.data)}])));
const spans=data.tokens.map(t=>{const s=document.createElement("span");s.textContent=t;return s});
pick("text").append(...spans);
data.layers.forEach((l,i)=>pick("layer").add(new Option(i+1,i)));
Object.keys(data.layers[0].quantities).forEach(n=>pick("quantity").add(new Option(n,n)));
function show(){
  const layer=+pick("layer").value,cells=data.layers[layer].cells;
  pick("cell").max=cells-1;
  const cell=Math.max(0,Math.min(cells-1,Math.round(+pick("cell").value)||0));
  const q=decoded[layer][pick("quantity").value],T=spans.length;
  spans.forEach((s,t)=>{
    const v=q.low+q.data[cell*T+t]/255*(1-q.low);
    const ink=q.low<0?(v<0?[33,102,172]:[214,96,77]):[27,120,55],share=Math.abs(v)*.85;
    s.style.background=`rgb(${ink.map(p=>Math.round(255-share*(255-p))).join()})`;
    s.title=v.toFixed(2);
  });
}
["layer","cell","quantity"].forEach(id=>pick(id).addEventListener("input",show));
show();
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}</style></head><body>
{body}
<section><h2>Any cell</h2><p><label>Layer <select id="layer"></select></label>
<label>Cell <input id="cell" type="number" min="0" value="0"></label>
<label>Show <select id="quantity"></select></label></p><div class="strip" id="text"></div></section>
<script type="application/json" id="data">{data}</script><script>{script}</script></body></html>
"""

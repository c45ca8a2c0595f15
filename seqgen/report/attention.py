"""Attention as a picture: a row for each token of the translation, a column for each of its source."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.files import replacing

_INCHES_A_CELL, _MARGIN_INCHES = 0.36, 1.6
_FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC",
    "Hiragino Sans GB", "Arial Unicode MS", "Unifont",
)  # fmt: skip
"""Fonts with Chinese characters, one of which most systems have."""


def plot_attention(
    path: Path, source: Sequence[str], target: Sequence[str], weights: NDArray[np.float32]
) -> list[str]:
    """Draw the weights (T, S) of a translation, the darker the larger; the format is that of the suffix.

    An SVG holds its labels as text, which whoever shows it has fonts for.

    Returns:
        The characters for which no installed font has a glyph: other formats show their code points.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    form = path.suffix.lower()[1:]
    families, missing = _fonts({*"".join([*source, *target])})
    missing = [] if form == "svg" else missing
    size = [_MARGIN_INCHES + _INCHES_A_CELL * max(count, 2) for count in (len(source), len(target))]
    figure = Figure(figsize=(size[0], size[1]), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="equal")
    axes.xaxis.tick_top()
    style: dict[str, Any] = {"family": families, "parse_math": False}
    axes.set_xticks(range(len(source)), [_label(token, missing) for token in source], rotation=90, **style)
    axes.set_yticks(range(len(target)), [_label(token, missing) for token in target], **style)
    axes.set_xticks(np.arange(len(source) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(target) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#dddddd", linewidth=0.5)
    axes.tick_params(which="both", length=0)
    with warnings.catch_warnings(), rc_context({"svg.fonttype": "none"}), replacing(path) as aside:
        warnings.simplefilter("ignore")  # of glyphs: what is missing is returned
        figure.savefig(aside, format=form, dpi=150)
    return missing


def _fonts(chars: set[str]) -> tuple[list[str], list[str]]:
    """Return the families to draw with, in the order they are asked, and what all of them lack."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager
    from matplotlib.ft2font import FT2Font

    present = {entry.name for entry in fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _FALLBACKS if name in present)]
    files = [str(findfont(FontProperties(family=name))) for name in families]
    known = {point for file in files for point in FT2Font(file).get_charmap()}
    return families, sorted(char for char in chars if ord(char) not in known)


def _label(token: str, missing: Sequence[str]) -> str:
    """Return a token as it can be seen: a space at its beginning is no part of a word."""
    shown = token.strip(" ") or "␣"
    return "".join(f"{ord(char):X} " if char in missing else char for char in shown).strip()

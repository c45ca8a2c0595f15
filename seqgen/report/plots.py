"""Plots, as PNG, SVG or PDF by the suffix of their file. Needs matplotlib, which is an extra."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqgen.errors import ConfigError
from seqgen.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
WIDTH_INCHES, HEIGHT_INCHES = 8.0, 5.0
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
DASHES = ("-", "--", "-.", ":")

Points = tuple[Sequence[float], Sequence[float]]


def check_plot(path: Path) -> None:
    """Refuse early what could not be written later.

    Raises:
        ConfigError: If matplotlib is missing, or the suffix is none that it is used for.
    """
    from importlib.util import find_spec

    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--plot {path}: choose a name that ends in {', '.join(SUFFIXES)}")
    if find_spec("matplotlib") is None:
        raise ConfigError("--plot needs an extra: pip install 'seqgen[plots]'")


def plot_curves(path: Path, curves: Mapping[str, Points], *, x: str, y: str, title: str) -> None:
    """Plot lines by name with a mark at each point."""

    def draw(axes: "Axes") -> None:
        for number, (name, (across, up)) in enumerate(curves.items()):
            axes.plot(across, up, label=name, marker="o", markersize=3, **_style(number))
        axes.set(xlabel=x, ylabel=y, title=title)
        axes.legend()

    _save(path, draw)


def plot_memory(
    path: Path, accuracies: Mapping[str, Mapping[int, float]], *, chance: float, title: str
) -> None:
    """Plot shares of right answers over distance on a logarithmic scale, and chance as a dotted line."""

    def draw(axes: "Axes") -> None:
        for number, (name, shares) in enumerate(accuracies.items()):
            axes.semilogx(list(shares), list(shares.values()), label=name, marker="o", **_style(number))
        axes.axhline(chance, color="#777777", linestyle=":", label="chance")
        distances = sorted({distance for shares in accuracies.values() for distance in shares})
        axes.set_xticks(distances, [str(distance) for distance in distances])
        axes.set_xticks([], minor=True)
        axes.set(xlabel="distance k in steps", ylabel="share of right answers", ylim=(0, 1.03), title=title)
        axes.legend()

    _save(path, draw)


def plot_flow(path: Path, norms: Mapping[str, Sequence[float]], *, title: str) -> None:
    """Plot norms of gradients over distance, on a logarithmic scale where an exponential is a line."""

    def draw(axes: "Axes") -> None:
        for number, (name, values) in enumerate(norms.items()):
            shown = [value if value > 0 else np.nan for value in values]
            axes.semilogy(range(len(shown)), shown, label=name, **_style(number))
        axes.set(
            xlabel="distance k in tokens", ylabel="mean norm of the gradient of L(t) at h(t-k)", title=title
        )
        axes.legend()

    _save(path, draw)


def plot_map(
    path: Path, points: NDArray[np.float64], names: Sequence[str], *, marked: Sequence[int], title: str
) -> None:
    """Plot names at their points, (N, 2); those `marked`, by number, stand out, the first of them most."""

    def draw(axes: "Axes") -> None:
        axes.scatter(points[:, 0], points[:, 1], s=4, color="#bbbbbb")
        for number, name in enumerate(names):
            colour = COLOURS[1] if number in marked[:1] else COLOURS[0] if number in marked else "#777777"
            weight, size = ("bold", 10) if number in marked else ("normal", 7)
            style: dict[str, Any] = {"color": colour, "weight": weight, "fontsize": size}
            above = 3 if number in marked else 2
            axes.annotate(_printable(name), points[number], parse_math=False, zorder=above, **style)
        axes.set(xlabel="first principal component", ylabel="second principal component", title=title)

    _save(path, draw)


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def _printable(name: str) -> str:
    """Return a name that can be seen: blanks and what a font lacks are escaped."""
    if name.strip() and name.isprintable():
        return name
    return "␣" if name == " " else ascii(name)[1:-1]


def _save(path: Path, draw: "Callable[[Axes], None]") -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    with replacing(path) as aside:
        figure.savefig(aside, format=path.suffix.lower()[1:], dpi=150)

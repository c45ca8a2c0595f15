"""Line charts in HTML and SVG whose lines stretch with the page while their letters keep their size."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000.0, 400.0
_COLOURS = 7
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: In the key.
        points: Each (x, y), from left to right.
        colour: Number of one.
        faint: Whether it is drawn thin and dashed.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    faint: bool = False


def chart(lines: Sequence[Line], *, x: str, y: str, decades: bool = False) -> str:
    """Return a chart with its key.

    Args:
        lines: At least one point in all.
        x: What is told to the right, with its unit.
        y: What is told upwards.
        decades: Whether upwards every step is a power of ten; then points at or below 0 are left out.
    """
    drawn = [(line, _usable(line, decades)) for line in lines]
    everything = [point for _, points in drawn for point in points]
    across = _Scale.over([px for px, _ in everything], tidy=False)
    up = _Scale.over([py for _, py in everything], tidy=True, whole=decades)
    paths = "".join(_path(line, points, across, up) for line, points in drawn)
    grid = "".join(f'<path class="grid" d="M0 {_place(up, tick):.1f}H{WIDTH:.0f}"/>' for tick in up.ticks[1:])
    upward = "".join(
        f'<span style="bottom:{100 * up.share(tick):.2f}%">{_number(tick, decades)}</span>'
        for tick in up.ticks
    )
    along = "".join(
        f'<span style="left:{100 * across.share(tick):.2f}%">{_number(tick)}</span>' for tick in across.ticks
    )
    view = f'viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="none"'
    return (
        f'{key([(line.name, line.colour) for line in lines])}<div class="chart" role="img" '
        f'aria-label="{html.escape(y)} over {html.escape(x)}"><div class="up">{upward}</div>'
        f'<div class="plot"><svg {view} aria-hidden="true">{grid}{paths}</svg></div>'
        f'<div class="across">{along}</div></div>'
        f'<p class="axis">{html.escape(y)} over {html.escape(x)}</p>'
    )


def key(names: Sequence[tuple[str, int]]) -> str:
    """Return the names of lines beside their colours."""
    items = (
        f'<li><i style="background:var(--c{colour % _COLOURS})"></i>{html.escape(name)}</li>'
        for name, colour in names
    )
    return f'<ul class="keys">{"".join(items)}</ul>'


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    ticks: list[float]

    @classmethod
    def over(cls, values: Sequence[float], *, tidy: bool, whole: bool = False) -> "_Scale":
        """Span values; a tidy scale begins and ends at a tick."""
        low, high = min(values), max(values)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        step = _step((high - low) / _TICKS, whole=whole)
        if tidy:
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return cls(low, high, [number * step for number in range(first, last + 1)])

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def _step(rough: float, *, whole: bool) -> float:
    """Return 1, 2 or 5 times a power of ten, not below the rough distance of ticks."""
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return max(1.0, step) if whole else step


def _usable(line: Line, decades: bool) -> list[tuple[float, float]]:
    if not decades:
        return [point for point in line.points if math.isfinite(point[1])]
    return [(x, math.log10(y)) for x, y in line.points if y > 0 and math.isfinite(y)]


def _place(up: _Scale, value: float) -> float:
    return HEIGHT * (1 - up.share(value))


def _path(line: Line, points: Sequence[tuple[float, float]], across: _Scale, up: _Scale) -> str:
    places = [f"{WIDTH * across.share(x):.1f} {_place(up, y):.1f}" for x, y in points]
    if len(places) == 1:
        places = [*places, *places]
    faint = ' class="faint"' if line.faint else ""
    return f'<path{faint} style="stroke:var(--c{line.colour % _COLOURS})" d="M{"L".join(places)}"/>'


def _number(value: float, decades: bool = False) -> str:
    if decades:
        exponent = round(value)
        return "1" if exponent == 0 else f"10<sup>{str(exponent).replace('-', '−')}</sup>"
    return f"{value:.6g}".replace("-", "−")

"""The tokens of a REMI vocabulary, by what they stand for, and the bars in which they may stand.

Times are ticks: as many a quarter as positions and durations of all meters need, and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import gcd, lcm

from seqgen.music.pieces import Meter, parse_meter


@dataclass
class RemiTokens:
    """The ids of tokens; what is never drawn is left out."""

    size: int
    bars: list[int] = field(default_factory=list)
    meters: dict[Meter, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    durations: dict[Fraction, int] = field(default_factory=dict)
    """By their length in beats, units of the meter."""
    tempos: list[int] = field(default_factory=list)
    programs: list[int] = field(default_factory=list)
    drums: list[int] = field(default_factory=list)
    pitches: dict[int, int] = field(default_factory=dict)
    drum_pitches: list[int] = field(default_factory=list)
    velocities: list[int] = field(default_factory=list)


def read_remi_tokens(names: Sequence[str], banned: set[int]) -> RemiTokens:
    """Sort the tokens of a vocabulary."""
    tokens = RemiTokens(len(names))
    lists = {
        "Bar": tokens.bars,
        "Tempo": tokens.tempos,
        "Program": tokens.programs,
        "PitchDrum": tokens.drum_pitches,
        "Velocity": tokens.velocities,
    }
    for number, name in enumerate(names):
        kind, _, value = name.partition("_")
        if number in banned:
            continue
        if name == "Program_-1":
            tokens.drums.append(number)
        elif kind in lists:
            lists[kind].append(number)
        elif kind == "TimeSig":
            tokens.meters[parse_meter(value)] = number
        elif kind == "Position":
            tokens.positions[int(value)] = number
        elif kind == "Pitch":
            tokens.pitches[int(value)] = number
        elif kind == "Duration":
            beats, parts, whole = map(int, value.split("."))
            tokens.durations[beats + Fraction(parts, whole)] = number
    return tokens


@dataclass(frozen=True)
class Shape:
    """Bars of some meters, in ticks.

    Attributes:
        meters: Their tokens.
        length: Of the bar.
        positions: Those inside the bar, ascending: the ticks of each and its token.
        durations: The ticks of each and its token.
    """

    meters: tuple[int, ...]
    length: int
    positions: tuple[tuple[int, int], ...]
    durations: tuple[tuple[int, int], ...]


def bar_shapes(tokens: RemiTokens, meters: Sequence[Meter], grid: int) -> tuple[int, list[Shape]]:
    """Return how many ticks a quarter has, and the bars of some meters.

    Args:
        tokens: Of the vocabulary.
        meters: Those that a piece may have.
        grid: Positions a unit of a meter.
    """
    finest = lcm(*(meter.unit for meter in meters), *(length.denominator for length in tokens.durations))
    per_quarter = lcm(grid, finest) * finest
    found: dict[tuple[int, int], Shape] = {}
    for meter in meters:
        unit = 4 * per_quarter // meter.unit
        if (meter.beats, meter.unit) in found or not tokens.positions:
            continue
        positions = [
            (at * unit // grid, token)
            for at, token in sorted(tokens.positions.items())
            if at < meter.beats * grid
        ]
        durations = [(int(length * unit), token) for length, token in tokens.durations.items()]
        shape = Shape((tokens.meters[meter],), meter.beats * unit, tuple(positions), tuple(sorted(durations)))
        if positions:
            found[meter.beats, meter.unit] = shape
    return _coarser(per_quarter, list(found.values()))


def _coarser(per_quarter: int, shapes: Sequence[Shape]) -> tuple[int, list[Shape]]:
    """Make ticks as long as they can be."""
    times = [time for shape in shapes for time, _ in (*shape.positions, *shape.durations)]
    step = gcd(per_quarter, *times, *(shape.length for shape in shapes))
    return per_quarter // step, [
        replace(
            shape,
            length=shape.length // step,
            positions=tuple((time // step, token) for time, token in shape.positions),
            durations=tuple((time // step, token) for time, token in shape.durations),
        )
        for shape in shapes
    ]

"""The bars of a piece as a musician counts them, and those that do not add up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from seqgen.music.pieces import Meter, Piece, value_at

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Measure:
    """A stretch between two bar lines. A pick-up has number 0; both halves of a divided bar have one.

    `opens` and `closes` say whether it begins or ends at a repeat sign, a double bar, an ending or an edge
    of the piece, where a bar may be short.
    """

    number: int
    start: Fraction
    end: Fraction
    meter: Meter | None
    opens: bool
    closes: bool

    @property
    def length(self) -> Fraction:
        """Its length in quarters."""
        return self.end - self.start

    @property
    def missing(self) -> Fraction:
        """Quarters that it is short of its meter; below zero where it is too long, 0 without a meter."""
        return self.meter.bar_quarters - self.length if self.meter is not None else _ZERO


def measures(piece: Piece) -> list[Measure]:
    """Return the bars of a piece in order; a piece without bar lines has one."""
    lines = [bar for bar in piece.bars if bar.onset > 0]
    edges = {bar.onset for bar in lines if bar.kind != "|" or bar.ending} | {_ZERO, piece.duration}
    times = sorted({_ZERO, *(bar.onset for bar in lines), piece.duration})
    found: list[Measure] = []
    number = 1
    for start, end in pairwise(times):
        meter = value_at(piece.meters, start)
        measure = Measure(number, start, end, meter, start in edges, end in edges)
        if not found and measure.missing > 0 and lines:
            measure = replace(measure, number=0)
        elif found and not _is_second_half(found) and _completes(found[-1], measure):
            found[-1] = replace(found[-1], closes=True)
            measure = replace(measure, number=found[-1].number, opens=True)
        found.append(measure)
        number = measure.number + 1
    return found


def _is_second_half(found: Sequence[Measure]) -> bool:
    return len(found) > 1 and found[-2].number == found[-1].number


def _completes(before: Measure, after: Measure) -> bool:
    """Say whether these two make one bar, as where a section ends within it."""
    return (
        before.number > 0
        and before.missing > 0
        and before.meter is not None
        and before.length + after.length == before.meter.bar_quarters
    )


def wrong_measures(piece: Piece) -> list[Measure]:
    """Return the bars that are longer or shorter than their meter without a reason.

    A short bar at a repeat sign, a double bar or an edge of the piece has a reason where another one, at the
    other end of some section, makes it full; so has one that the next bar makes full, and the pick-up.
    """
    found = measures(piece) if piece.bars else []
    starts = {(bar.meter, bar.length) for bar in found if bar.opens and bar.missing > 0}
    ends = {(bar.meter, bar.length) for bar in found if bar.closes and bar.missing > 0}
    return [bar for bar in found if bar.missing and not _has_reason(bar, starts, ends)]


def _has_reason(
    bar: Measure, starts: set[tuple[Meter | None, Fraction]], ends: set[tuple[Meter | None, Fraction]]
) -> bool:
    if bar.missing < 0:
        return False
    rest = (bar.meter, bar.missing)
    return bar.number == 0 or (bar.opens and rest in ends) or (bar.closes and rest in starts)


def describe_length(quarters: Fraction, meter: Meter) -> str:
    """Write a length as the meter counts it: three and a half quarters of 4/4 are 7/8, three are 3/4."""
    units = quarters * meter.unit / 4
    if units.denominator == 1:
        return f"{units}/{meter.unit}"
    whole = quarters / 4
    return f"{whole.numerator}/{whole.denominator}"


def describe_wrong(bars: Sequence[Measure]) -> list[str]:
    """Say of each wrong bar which it is and what is wrong with it."""
    return [_describe(bar) for bar in bars]


def _describe(bar: Measure) -> str:
    if bar.meter is None:
        raise ValueError("a bar without a meter cannot be wrong")
    length = describe_length(bar.length, bar.meter)
    count = bar.length / bar.meter.bar_quarters
    hint = f", room for {count} bars" if count.denominator == 1 and count > 1 else ""
    return f"bar {bar.number} is {length} long in {bar.meter.name}{hint}"

"""How a chorale may go in time: whole frames, and marks between them where the meter wants them.

A bar line stands where a bar ends and a beat mark where a beat begins, if the vocabulary has them. A pick-up
and the last bar make a whole one, and so do the end of a section and the beginning of the next: a line
within a bar stands where the piece began in its first one. How long the pick-up is shows only as it goes on,
so that a place holds all lengths that are still possible. Where the vocabulary has no bar lines, bars are
only counted if that is asked; frames then follow one another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.music.pieces import Meter
from seqgen.sampling.counting import Edge
from seqgen.sampling.rhythm import ENDS, LONGEST_PICKUP


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What marks and meters chorales may have.

    Attributes:
        voices: How many tokens a frame has.
        grid: Frames a quarter.
        meters: Those that a piece may have; none if bars are not counted.
        writes_meters: Whether they have tokens.
        bar_kinds: The bar lines that have tokens.
        beats: The numbers of the beats that have tokens.
        has_keys: Whether keys have tokens.
        needs_key: Whether a piece begins with one.
        changes_key: Whether the key may change where a section or bar begins.
        changes_meter: Whether the meter may change where a bar begins, in pieces without a pick-up.
        bars: How many bars a piece has; None for any number.
        ends: Whether the last note of the lowest voice matters.
    """

    voices: int
    grid: int
    meters: Sequence[Meter]
    writes_meters: bool
    bar_kinds: Sequence[str]
    beats: frozenset[int]
    has_keys: bool
    needs_key: bool
    changes_key: bool
    changes_meter: bool
    bars: int | None
    ends: bool

    def frames(self, quarters: Fraction) -> int:
        """Return the frames of some quarters; more or less of them are none."""
        return int(quarters * self.grid)


class Place(NamedTuple):
    """Where in a chorale one is.

    Attributes:
        what: What may follow; see `Frames.follow`.
        meter: Its number.
        pickups: The lengths in frames that the pick-up may have, 0 for none.
        ticks: Frames since the start, without whole bars.
        voice: The one that is next.
        good: Whether the lowest voice is on a note that it may end on.
    """

    what: str
    meter: int = 0
    pickups: tuple[int, ...] = (0,)
    ticks: int = 0
    voice: int = 0
    good: bool = True


@dataclass
class Frames:
    """The edges between places. Kinds of tokens are numbered as they come up, from 1."""

    layout: Layout
    kinds: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lengths = [self.layout.frames(meter.bar_quarters) for meter in self.layout.meters]
        self._ends = [kind for kind in ENDS if kind in self.layout.bar_kinds] or ["|"]

    @property
    def start(self) -> Place:
        """Where a piece begins."""
        return Place("start", good=not self.layout.ends)

    def kind(self, *what: Any) -> int:
        """Return the number of a kind of tokens."""
        return self.kinds.setdefault(what, len(self.kinds) + 1)

    def follow(self, place: Place) -> Iterator[Edge]:
        """Yield the edges of a place."""
        yield from getattr(self, f"_{place.what}")(place)

    def nodes(self, places: Sequence[Place]) -> NDArray[np.int32]:
        """Return 0 where a piece may end, -1 where it may be, (layers, S)."""
        bars = self.layout.bars
        nodes = np.full((1 if bars is None else bars + 1, len(places)), -1, np.int32)
        for number, place in enumerate(places):
            if place.good and self._may_end(place):
                nodes[-1, number] = 0
        return nodes

    def _may_end(self, place: Place) -> bool:
        if self.layout.bar_kinds and self.layout.meters:
            return place.what == "over"
        return place.what == "between" and place.ticks == 0

    def _start(self, place: Place) -> Iterator[Edge]:
        if "|:" in self.layout.bar_kinds:
            yield self.kind("bar", "|:"), place._replace(what="opened"), 0
        yield from self._opened(place)

    def _opened(self, place: Place) -> Iterator[Edge]:
        if self.layout.has_keys:
            yield self.kind("key"), place._replace(what="keyed"), 0
        if not self.layout.needs_key:
            yield from self._keyed(place)

    def _keyed(self, place: Place) -> Iterator[Edge]:
        for number, meter in enumerate(self.layout.meters):
            first = place._replace(what="cells", meter=number, pickups=self._pickups(number))
            if self.layout.writes_meters:
                yield self.kind("meter", meter), first, 0
            else:
                yield from self._cells(first)
        if not self.layout.meters:
            yield self.kind("meter"), place._replace(what="cells"), 0
            yield from self._cells(place)

    def _pickups(self, meter: int) -> tuple[int, ...]:
        if not self.layout.bar_kinds:
            return (0,)
        longest = min(self.layout.frames(LONGEST_PICKUP), self._lengths[meter] - 1)
        return tuple(range(longest + 1))

    def _cells(self, place: Place) -> Iterator[Edge]:
        """One voice is told."""
        voice = place.voice
        if voice + 1 < self.layout.voices:
            yield self.kind("cell", voice), place._replace(what="cells", voice=voice + 1), 0
            return
        ticks, rise = place.ticks, 0
        if self.layout.meters:
            ticks = (ticks + 1) % self._lengths[place.meter]
            rise = int(ticks == 0 and self.layout.bars is not None and not self.layout.bar_kinds)
        after = place._replace(what="between", voice=0, ticks=ticks)
        yield self.kind("cell", voice), after, rise
        if self.layout.ends:
            yield self.kind("good"), after._replace(good=True), rise
            yield self.kind("bad"), after._replace(good=False), rise

    def _between(self, place: Place) -> Iterator[Edge]:
        """A frame is over, and marks may come before the next."""
        marks: dict[Any, list[int]] = {}
        for pickup in place.pickups:
            marks.setdefault(self._mark(place, pickup), []).append(pickup)
        for mark, pickups in marks.items():
            left = place._replace(pickups=tuple(pickups))
            if mark == "bar":
                yield from self._bar(left)
                continue
            if self.layout.bar_kinds and self.layout.meters and place.ticks == 0:
                yield from self._home(left)
            if mark is None:
                yield from self._cells(left._replace(what="cells"))
            else:
                yield self.kind("beat", mark), left._replace(what="cells"), 0

    def _mark(self, place: Place, pickup: int) -> str | int | None:
        """Return what stands here if the pick-up is of a length: `bar`, the number of a beat, or nothing."""
        if not self.layout.meters:
            return None
        phase = (place.ticks - pickup) % self._lengths[place.meter]
        if phase == 0:
            return "bar" if self.layout.bar_kinds else None
        number = phase / self._beat(place.meter) + 1
        return int(number) if number.denominator == 1 and number in self.layout.beats else None

    def _beat(self, meter: int) -> Fraction:
        """Return the frames of a beat."""
        unit = self.layout.meters[meter].unit
        return Fraction(self.layout.grid * (12 if self.layout.meters[meter].is_compound else 4), unit)

    def _bar(self, place: Place) -> Iterator[Edge]:
        """A bar is full."""
        rise = int(self.layout.bars is not None)
        at_home = place.ticks == 0
        for kind in self.layout.bar_kinds if at_home else ["|"]:
            if kind in self.layout.bar_kinds:
                what = "over" if at_home and kind in self._ends else "barred"
                yield self.kind("bar", kind), place._replace(what=what), rise

    def _home(self, place: Place) -> Iterator[Edge]:
        """It is as far in a bar as the piece began in its first one: a section or the piece may end.

        After a line without a repeat sign beats are counted anew, so that none may come before the next bar.
        """
        upbeat = max(place.pickups) <= self._beat(place.meter)
        for kind in self.layout.bar_kinds:
            if ":" in kind or upbeat:
                what = "over" if kind in self._ends else "turned"
                yield self.kind("bar", kind), place._replace(what=what), 0
            elif kind in self._ends:
                yield self.kind("bar", kind), place._replace(what="over", voice=-1), 0

    def _over(self, place: Place) -> Iterator[Edge]:
        """The piece may be over, or go on."""
        if place.voice == 0:
            at_bar = self._mark(place, place.pickups[0]) == "bar"
            yield from self._barred(place) if at_bar else self._turned(place)

    def _barred(self, place: Place) -> Iterator[Edge]:
        if self.layout.changes_key:
            yield self.kind("key"), place._replace(what="changed"), 0
        yield from self._changed(place)

    def _changed(self, place: Place) -> Iterator[Edge]:
        """A bar begins, and the meter may change."""
        if self.layout.changes_meter and place.pickups == (0,):  # a pick-up and the last bar are of one meter
            for number, meter in enumerate(self.layout.meters):
                yield self.kind("meter", meter), place._replace(what="cells", meter=number), 0
        yield from self._cells(place._replace(what="cells"))

    def _turned(self, place: Place) -> Iterator[Edge]:
        cells = place._replace(what="cells")
        if self.layout.changes_key:
            yield self.kind("key"), cells, 0
        yield from self._cells(cells)

"""How a tune may go in time: its bars, sections, tuplets and ties, whatever the pitches.

A clock runs within the bar and goes on over every section boundary and every repeat. A tune with a pick-up
therefore begins, ends, and begins and ends each of its sections at one place in the bar, and first and last
bar make a whole one. Sections begin at the start and where a repeat sign, double bar or final bar stands; a
first ending begins at a bar line and ends with `:|`, where the second one begins. Tuplets are of equal notes;
outside of them durations are halves of halves. Chord symbols stand before notes, rests and tuplets. The
meter stays the same. A tune begins with a note, so that it has one.

Positions are ticks. What is counted, layers, are pick-up lengths, bars and whatever the caller counts.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.music.pieces import Meter
from seqgen.music.tuplets import is_odd
from seqgen.sampling.counting import SHUT, Edge
from seqgen.sampling.tune_tokens import TuneTokens

MOST_TICKS = 360
"""In a bar of each meter together; where it would be more the grid is made coarser."""
LONGEST_GROUP = 7
"""Notes in a tuplet; longer ones, which are rare, would make the tables twice as large."""
LONGEST_PICKUP = Fraction(2)
PICKUP_STEP = Fraction(1, 4)
BOUNDARIES = ("||", "|]", "|:", ":|", ":|:")
SECOND_BOUNDARIES = ("||", "|]", "|:")
"""Of a section with endings, which is repeated already."""
ENDS = ("|]", "||", ":|")
START, OPENING, SECTION, ENDING, SECOND = "start", "opening", "section", "ending", "second"


class State(NamedTuple):
    """Where in a tune one is.

    Attributes:
        what: What may follow; see `Rhythm.follow`.
        meter: Its number.
        section: START before the first note, OPENING while it is not known whether the first bar is a
            pick-up, ENDING in a first ending, SECOND from the second to the end of the section.
        ticks: Since the bar line, or since the start in the OPENING; at the end of the note or group that is
            being told.
        tied: Whether the next note prolongs the one before.
        group: Of a tuplet its number, that of its size, and how many notes are left.
    """

    what: str
    meter: int = 0
    section: str = OPENING
    ticks: int = 0
    tied: bool = False
    group: tuple[int, ...] = ()


class Rhythm:
    """The edges between states. Kinds of tokens are numbered as they come up."""

    def __init__(
        self, tokens: TuneTokens, meters: Sequence[Meter], *, bars: int | None = None, hops: int = 0
    ) -> None:
        """Take what the vocabulary has.

        Args:
            tokens: Of the vocabulary.
            meters: Those that a tune may have, at least one.
            bars: How many bars a tune has; None for any number. A pick-up is none of them.
            hops: What else is counted goes from here to 0 while a tune lasts; each note changes it.
        """
        self.tokens, self.meters = tokens, meters
        self.per_quarter = _grid(tokens, meters)
        self.units = [unit for unit in sorted(tokens.units) if self._fits(unit)]
        self._durations = [length for length in sorted(tokens.durations) if self._fits(length)]
        steps = range(1, int(LONGEST_PICKUP / PICKUP_STEP) + 1)
        self._pickups = [step * PICKUP_STEP for step in steps if self._fits(step * PICKUP_STEP)]
        self.kinds: dict[tuple[Any, ...], int] = {}
        self._shapes = sorted({(self.ticks(m.bar_quarters), self.ticks(m.group_quarters)) for m in meters})
        self._groups = [self._tuplet(*ratio) for ratio in tokens.tuplets if ratio[2] <= LONGEST_GROUP]
        self._ends = [kind for kind in ENDS if kind in tokens.bars] or ["|"]
        self._bars, self._hops = bars, hops
        self._changes = range(-hops, hops + 1)
        hop_layers = hops + 2 if hops else 1
        self._bar_step = 0 if bars is None else hop_layers
        self._pickup_step = hop_layers * (1 if bars is None else bars + 2)
        self.unit_step = self._pickup_step * (len(self._pickups) + 1)
        """How many layers there are for each unit."""

    @property
    def first_layer(self) -> int:
        """In which tunes begin."""
        return self._hops + 1 if self._hops else 0

    def nodes(self, states: Sequence[State]) -> NDArray[np.int32]:
        """Return 0 where a tune may end, -1 where it may be, else SHUT, (layers, S)."""
        shape = len(self._pickups) + 1, 1 if self._bars is None else self._bars + 2, -1
        nodes = np.full(len(self.units) * self.unit_step * len(states), -1, np.int32)
        nodes = nodes.reshape(len(self.units), *shape, len(states))
        last_bar = slice(None) if self._bars is None else self._bars
        last_hop = 1 if self._hops else 0
        for number, state in enumerate(states):
            if state.what == "free":
                nodes[..., number] = 0
            if state.what not in ("edge", "changed", "turn", "over", "bar"):
                continue
            for pickup in range(shape[0]):
                at_home = self._home(state.meter, pickup) == state.ticks
                if not at_home and state.what != "bar":
                    nodes[:, pickup, :, :, number] = SHUT
                elif at_home and (state.what == "over" or (state.what == "bar" and self._ends == ["|"])):
                    nodes[:, pickup, last_bar, last_hop, number] = 0
        if self._bars is not None:
            nodes[:, :, -1] = SHUT
        if self._hops:
            nodes[:, :, :, 0] = SHUT
        return nodes.reshape(-1, len(states))

    def ticks(self, quarters: Fraction) -> int:
        """Return a length in ticks."""
        return int(quarters * self.per_quarter)

    def _fits(self, length: Fraction) -> bool:
        return (length * self.per_quarter).denominator == 1

    def kind(self, *what: Any) -> int:
        """Return the number of a kind of token."""
        return self.kinds.setdefault(what, len(self.kinds) + 1)

    def _home(self, meter: int, pickup: int) -> int | None:
        """Return where in the bar sections begin and end with the pick-up of a number; 0 is without one."""
        length = self.ticks(self._pickups[pickup - 1]) if pickup else 0
        bar, _ = self._shapes[meter]
        return (bar - length) % bar if length < bar else None

    def follow(self, state: State) -> Iterator[Edge]:
        """Return the edges of a state."""
        return getattr(self, f"_{state.what}")(state)  # type: ignore[no-any-return]

    def follow_freely(self, state: State) -> Iterator[Edge]:
        """Return the edges of a state if only the head of a tune must be in place."""
        if state.what in ("start", "keyed"):
            yield from self.follow(state)
            return
        if state.what == "metered":
            for number, unit in enumerate(self.units):
                yield self.kind("unit", unit), State("free"), number * self.unit_step
            return
        tokens, free = self.tokens, State("free")
        for name, values in (
            ("duration", tokens.durations),
            ("same", tokens.durations),
            ("tuplet", tokens.tuplets),
            ("bar", tokens.bars),
            ("ending", tokens.endings),
            ("beat", tokens.beats),
        ):
            for value in values:
                yield self.kind(name, value), free, 0
        for number in range(len(self.units)):
            yield self.kind("note", number, 0), free, 0
            yield self.kind("rest", number), free, 0
        yield self.kind("tie"), free, 0
        yield self.kind("key"), free, 0
        if tokens.chords:
            yield self.kind("chord"), free, 0

    def _start(self, state: State) -> Iterator[Edge]:
        yield self.kind("key"), State("keyed"), 0

    def _keyed(self, state: State) -> Iterator[Edge]:
        for meter in self.meters:
            shape = self.ticks(meter.bar_quarters), self.ticks(meter.group_quarters)
            yield self.kind("meter", meter), State("metered", self._shapes.index(shape)), 0

    def _metered(self, state: State) -> Iterator[Edge]:
        for number, unit in enumerate(self.units):
            yield self.kind("unit", unit), State("first", state.meter, START), number * self.unit_step

    def _first(self, state: State) -> Iterator[Edge]:
        yield from self._place(state._replace(what="on"))
        if "|:" in self.tokens.bars:
            yield self.kind("bar", "|:"), state._replace(what="on"), 0

    def _after(self, state: State) -> Iterator[Edge]:
        """A note has ended, and may be tied."""
        yield from self._at(state._replace(what="at"))
        if self.tokens.tie is not None:
            yield self.kind("tie"), state._replace(what="at", tied=True), 0

    def _at(self, state: State) -> Iterator[Edge]:
        """A note or rest has ended."""
        bar, beat = self._shapes[state.meter]
        if state.ticks == bar:
            yield from self._full_bar(state)
            return
        homes = [self._home(state.meter, pickup) for pickup in range(1, len(self._pickups) + 1)]
        if not state.tied and state.section != OPENING and state.ticks in homes:
            yield from self._boundaries(state, state.ticks, counts=0)
        if state.section == OPENING:
            yield from self._pickup(state)
            if state.ticks == beat:
                state = state._replace(section=SECTION)
        number = state.ticks // beat + 1
        if state.ticks % beat or number not in self.tokens.beats:
            yield from self._place(state._replace(what="on"))
        else:
            yield self.kind("beat", number), state._replace(what="on"), 0

    def _full_bar(self, state: State) -> Iterator[Edge]:
        section = SECTION if state.section == OPENING else state.section
        what = "bar" if section == SECTION and not state.tied else "on"
        yield self.kind("bar", "|"), State(what, state.meter, section, 0, state.tied), self._bar_step
        if not state.tied:
            yield from self._boundaries(state._replace(section=section), 0, counts=1)

    def _boundaries(self, state: State, place: int, *, counts: int) -> Iterator[Edge]:
        """End a section, or a first ending; the bar counts already where it is not full."""
        rise = counts * self._bar_step
        if state.section == ENDING:
            yield self.kind("bar", ":|"), State("turn", state.meter, SECTION, place), self._bar_step
            return
        tail = self._has_no_beats(state.meter, place)
        for kind in SECOND_BOUNDARIES if state.section == SECOND else BOUNDARIES:
            if kind in self.tokens.bars and (":" in kind or place == 0 or tail):
                what = "over" if kind in self._ends else "edge"
                yield self.kind("bar", kind), State(what, state.meter, SECTION, place), rise
        if self._ends == ["|"] and place:
            yield self.kind("bar", "|"), State("over", state.meter, SECTION, place), rise

    def _has_no_beats(self, meter: int, place: int) -> bool:
        """Say whether no beat begins after this place of the bar."""
        bar, beat = self._shapes[meter]
        return (bar - 1) // beat * beat <= place

    def _pickup(self, state: State) -> Iterator[Edge]:
        """End the pick-up, or tell its length by telling a beat."""
        bar, beat = self._shapes[state.meter]
        for number, length in enumerate(self._pickups, start=1):
            rise, place = number * self._pickup_step, bar - self.ticks(length)
            if place <= 0:
                continue
            if place + state.ticks == bar and self._has_no_beats(state.meter, place):
                what = "on" if state.tied else "bar"
                bar_state = State(what, state.meter, SECTION, 0, state.tied)
                yield self.kind("bar", "|"), bar_state, rise + self._bar_step
            told, rest = divmod(place + state.ticks, beat)
            if not rest and place + state.ticks < bar and told + 1 in self.tokens.beats:
                here = State("on", state.meter, SECTION, place + state.ticks, state.tied)
                yield self.kind("beat", told + 1), here, rise

    def _bar(self, state: State) -> Iterator[Edge]:
        """A plain bar line was told, where a first ending may begin."""
        yield from self._place(state._replace(what="on"))
        if {"1", "2"} <= set(self.tokens.endings) and ":|" in self.tokens.bars:
            yield self.kind("ending", "1"), state._replace(what="on", section=ENDING), 0

    def _turn(self, state: State) -> Iterator[Edge]:
        yield self.kind("ending", "2"), State("on", state.meter, SECOND, 0), 0

    def _edge(self, state: State) -> Iterator[Edge]:
        """A section has ended, and the key may change."""
        yield self.kind("key"), state._replace(what="changed"), 0
        yield from self._changed(state)

    _over = _edge

    def _changed(self, state: State) -> Iterator[Edge]:
        yield from self._place(state._replace(what="on"))

    def _on(self, state: State) -> Iterator[Edge]:
        yield from self._place(state)

    def _place(self, state: State) -> Iterator[Edge]:
        """A note, rest or tuplet begins here, and a chord symbol may come first."""
        if self.tokens.chords:
            yield self.kind("chord"), state._replace(what="chorded"), 0
        yield from self._notes(state)

    def _chorded(self, state: State) -> Iterator[Edge]:
        yield from self._notes(state._replace(what="on"))

    def _notes(self, state: State) -> Iterator[Edge]:
        """A note, a rest or a tuplet begins here."""
        for number, unit in enumerate(self.units):
            yield from self._sound(number, state, state.ticks + self.ticks(unit))
        for length in self._durations:
            end = state.ticks + self.ticks(length)
            if end <= self._shapes[state.meter][0]:
                yield self.kind("duration", length), state._replace(what="due", ticks=end), 0
        if not state.tied:
            for number, (ratio, sizes) in enumerate(self._groups):
                if any(self._may_group(state, *size) for size in sizes):
                    yield self.kind("tuplet", ratio), state._replace(what="group", group=(number,)), 0

    def _due(self, state: State) -> Iterator[Edge]:
        """A duration was told."""
        for number in range(len(self.units)):
            yield from self._sound(number, state, state.ticks)

    def _sound(self, unit: int, state: State, end: int) -> Iterator[Edge]:
        """A note or rest, told in a tune of this unit, ends there."""
        if end > self._shapes[state.meter][0]:
            return
        section = OPENING if state.section == START else state.section
        if section == OPENING and end > self._shapes[state.meter][1]:
            section = SECTION
        after = State("after", state.meter, section, end)
        for change in (0,) if state.tied else self._changes:
            yield self.kind("note", unit, change), after, change
        if self.tokens.rest is not None and not state.tied and state.section != START:
            yield self.kind("rest", unit), after._replace(what="at"), 0

    def _tuplet(self, actual: int, normal: int, count: int) -> tuple[Any, list[tuple[Fraction, int, int]]]:
        """Return a ratio, and each size of its groups: a note's written length, ticks in all, and a step."""
        sizes = []
        for halvings in range(6):
            written = Fraction(2, 1 << halvings)
            whole = written * normal / actual * count
            if self._fits(whole) and self._fits(written):
                step = self.ticks(written if count <= 3 else whole)
                sizes.append((written, self.ticks(whole), step))
        return (actual, normal, count), sizes

    def _may_group(self, state: State, written: Fraction, whole: int, step: int) -> bool:
        """Say whether a group of a size may begin here: on its own grid, and no beat begins within."""
        beat = self._shapes[state.meter][1]
        end = state.ticks + whole
        within = (end - 1) // beat - state.ticks // beat
        return state.ticks % step == 0 and end <= self._shapes[state.meter][0] and not within

    def _group(self, state: State) -> Iterator[Edge]:
        """The ratio of a tuplet was told, and its first note begins."""
        (number,) = state.group
        (_, _, count), sizes = self._groups[number]
        for place, size in enumerate(sizes):
            if self._may_group(state, *size):
                end = state.ticks + size[1]
                yield from self._member(state._replace(ticks=end, group=(number, place, count)))

    def _within(self, state: State) -> Iterator[Edge]:
        """A note of a tuplet begins that is not the first."""
        yield from self._member(state)

    def _member(self, state: State) -> Iterator[Edge]:
        number, place, _ = state.group
        (actual, normal, _), sizes = self._groups[number]
        written = sizes[place][0]
        length = written * normal / actual
        if length in self.tokens.durations:
            yield self.kind("duration", length), state._replace(what="told"), 0
            yield self.kind("same", length), state._replace(what="told"), 0
        if written in self.units:
            yield from self._sound_member(self.units.index(written), state)

    def _told(self, state: State) -> Iterator[Edge]:
        for number in range(len(self.units)):
            yield from self._sound_member(number, state)

    def _sound_member(self, unit: int, state: State) -> Iterator[Edge]:
        *group, left = state.group
        if left == 1:
            yield from self._sound(unit, state._replace(group=()), state.ticks)
            return
        section = OPENING if state.section == START else state.section
        after = state._replace(what="within", section=section, group=(*group, left - 1))
        for change in self._changes:
            yield self.kind("note", unit, change), after, change
        if self.tokens.rest is not None and state.section != START:
            yield self.kind("rest", unit), after, 0


def _grid(tokens: TuneTokens, meters: Sequence[Meter]) -> int:
    """Return the ticks a quarter: as many as the durations need, if that is not too fine."""
    lengths = [length for length in {*tokens.units, *tokens.durations} if not is_odd(length)]
    finest = max((length.denominator for length in lengths), default=1)
    coarsest = max(meter.bar_quarters.denominator for meter in meters)
    whole = sum(meter.bar_quarters for meter in meters)
    while finest > max(coarsest, 4) and whole * finest > MOST_TICKS:
        finest //= 2
    return max(finest, coarsest, 1)

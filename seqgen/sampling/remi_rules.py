"""Constraints on models of REMI: its grammar, meter and bars, pitches, and how many notes sound at once.

A bar is told with its meter; positions ascend within it; at each of them stand a tempo, notes, or both. A
piece ends in a bar that has a note. How many notes sound at once is never more than is counted: short ones
that overlap are all counted until the last of them has ended, longer ones until the half or the end of the
bar, whichever comes after their end, so that the state is a few small numbers instead of a set of times.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ConfigError
from seqgen.music.remi import RemiEncoding
from seqgen.sampling.automata import TooLargeError
from seqgen.sampling.counting import NEVER, CountingAutomaton, Edge, Reader, count_over, explore
from seqgen.sampling.pitch_rules import allowed_pitches, needs_key, none_so
from seqgen.sampling.remi_tokens import RemiTokens, Shape, bar_shapes, read_remi_tokens
from seqgen.sampling.tune_wishes import ImpossibleError, TuneRules, asked, flag, values_asked

SHORT = 1
"""The longest of the short notes, in quarters."""
HALF, WHOLE = -1, -2
"""Of a note that is counted until the half, or the end, of a bar, in place of its ticks."""
CELL_LIMIT = 40_000_000


class Place(NamedTuple):
    """Where in a piece one is.

    Attributes:
        what: What may follow; see `Course.follow`.
        begun: Whether there was a note.
        held: Whether a note sounds in this bar.
        crosses: Whether one lasts beyond it.
        until_half: How many notes are counted until the half of this bar.
        until_end: How many are until its end.
        spans: Whether these are until the end of the next.
        short: How many other notes are counted.
        rest: For how many ticks from the last position they are.
    """

    what: str
    begun: bool = False
    held: bool = False
    crosses: bool = False
    until_half: int = 0
    until_end: int = 0
    spans: bool = False
    short: int = 0
    rest: int = 0

    @property
    def counted(self) -> int:
        """How many notes are counted."""
        return self.until_half + self.until_end + self.short


@dataclass
class Course:
    """The edges between places. Kinds of tokens are numbered as they come up, from 1.

    Attributes:
        programs: What may begin a note: `program`, `drums`, or both.
        durations: Their kinds: the ticks, HALF or WHOLE, and whether it ends beyond the bar.
        gaps: The kinds of positions: ticks from the one before, and whether it is in the bar's second half.
        bars: How many bars a piece has; None for any number.
        polyphony: How many notes may be counted; None for any number.
    """

    programs: Sequence[str]
    durations: Sequence[tuple[int, bool]]
    gaps: Sequence[tuple[int, bool]]
    bars: int | None
    polyphony: int | None
    kinds: dict[tuple[object, ...], int] = field(default_factory=dict)

    def kind(self, *what: object) -> int:
        """Return the number of a kind of tokens."""
        return self.kinds.setdefault(what, len(self.kinds) + 1)

    def follow(self, place: Place) -> Iterator[Edge]:
        """Yield the edges of a place."""
        yield from getattr(self, f"_{place.what}")(place)

    def nodes(self, places: Sequence[Place]) -> NDArray[np.int32]:
        """Return 0 where a piece may end, -1 where it may be, (layers, S)."""
        nodes = np.full((1 if self.bars is None else self.bars + 1, len(places)), -1, np.int32)
        for number, place in enumerate(places):
            inside = self.bars is None or not place.crosses
            if place.what in ("metered", "tempo", "noted") and place.begun and place.held and inside:
                nodes[-1, number] = 0
        return nodes

    def is_sure(self, place: Place, kind: tuple[object, ...]) -> bool:
        """Say whether the reader always has a token of a kind, or of another that is as good.

        A new bar has some position, and which one does not matter while nothing sounds; nor does which
        duration it is that ends within the bar.
        """
        if kind[0] == "position":
            return place.what == "metered" and place.counted == 0
        return kind[0] != "duration" or not kind[2]

    def _start(self, place: Place) -> Iterator[Edge]:
        yield self.kind("bar"), place._replace(what="bar"), int(self.bars is not None)

    def _bar(self, place: Place) -> Iterator[Edge]:
        yield self.kind("meter"), place._replace(what="metered"), 0

    def _metered(self, place: Place) -> Iterator[Edge]:
        yield from self._on(place)

    def _on(self, place: Place) -> Iterator[Edge]:
        """The next position or bar."""
        for gap, is_late in self.gaps:
            rest = max(0, place.rest - gap)
            after = place._replace(what="placed", rest=rest, short=place.short if rest else 0)
            after = after._replace(until_half=0) if is_late else after
            if self._has_room(after):
                yield self.kind("position", gap, is_late), after, 0
        sounding = place._replace(
            what="bar",
            held=True,
            crosses=False,
            until_half=0,
            until_end=place.until_end if place.spans else 0,
            spans=False,
        )
        silent = Place("bar", begun=place.begun)
        yield self.kind("bar"), sounding if place.crosses else silent, int(self.bars is not None)

    def _has_room(self, place: Place) -> bool:
        return self.polyphony is None or place.counted < self.polyphony

    def _placed(self, place: Place) -> Iterator[Edge]:
        yield self.kind("tempo"), place._replace(what="tempo"), 0
        yield from self._note(place)

    def _note(self, place: Place) -> Iterator[Edge]:
        if self._has_room(place):
            for program in self.programs:
                yield self.kind(program), place._replace(what=program), 0

    def _tempo(self, place: Place) -> Iterator[Edge]:
        yield from self._note(place)
        yield from self._on(place)

    _noted = _tempo

    def _program(self, place: Place) -> Iterator[Edge]:
        yield self.kind("pitch"), place._replace(what="pitched"), 0

    def _drums(self, place: Place) -> Iterator[Edge]:
        yield self.kind("drum pitch"), place._replace(what="pitched"), 0

    def _pitched(self, place: Place) -> Iterator[Edge]:
        yield self.kind("velocity"), place._replace(what="valued"), 0

    def _valued(self, place: Place) -> Iterator[Edge]:
        for ticks, crosses in self.durations:
            after = place._replace(what="noted", begun=True, held=True, crosses=place.crosses or crosses)
            if ticks == HALF:
                after = after._replace(until_half=place.until_half + 1)
            elif ticks == WHOLE:
                after = after._replace(until_end=place.until_end + 1, spans=place.spans or crosses)
            elif ticks:
                after = after._replace(short=place.short + 1, rest=max(place.rest, ticks))
            yield self.kind("duration", ticks, crosses), after, 0


def constrain_remi(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    """Return what pieces in REMI obey the rules.

    Raises:
        ConfigError: If that is impossible.
    """
    if rules.valid is False:
        others = [name for name in rules.given if name != "valid"]
        raise ConfigError(f"{flag(others[0])}: needs the grammar; leave out --any")
    encoding = RemiEncoding.build(tokenizer.vocab.options.get("parameters") or {})
    tokens = read_remi_tokens(tokenizer.tokens, banned)
    pitches = _pitches(rules, tokens)
    bars = _Bars(rules, tokens, encoding.grid)
    programs = {"program": tokens.programs and pitches, "drums": tokens.drums and tokens.drum_pitches}
    course = Course(
        [name for name, may_be in programs.items() if may_be],
        bars.duration_kinds(),
        [(gap, is_late) for gap in range(bars.longest + 1) for is_late in (False, True)],
        rules.bars,
        rules.max_polyphony,
    )
    graph = explore(Place("start"), course.follow)
    reader = bars.reader(pitches, course.kinds)
    names = {number: kind for kind, number in course.kinds.items()}
    sure = [
        course.is_sure(graph.states[source], names[label])
        for source, label in zip(graph.sources.tolist(), graph.labels.tolist(), strict=True)
    ]
    return count_over(
        reader,
        graph,
        course.nodes(graph.states),
        only=np.full(len(graph.labels), -1),
        share=1,
        sure=np.array(sure, np.bool_) & np.isin(graph.labels, reader.kinds),
        layer=0,
    )


def _pitches(rules: TuneRules, tokens: RemiTokens) -> list[int]:
    """Return the tokens of the pitches that may be; drums have none."""
    key, need = rules.parsed("key"), needs_key(rules)
    if need and key is None:
        raise ConfigError(f"{need}: this model writes no keys; name one with --key")
    limits = [name for name in ("key", "scale", "range") if name in rules.given]
    if not limits:
        return list(tokens.pitches.values())
    allowed = allowed_pitches(rules, list(tokens.pitches), key, silent=True)
    if not allowed.any():
        raise none_so(rules)
    return [token for token, may_be in zip(tokens.pitches.values(), allowed, strict=True) if may_be]


class _Bars:
    """Which positions and durations may be in which bars.

    Where bars or notes are counted, a note ends in its own bar or in the next, however short that is, and no
    note begins so late that none could end in its own.
    """

    def __init__(self, rules: TuneRules, tokens: RemiTokens, grid: int) -> None:
        self._tokens = tokens
        meters = values_asked(rules, "meter", tokens.meters, "meters")
        per_quarter, self._shapes = bar_shapes(tokens, meters, grid)
        self._counts_ticks = rules.max_polyphony is not None
        self._counts = self._counts_ticks or rules.bars is not None
        self._short = SHORT * per_quarter
        if self._counts:
            self._shapes = [self._bounded(shape) for shape in self._shapes]
            self._shapes = [shape for shape in self._shapes if shape.positions]
        if not self._shapes or not any(shape.durations for shape in self._shapes):
            raise ImpossibleError(f"{asked(rules, 'the grammar of remi')}: no note fits in a bar")
        self._shortest_bar = min(shape.length for shape in self._shapes)
        self.longest = max((0, *(ticks for ticks, _ in self.duration_kinds())))

    def _bounded(self, shape: Shape) -> Shape:
        shortest = min((ticks for ticks, _ in shape.durations), default=shape.length + 1)
        inside = [(at, token) for at, token in shape.positions if at + shortest <= shape.length]
        return replace(shape, positions=tuple(inside))

    def _duration(self, shape: Shape, at: int, ticks: int) -> tuple[int, bool] | None:
        """Return the kind of a duration at a place, None if it may not be."""
        if not self._counts:
            return 0, False
        if at + ticks > shape.length + self._shortest_bar:
            return None
        crosses = at + ticks > shape.length
        if not self._counts_ticks:
            return 0, crosses
        if ticks <= self._short:
            return ticks, crosses
        return (HALF if 2 * (at + ticks) <= shape.length else WHOLE), crosses

    def _position(self, shape: Shape, gap: int, at: int) -> tuple[object, ...]:
        """Return the kind of a position some ticks after the one before."""
        return "position", min(self.longest, gap), self._counts_ticks and 2 * at >= shape.length

    def duration_kinds(self) -> list[tuple[int, bool]]:
        """Return the kinds of durations that there are."""
        found = {
            kind
            for shape in self._shapes
            for at, _ in shape.positions
            for ticks, _ in shape.durations
            if (kind := self._duration(shape, at, ticks)) is not None
        }
        return sorted(found)

    def reader(self, pitches: Sequence[int], kinds: Mapping[tuple[object, ...], int]) -> Reader:
        """Make the reader.

        Its states are, with C = `longest`: 0 to C after a bar line, by the ticks since the last position, C
        for more; as many for each shape after its meter; and then each of its positions.
        """
        carries = self.longest + 1
        size = carries + sum(carries + len(shape.positions) for shape in self._shapes)
        if size * self._tokens.size > CELL_LIMIT:
            raise TooLargeError
        table = np.repeat(self._plain(pitches, kinds)[None], size, axis=0)
        following = np.repeat(np.arange(size)[:, None], self._tokens.size, axis=1)
        base = carries
        for shape in self._shapes:
            following[:carries, list(shape.meters)] = base + np.arange(carries)[:, None]
            table[:carries, list(shape.meters)] = kinds["meter",]
            self._fill(shape, base, table, following, kinds)
            base += carries + len(shape.positions)
        return Reader(table.astype(np.int32), following.astype(np.int32))

    def _plain(self, pitches: Sequence[int], kinds: Mapping[tuple[object, ...], int]) -> NDArray[np.int64]:
        """Return the kinds of tokens that mean the same everywhere, (V,)."""
        tokens, plain = self._tokens, np.full(self._tokens.size, NEVER)
        for name, ids in (
            ("bar", tokens.bars),
            ("tempo", tokens.tempos),
            ("program", tokens.programs),
            ("drums", tokens.drums),
            ("pitch", pitches),
            ("drum pitch", tokens.drum_pitches),
            ("velocity", tokens.velocities),
        ):
            plain[list(ids)] = kinds.get((name,), NEVER)
        return plain

    def _fill(
        self,
        shape: Shape,
        base: int,
        table: NDArray[np.int64],
        following: NDArray[np.int64],
        kinds: Mapping[tuple[object, ...], int],
    ) -> None:
        """Write the rows of a shape, which begin at `base`."""
        most, first = self.longest, base + self.longest + 1
        for carry in range(most + 1):
            row = base + carry
            following[row, self._tokens.bars] = min(most, carry + shape.length)
            for place, (at, token) in enumerate(shape.positions):
                table[row, token] = kinds.get(self._position(shape, carry + at, at), NEVER)
                following[row, token] = first + place
        for number, (now, _) in enumerate(shape.positions):
            row = first + number
            following[row, self._tokens.bars] = min(most, shape.length - now)
            for place, (at, token) in enumerate(shape.positions[number + 1 :], number + 1):
                table[row, token] = kinds.get(self._position(shape, at - now, at), NEVER)
                following[row, token] = first + place
            for ticks, token in shape.durations:
                kind = self._duration(shape, now, ticks)
                if kind is not None:
                    table[row, token] = kinds.get(("duration", *kind), NEVER)

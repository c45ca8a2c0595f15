r"""Regular expressions as automata over characters.

An expression is read by Python's own parser, and each of its classes of characters is asked from `re` itself:
what an automaton accepts is what `re.fullmatch` does. A library for this (interegular, greenery) would read
`\w`, `(?i)` or `$` in its own way, and grow without bound.

The way: expression, tree of nodes, positions and what may follow each (Glushkov 1961, "The abstract theory of
automata"), sets of positions as states (Rabin and Scott 1959, "Finite automata and their decision problems").
"""

import re
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from re import _compiler, _parser  # type: ignore[attr-defined]  # modules of their own before Python 3.11
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.sampling.automata import STATE_LIMIT, Automaton, Ints, TooLargeError, make_automaton

POSITION_LIMIT = 300_000
FOLLOW_LIMIT = 2_000_000
_BEGINNINGS = (_parser.AT_BEGINNING, _parser.AT_BEGINNING_STRING)
_ENDS = (_parser.AT_END, _parser.AT_END_STRING)
_CLASSES = (_parser.LITERAL, _parser.NOT_LITERAL, _parser.ANY, _parser.IN)
_REPEATS = (_parser.MAX_REPEAT, _parser.MIN_REPEAT)  # of a whole match, greedy or not makes no difference
_REFUSED = {
    _parser.AT: "^, $, \\A and \\Z may only stand at its ends, \\b and \\B nowhere",
    _parser.ASSERT: "(?=...) and (?<=...) are not possible",
    _parser.ASSERT_NOT: "(?!...) and (?<!...) are not possible",
    _parser.GROUPREF: "a reference to a group is not possible",
    _parser.GROUPREF_EXISTS: "a reference to a group is not possible",
    _parser.ATOMIC_GROUP: "(?>...) is not possible",
    _parser.POSSESSIVE_REPEAT: "*+, ++, ?+ and {}+ are not possible",
}


class ExpressionError(ValueError):
    """An expression that Python refuses, or that no finite automaton can follow."""


class Alphabet:
    """The characters that automata are over, in the order of their code points."""

    def __init__(self, points: NDArray[np.uint32]) -> None:
        self.points = points

    @classmethod
    def of(cls, text: str) -> "Alphabet":
        """Return the alphabet of the characters of a text."""
        return cls(np.unique(_code_points(text)))

    @classmethod
    def complete(cls) -> "Alphabet":
        """Return the alphabet of all of Unicode."""
        points = np.arange(0x110000, dtype=np.uint32)
        return cls(np.concatenate([points[:0xD800], points[0xE000:]]))

    @cached_property
    def text(self) -> str:
        """All characters."""
        return self.points.astype("<u4").tobytes().decode("utf-32-le")

    def numbers(self, text: str) -> Ints:
        """Return the number of each character of a text, all of which are in the alphabet."""
        return np.searchsorted(self.points, _code_points(text))


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


@dataclass(frozen=True)
class Chars:
    """Any one of some characters, as spans of numbers in an alphabet."""

    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Series:
    """One part after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Choice:
    """Any one of the parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Repeat:
    """A part from `low` to `high` times; without end if that is None."""

    part: "Node"
    low: int
    high: int | None


Node = Chars | Series | Choice | Repeat


class ExpressionReader:
    """Reads expressions over one alphabet."""

    def __init__(self, alphabet: Alphabet, *, without: str = "") -> None:
        """Begin.

        Args:
            alphabet: What characters there are.
            without: Characters that no class holds.
        """
        self._alphabet = alphabet
        self._without = set(without)
        self._known: dict[tuple[str, int], Chars] = {}

    def read(self, expression: str) -> Node:
        """Return the tree of an expression in the syntax of `re`.

        Raises:
            ExpressionError: If it is not one, or is not regular in the strict sense.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parsed = _parser.parse(expression)
            return self._series(list(parsed), parsed.state.flags, begins=True, ends=True)
        except (re.error, ValueError, OverflowError) as error:
            raise ExpressionError(str(error)) from error
        except RecursionError as error:
            raise ExpressionError("nested too deeply") from error

    def literal(self, text: str) -> Node:
        """Return the tree of a text."""
        return self.read(re.escape(text))

    def _series(self, items: list[Any], flags: int, *, begins: bool, ends: bool) -> Node:
        parts: list[Node] = []
        first = next((i for i, item in enumerate(items) if not _is_at(item, _BEGINNINGS)), len(items))
        last = next((i for i in reversed(range(len(items))) if not _is_at(items[i], _ENDS)), -1)
        for i, item in enumerate(items):
            if not (begins and i < first) and not (ends and i > last):
                part = self._item(item, flags, begins=begins and i <= first, ends=ends and i >= last)
                parts.append(part)
        return parts[0] if len(parts) == 1 else Series(tuple(parts))

    def _item(self, item: Any, flags: int, *, begins: bool, ends: bool) -> Node:
        kind, value = item
        if kind in _CLASSES:
            return self._chars(kind, value, flags)
        if kind in _REPEATS:
            low, high, inner = value
            part = self._series(list(inner), flags, begins=False, ends=False)
            return Repeat(part, low, None if high is _parser.MAXREPEAT else high)
        if kind is _parser.SUBPATTERN:
            _, added, removed, inner = value
            within = _compiler._combine_flags(flags, added, removed)
            return self._series(list(inner), within, begins=begins, ends=ends)
        if kind is _parser.BRANCH:
            branches = [self._series(list(inner), flags, begins=begins, ends=ends) for inner in value[1]]
            return Choice(tuple(branches))
        raise ExpressionError(_REFUSED.get(kind, f"{kind} is not possible"))

    def _chars(self, kind: Any, value: Any, flags: int) -> Chars:
        key = f"{kind} {value}", flags
        if key not in self._known:
            # The class is compiled as a run of one or more of its characters, to find spans of them at once.
            state = _parser.State()
            state.flags = flags
            one = _parser.SubPattern(state, [(kind, value)])
            run = _parser.SubPattern(state, [(_parser.MAX_REPEAT, (1, _parser.MAXREPEAT, one))])
            found = _compiler.compile(run, flags).finditer(self._alphabet.text)
            self._known[key] = Chars(tuple(self._kept(match.span() for match in found)))
        return self._known[key]

    def _kept(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        text = self._alphabet.text
        gaps = sorted(text.find(char) for char in self._without if char in text)
        for begin, end in spans:
            for gap in gaps:
                if begin <= gap < end:
                    yield begin, gap
                    begin = gap + 1
            yield begin, end


def _is_at(item: Any, places: tuple[Any, ...]) -> bool:
    return item[0] is _parser.AT and item[1] in places


@dataclass(frozen=True)
class _Part:
    """A part of an expression: whether it matches nothing, and the positions it may begin and end with."""

    nullable: bool
    first: tuple[int, ...]
    last: tuple[int, ...]


_EMPTY = _Part(True, (), ())


class _Positions:
    """The places where an expression names characters, and which may follow which."""

    def __init__(self) -> None:
        self.chars: list[Chars] = []
        self.follow: list[set[int]] = []
        self._follows = 0

    def add(self, node: Node) -> _Part:
        """Enter the positions of a tree."""
        match node:
            case Chars():
                self.chars.append(node)
                self.follow.append(set())
                if len(self.chars) > POSITION_LIMIT:
                    raise TooLargeError
                place = (len(self.chars) - 1,)
                return _Part(False, place, place)
            case Series():
                return reduce(self._joined, (self.add(part) for part in node.parts), _EMPTY)
            case Choice():
                parts = [self.add(part) for part in node.parts]
                first = tuple(place for part in parts for place in part.first)
                last = tuple(place for part in parts for place in part.last)
                return _Part(any(part.nullable for part in parts), first, last)
            case Repeat():
                return self._repeated(node)

    def _repeated(self, node: Repeat) -> _Part:
        whole, copies = _EMPTY, node.low if node.high is not None else max(node.low, 1)
        for _ in range(copies):
            part = self.add(node.part)
            if not part.first:
                return part  # no character, so no repetition of it makes a difference
            whole = self._joined(whole, part)
        if node.high is None:
            self._connect(part.last, part.first)
            return whole if node.low else _Part(True, whole.first, whole.last)
        rest = _EMPTY
        for _ in range(
            node.high - node.low
        ):  # a(a(a)?)? and not a?a?a?, in which everything follows everything
            rest = self._joined(self.add(node.part), rest)
            if not rest.first:
                break
            rest = _Part(True, rest.first, rest.last)
        return self._joined(whole, rest)

    def _joined(self, left: _Part, right: _Part) -> _Part:
        self._connect(left.last, right.first)
        return _Part(
            left.nullable and right.nullable,
            left.first + right.first if left.nullable else left.first,
            left.last + right.last if right.nullable else right.last,
        )

    def _connect(self, last: Sequence[int], first: Sequence[int]) -> None:
        self._follows += len(last) * len(first)
        if self._follows > FOLLOW_LIMIT:
            raise TooLargeError
        for place in last:
            self.follow[place].update(first)


def over_characters(node: Node, alphabet: Alphabet) -> Automaton:
    """Return the automaton over the characters of an alphabet that a tree describes.

    Raises:
        TooLargeError: If it would have too many states.
    """
    positions = _Positions()
    try:
        whole = positions.add(node)
    except RecursionError as error:
        raise TooLargeError from error
    kinds, kinds_of = _kinds(positions.chars, len(alphabet.points))
    numbers = {(frozenset(whole.first), whole.nullable): 0}
    queue = list(numbers)
    ends = frozenset(whole.last)
    edges = array("q"), array("q"), array("q")
    for state, (awaited, _) in enumerate(queue):  # which grows meanwhile
        readers: dict[int, list[int]] = {}
        for place in awaited:
            for kind in kinds_of[place]:
                readers.setdefault(kind, []).append(place)
        known: dict[tuple[int, ...], int] = {}
        for kind, places in readers.items():
            read = tuple(places)
            if read not in known:
                following = frozenset().union(*(positions.follow[place] for place in read))
                key = following, not ends.isdisjoint(read)
                if key not in numbers:
                    numbers[key] = len(queue)
                    queue.append(key)
                known[read] = numbers[key]
            for column, value in zip(edges, (state, kind, known[read]), strict=True):
                column.append(value)
        if len(queue) > STATE_LIMIT:
            raise TooLargeError
    sources, labels, targets = (np.frombuffer(column, np.int64) for column in edges)
    return make_automaton(kinds, sources, labels, targets, np.array([ends for _, ends in queue]))


def _kinds(chars: Sequence[Chars], size: int) -> tuple[Ints, list[tuple[int, ...]]]:
    """Find the kinds of characters that the classes tell apart.

    Returns:
        The kind of each character of an alphabet of this size, and the kinds that each class holds.
    """
    numbers = {one: number for number, one in enumerate(dict.fromkeys(chars))}
    bounds = np.unique([0, size, *(bound for one in numbers for span in one.spans for bound in span)])
    held = np.zeros((len(numbers), len(bounds) - 1), np.bool_)
    for one, number in numbers.items():
        for begin, end in one.spans:
            held[number, np.searchsorted(bounds, begin) : np.searchsorted(bounds, end)] = True
    held, kind_of_span = np.unique(held, axis=1, return_inverse=True)
    kinds = np.repeat(kind_of_span, np.diff(bounds))
    return kinds, [tuple(np.flatnonzero(held[numbers[one]]).tolist()) for one in chars]

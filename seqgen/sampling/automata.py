"""Finite automata over symbols: what a constraint is made of, whatever the symbols stand for.

An automaton is deterministic, minimal, and has no dead ends: from every state it is possible to come to one
in which a sequence may end. The language of nothing at all has no states. Symbols that lead to the same
states everywhere are of one kind, and edges are kept by kind: tables for thousands of tokens are small.

Sizes: V symbols, K kinds, S states, E edges. State 0 is where a sequence begins.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.constraint import Constraint

DEAD = -1
STATE_LIMIT = 100_000
EDGE_LIMIT = 20_000_000
_CHUNK = 4_000_000  # transitions that are looked up at a time

Ints = NDArray[np.int64]


class TooLargeError(ValueError):
    """An automaton would have more than STATE_LIMIT states or EDGE_LIMIT edges."""


class Limits(Protocol):
    """What may be drawn, from a place to the next; what samplers and searches need of an automaton."""

    @property
    def begin(self) -> int:
        """The place in which a sequence begins."""

    @property
    def concludes(self) -> bool:
        """Whether the end takes over the probability of all that may not follow where a sequence may end."""

    @property
    def shortest(self) -> int | None:
        """The length of the shortest sequence; None if there is none."""

    def mask(self, place: int, left: int) -> NDArray[np.bool_]:
        """Return which symbols may follow, (V,), so that `left` more are enough to come to an end."""

    def may_end(self, place: int) -> bool:
        """Return whether a sequence may end in a place."""

    def advance(self, place: int, symbol: int) -> int:
        """Return the place after a symbol, or DEAD if it may not follow."""

    def tables(self, length: int) -> Constraint:
        """Return what the sampling loop walks, for sequences of up to `length` tokens."""


@dataclass(frozen=True, eq=False)
class Automaton:
    """A constraint; make it with `make_automaton`.

    Attributes:
        kinds: The kind of each symbol, (V,).
        starts: Where the edges of each state begin, (S + 1,).
        labels: The kind that each edge is for, (E,), ascending within a state.
        targets: The state that it leads to, (E,).
        accepting: Whether a sequence may end in each state, (S,).
        concludes: Whether, where a sequence may end, its end takes over the probability of all that may not
            follow there: for a constraint that says where to end. Otherwise what may follow shares it.
    """

    kinds: Ints
    starts: Ints
    labels: Ints
    targets: Ints
    accepting: NDArray[np.bool_]
    concludes: bool = False

    begin = 0

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.accepting)

    @property
    def num_kinds(self) -> int:
        """K."""
        return int(self.kinds.max(initial=-1)) + 1

    @cached_property
    def sources(self) -> Ints:
        """The state that each edge leaves, (E,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @cached_property
    def distance(self) -> Ints:
        """The fewest symbols from each state to an accepting one, (S,)."""
        return _distances(self.targets, self.sources, np.flatnonzero(self.accepting), len(self))

    @property
    def shortest(self) -> int | None:
        """The length of the shortest sequence; None if there is none."""
        return int(self.distance[0]) if len(self) else None

    def mask(self, state: int, left: int | None = None) -> NDArray[np.bool_]:
        """Return which symbols may follow in a state, (V,).

        Args:
            state: The state.
            left: How many symbols may still come after the one that follows, if that is limited.
        """
        edges = slice(self.starts[state], self.starts[state + 1])
        allowed = np.zeros(self.num_kinds, np.bool_)
        near = True if left is None else self.distance[self.targets[edges]] <= left
        allowed[self.labels[edges]] = near
        return allowed[self.kinds]

    def may_end(self, state: int) -> bool:
        """Return whether a sequence may end in a state."""
        return bool(self.accepting[state])

    def advance(self, state: int, symbol: int) -> int:
        """Return the state after a symbol, or DEAD if it may not follow."""
        first, last = self.starts[state : state + 2]
        edge = first + np.searchsorted(self.labels[first:last], self.kinds[symbol])
        return int(self.targets[edge]) if edge < last and self.labels[edge] == self.kinds[symbol] else DEAD

    def walk(self, symbols: Iterable[int]) -> int:
        """Return the state after symbols from the start, or DEAD."""
        begin = 0 if len(self) else DEAD
        return reduce(
            lambda at, symbol: DEAD if at == DEAD else self.advance(at, int(symbol)), symbols, begin
        )

    def after(self, symbols: Iterable[int]) -> "Automaton":
        """Return what may follow these symbols."""
        state = self.walk(symbols)
        if state == DEAD:
            return nothing(len(self.kinds))
        return make_automaton(
            self.kinds, self.sources, self.labels, self.targets, self.accepting, start=state
        )

    def without(self, symbols: Iterable[int]) -> "Automaton":
        """Return what it allows of the sequences that have none of these symbols."""
        kinds = np.isin(np.arange(len(self.kinds)), list(symbols)).astype(np.int64)
        none = np.zeros(1, np.int64)
        others = Automaton(kinds, np.arange(2), none, none, np.ones(1, np.bool_))
        return replace(intersect(self, others), concludes=self.concludes)

    def rows(self, states: Ints) -> Ints:
        """Return the state after each kind from each of some states, (N, K); DEAD where none."""
        table = np.full((len(states), self.num_kinds), DEAD, np.int64)
        counts = self.starts[states + 1] - self.starts[states]
        edges = _spans(self.starts[states], counts)
        table[np.repeat(np.arange(len(states)), counts), self.labels[edges]] = self.targets[edges]
        return table

    def tables(self, length: int) -> Constraint:
        """Return what the sampling loop walks, for sequences of up to `length` tokens."""
        return Constraint(
            kinds=self.kinds.astype(np.int32)[None],
            following=np.zeros((1, len(self.kinds)), np.int32),
            starts=self.starts,
            labels=self.labels.astype(np.int32),
            moves=self.targets - self.sources,
            distance=self.distance.astype(np.int32),
            start=0,
            length=length,
            concludes=self.concludes,
        )


def make_automaton(
    kinds: Ints, sources: Ints, labels: Ints, targets: Ints, accepting: NDArray[np.bool_], *, start: int = 0
) -> Automaton:
    """Make an automaton of edges in any order, at most one a state and kind; what is useless is left out.

    Args:
        kinds: The kind of each symbol, (V,).
        sources: The state that each edge leaves, (E,).
        labels: The kind of symbol that it is for, (E,).
        targets: The state that it leads to, (E,).
        accepting: Whether a sequence may end in each state, (S,).
        start: The state in which sequences begin.

    Raises:
        TooLargeError: If there are too many states or edges.
    """
    if len(accepting) > STATE_LIMIT or len(labels) > EDGE_LIMIT:
        raise TooLargeError
    count = len(accepting)
    meant = np.isin(labels, kinds)
    sources, labels, targets = sources[meant], labels[meant], targets[meant]
    reached = _distances(sources, targets, np.array([start]), count) >= 0
    useful = reached & (_distances(targets, sources, np.flatnonzero(accepting), count) >= 0)
    if not useful[start]:
        return nothing(len(kinds))
    order = np.concatenate([[start], np.flatnonzero(useful & (np.arange(count) != start))])
    renumbered = np.full(count, DEAD)
    renumbered[order] = np.arange(len(order))
    kept = useful[sources] & useful[targets]
    edges = (renumbered[sources[kept]], labels[kept], renumbered[targets[kept]])
    return _merge_kinds(kinds, _merge_states(_sorted(kinds, *edges, accepting[order])))


def explore(
    kinds: Ints,
    start: Hashable,
    follow: Callable[..., Iterable[tuple[int, Hashable]]],
    may_end: Callable[..., bool],
) -> Automaton:
    """Make the automaton of all states that can be reached.

    Args:
        kinds: The kind of each symbol, (V,).
        start: Where sequences begin.
        follow: Returns the kinds that may follow in a state, each with the state after it.
        may_end: Tells whether a sequence may end in a state.

    Raises:
        TooLargeError: If there are too many states.
    """
    numbers: dict[Hashable, int] = {start: 0}
    reached: list[Hashable] = [start]
    edges: list[tuple[int, int, int]] = []
    for number, state in enumerate(reached):  # which grows on the way
        for label, target in follow(state):
            if target not in numbers:
                numbers[target] = len(reached)
                reached.append(target)
            edges.append((number, label, numbers[target]))
        if len(reached) > STATE_LIMIT:
            raise TooLargeError
    accepting = np.array([may_end(state) for state in reached], np.bool_)
    sources, labels, targets = np.array(edges, np.int64).reshape(-1, 3).T
    return make_automaton(kinds, sources, labels, targets, accepting)


def nothing(num_symbols: int) -> Automaton:
    """Return the automaton that allows no sequence, not even the empty one."""
    none = np.zeros(0, np.int64)
    return Automaton(np.zeros(num_symbols, np.int64), np.zeros(1, np.int64), none, none, none > 0)


def intersect(first: Automaton, second: Automaton) -> Automaton:
    """Return the automaton of the sequences that both allow.

    Raises:
        TooLargeError: If it would have too many states or edges.
    """
    if not len(first) or not len(second):
        return nothing(len(first.kinds))
    pairs = first.kinds * second.num_kinds + second.kinds
    joint, kinds = np.unique(pairs, return_inverse=True)
    of_first, of_second = np.divmod(joint, second.num_kinds)
    known = frontier = np.zeros(1, np.int64)
    found: list[tuple[Ints, Ints, Ints]] = []
    while len(frontier):
        chunk, frontier = frontier[: _CHUNK // len(joint) + 1], frontier[_CHUNK // len(joint) + 1 :]
        left, right = np.divmod(chunk, len(second))
        left_next, right_next = first.rows(left)[:, of_first], second.rows(right)[:, of_second]
        rows, labels = np.nonzero((left_next >= 0) & (right_next >= 0))
        targets = left_next[rows, labels] * len(second) + right_next[rows, labels]
        found.append((chunk[rows], labels, targets))
        new = np.setdiff1d(targets, known)
        known, frontier = np.union1d(known, new), np.concatenate([frontier, new])
        if len(known) > STATE_LIMIT or sum(len(edges) for edges, _, _ in found) > EDGE_LIMIT:
            raise TooLargeError
    sources, labels, targets = (np.concatenate(part) for part in zip(*found, strict=True))
    left, right = np.divmod(known, len(second))
    accepting = first.accepting[left] & second.accepting[right]
    numbers = np.searchsorted(known, sources), labels, np.searchsorted(known, targets)
    return make_automaton(kinds, *numbers, accepting)  # code 0, the two starts, is state 0


def _spans(starts: Ints, counts: Ints) -> Ints:
    """Return start, start + 1, ... of each span, one span after the other."""
    before = np.concatenate([[0], counts.cumsum()[:-1]]) if len(counts) else counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def _distances(sources: Ints, targets: Ints, seeds: Ints, count: int) -> Ints:
    """Return the fewest edges from a seed to each of `count` states, and -1 where no edges lead."""
    order = np.argsort(sources, kind="stable")
    starts = np.searchsorted(sources[order], np.arange(count + 1))
    ends = targets[order]
    distance = np.full(count, -1)
    frontier, steps = seeds, 0
    while len(frontier):
        distance[frontier] = steps
        reached = ends[_spans(starts[frontier], starts[frontier + 1] - starts[frontier])]
        frontier, steps = np.unique(reached[distance[reached] < 0]), steps + 1
    return distance


def _sorted(
    kinds: Ints, sources: Ints, labels: Ints, targets: Ints, accepting: NDArray[np.bool_]
) -> Automaton:
    order = np.lexsort((labels, sources))
    starts = np.searchsorted(sources[order], np.arange(len(accepting) + 1))
    return Automaton(kinds, starts.astype(np.int64), labels[order], targets[order], accepting)


def _merge_states(whole: Automaton) -> Automaton:
    """Make states one that allow the same to follow (Moore 1956, "Gedanken-experiments").

    Such states have the same distance to the end, so the partition that is refined begins with distances: a
    chain of states, of which counted repetitions have many, is then done in one round.
    """
    colors, count = whole.distance, 0
    colors = _numbered(colors.tolist())
    while (found := int(colors.max()) + 1) > count:
        count = found
        followers = _rows_as_bytes(whole.labels * count + colors[whole.targets], whole.starts)
        colors = _numbered(zip(colors.tolist(), followers, strict=True))
    _, examples = np.unique(colors, return_index=True)
    edges = _spans(whole.starts[examples], whole.starts[examples + 1] - whole.starts[examples])
    merged = colors[whole.sources[edges]], whole.labels[edges], colors[whole.targets[edges]]
    return _sorted(whole.kinds, *merged, whole.accepting[examples])


def _merge_kinds(kinds: Ints, whole: Automaton) -> Automaton:
    """Make kinds one that lead to the same states everywhere."""
    order = np.argsort(whole.labels, kind="stable")
    used = np.unique(kinds)
    starts = np.searchsorted(whole.labels[order], [*used, whole.num_kinds])  # what is not used has no edges
    columns = _rows_as_bytes(whole.sources[order] * len(whole) + whole.targets[order], starts)
    new = np.zeros(whole.num_kinds, np.int64)
    new[used] = _numbered(columns)
    _, examples = np.unique(new[used], return_index=True)
    kept = np.isin(whole.labels, used[examples])
    edges = whole.sources[kept], new[whole.labels[kept]], whole.targets[kept]
    return _sorted(new[kinds], *edges, whole.accepting)


def _rows_as_bytes(values: Ints, starts: Ints) -> list[bytes]:
    """Return the spans of an array, each as bytes."""
    raw, bounds = values.tobytes(), (starts * values.itemsize).tolist()
    return [raw[begin:end] for begin, end in pairwise(bounds)]


def _numbered(keys: Iterable[Hashable]) -> Ints:
    """Number equal keys alike, in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)

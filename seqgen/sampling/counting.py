"""Automata that count, and read tokens by what came before: large constraints in small tables.

How a bar is filled and how many bars are left have little to do with each other. Their product would have as
many states as both have together, each with the same edges; here the edges are kept once, and say by how much
what is counted rises. The same for what a token means: whether a pitch may follow depends on the pitch
before, whatever the rhythm, so a reader of its own tells the kind of each token, and the automaton walks over
kinds.

The distance of a node is a number of tokens that is enough to come to an end: the fewest over the edges for
which the reader is sure to have a token, whatever state it is in; who makes the two says which these are.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.constraint import Constraint, measure
from seqgen.sampling.automata import DEAD, Ints, TooLargeError

NODE_LIMIT = 30_000_000
NEVER = 0
"""The kind of tokens that may not follow; no edge is for it."""
SHUT = -2
"""Of a node in which nothing may be, in place of a distance."""

Edge = tuple[int, Hashable, int]
"""A kind, the state that it leads to, and by how many layers it rises."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Tells the kind of each token.

    Attributes:
        kinds: In each of its states, (R, V).
        following: The state after it, (R, V).
    """

    kinds: NDArray[np.int32]
    following: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Graph:
    """States and edges between them, numbered in the order in which they were found.

    Attributes:
        states: What each state is.
        sources: The state that each edge leaves, (E,), ascending.
        labels: The kind that it is for, (E,), ascending within a state.
        targets: The state that it leads to, (E,).
        rises: By how many layers, (E,).
    """

    states: Sequence[Any]
    sources: Ints
    labels: Ints
    targets: Ints
    rises: Ints


def explore(start: Hashable, follow: Callable[[Any], Iterator[Edge]]) -> Graph:
    """Find all states that can be come to.

    Args:
        start: The first state.
        follow: Returns the edges of a state, one a kind.
    """
    numbers: dict[Hashable, int] = {start: 0}
    states = [start]
    edges: list[tuple[int, int, int, int]] = []
    for number, state in enumerate(states):  # which grows meanwhile
        for kind, target, rise in follow(state):
            found = numbers.setdefault(target, len(states))
            if found == len(states):
                states.append(target)
            edges.append((number, kind, found, rise))
    sources, labels, targets, rises = np.array(sorted(edges), np.int64).reshape(-1, 4).T
    return Graph(states, sources, labels, targets, rises)


@dataclass(frozen=True, eq=False)
class CountingAutomaton:
    """A constraint; make it with `count_over`.

    Attributes:
        distance: The fewest tokens from each node to an end, below 0 where there is no way, (layers * S,).
        place: Where sequences begin: its node times R, plus the state of its reader.
    """

    reader: Reader
    graph: Graph
    distance: NDArray[np.int32]
    place: int

    @property
    def shortest(self) -> int | None:
        """The length of the shortest sequence; None if there is none."""
        found = int(self.distance[self.place // len(self.reader.kinds)])
        return found if found >= 0 else None

    @cached_property
    def _starts(self) -> Ints:
        return np.searchsorted(self.graph.sources, np.arange(len(self.graph.states) + 1)).astype(np.int64)

    @cached_property
    def _moves(self) -> Ints:
        graph = self.graph
        return graph.targets - graph.sources + graph.rises * len(graph.states)

    @property
    def begin(self) -> int:
        """The place in which a sequence begins."""
        return self.place

    @property
    def concludes(self) -> bool:
        """Whether the end takes over what may not follow: it does not."""
        return False

    def mask(self, place: int, left: int) -> NDArray[np.bool_]:
        """Return which tokens may follow, (V,).

        Args:
            place: Where the sequence is.
            left: How many tokens may still come after the one that follows.
        """
        node, reader = divmod(place, len(self.reader.kinds))
        state = node % len(self.graph.states)
        edges = slice(self._starts[state], self._starts[state + 1])
        goals = node + self._moves[edges]
        inside = (goals >= 0) & (goals < len(self.distance))
        distance = self.distance[np.where(inside, goals, 0)]
        near = self.graph.labels[edges][inside & (distance >= 0) & (distance <= left)]
        return np.isin(self.reader.kinds[reader], near)

    def may_end(self, place: int) -> bool:
        """Return whether a sequence may end in a place."""
        return bool(self.distance[place // len(self.reader.kinds)] == 0)

    def advance(self, place: int, token: int) -> int:
        """Return the place after a token, or DEAD if it may not follow."""
        node, reader = divmod(place, len(self.reader.kinds))
        state = node % len(self.graph.states)
        first, last = self._starts[state : state + 2]
        kind = self.reader.kinds[reader, token]
        edge = first + np.searchsorted(self.graph.labels[first:last], kind)
        if edge == last or self.graph.labels[edge] != kind:
            return DEAD
        goal = node + int(self._moves[edge])
        if not 0 <= goal < len(self.distance) or self.distance[goal] < 0:
            return DEAD
        return goal * len(self.reader.kinds) + int(self.reader.following[reader, token])

    def obeyed(self, tokens: Iterable[int]) -> tuple[int, "CountingAutomaton"]:
        """Return how many tokens may follow one another from the start, and what may follow these."""
        place, count = self.place, 0
        for token in tokens:
            after = self.advance(place, int(token))
            if after == DEAD:
                break
            place, count = after, count + 1
        return count, replace(self, place=place)

    def tables(self, length: int) -> Constraint:
        """Return what the sampling loop walks, for sequences of up to `length` tokens."""
        return Constraint(
            kinds=self.reader.kinds,
            following=self.reader.following,
            starts=self._starts,
            labels=self.graph.labels.astype(np.int32),
            moves=self._moves,
            distance=self.distance,
            start=self.place,
            length=length,
            concludes=False,
        )


def count_over(
    reader: Reader,
    graph: Graph,
    nodes: NDArray[np.int32],
    *,
    only: Ints,
    share: int,
    sure: NDArray[np.bool_],
    layer: int,
) -> CountingAutomaton:
    """Measure how far each node is from an end.

    Args:
        reader: Its first state is the first one.
        graph: Its first state is the first one.
        nodes: 0 where a sequence may end, -1 where it may be, and SHUT, (layers, S).
        only: The share of layers that each edge is in, -1 for all, (E,).
        share: How many layers have a share.
        sure: Whether the reader always has a token for an edge, (E,).
        layer: In which sequences begin.

    Raises:
        TooLargeError: If there are too many nodes.
    """
    if nodes.size > NODE_LIMIT:
        raise TooLargeError
    order = np.flatnonzero(sure)[np.argsort(graph.targets[sure], kind="stable")]
    starts = np.searchsorted(graph.targets[order], np.arange(len(graph.states) + 1)).astype(np.int64)
    distance = nodes.reshape(-1).astype(np.int32)
    measure(len(graph.states), starts, graph.sources[order], graph.rises[order], only[order], share, distance)
    start = layer * len(graph.states) * len(reader.kinds)
    return CountingAutomaton(reader, graph, distance, start)

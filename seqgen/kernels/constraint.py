"""What may be drawn, as tables that the sampling loop walks: a finite automaton over tokens.

The loop knows nothing else of a constraint. `seqgen.sampling.automata` makes the tables, and
`seqgen.sampling.counting` those of automata that count.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.draw import FORBIDDEN, UNIT, ZERO, extremes, units
from seqgen.kernels.exponential import exp
from seqgen.kernels.jit import compiled

EOS = 0


class Constraint(NamedTuple):
    """An automaton of S states and E edges, what it counts, and how it reads tokens; begins in place 0.

    Its layers are the values of what it counts: an edge leads to a state and, up or down, to a layer. There
    are S times as many nodes as layers, numbered layer by layer. What a token means, its kind, may depend on
    tokens before: a reader of R states, for text one, tells the kinds. Without nodes all is allowed.

    Attributes:
        kinds: The kind of each token in each state of the reader, (R, V): tokens of one kind lead to the same
            node everywhere.
        following: The state of the reader after it, (R, V).
        starts: Where the edges of each state begin, (S + 1,).
        labels: The kind of token that each edge is for, (E,), ascending within a state.
        moves: What it adds to the number of a node, (E,).
        distance: The fewest tokens from each node to one in which a sequence may end, 0 in these; -1 where
            there is no way.
        start: The number of the place in which a sequence begins; `place` counts from there.
        length: How many tokens a sequence may have.
        concludes: Whether, where a sequence may end, its end takes over the probability of all that may not
            follow there.
    """

    kinds: NDArray[np.int32]
    following: NDArray[np.int32]
    starts: NDArray[np.int64]
    labels: NDArray[np.int32]
    moves: NDArray[np.int64]
    distance: NDArray[np.int32]
    start: int
    length: int
    concludes: bool


FREE = Constraint(
    kinds=np.zeros((0, 0), np.int32),
    following=np.zeros((0, 0), np.int32),
    starts=np.zeros(1, np.int64),
    labels=np.zeros(0, np.int32),
    moves=np.zeros(0, np.int64),
    distance=np.zeros(0, np.int32),
    start=0,
    length=0,
    concludes=False,
)


def make_room(constraint: Constraint) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return room for `forbid`: what is added to the scores of each kind, and the scores before, (V,)."""
    kinds = constraint.kinds.max() + 1 if constraint.kinds.size else 0
    return np.full(kinds, FORBIDDEN), np.zeros(constraint.kinds.shape[1], np.float32)


@compiled
def _stand(constraint: Any, place: Any) -> Any:
    """Return the node and the state of the reader that a place stands for."""
    readers = len(constraint.kinds)
    whole = place + constraint.start
    return whole // readers, whole % readers


@compiled
def forbid(constraint: Any, place: Any, left: Any, room: Any, scores: Any) -> None:
    """Set the scores of all tokens to -inf that may not follow, (V,).

    Args:
        constraint: A Constraint.
        place: Where the sequence is.
        left: How many tokens may still be drawn after this one: a token after which that is too few to come
            to an end may not follow either.
        room: From `make_room`.
        scores: Changed in place.
    """
    node, reader = _stand(constraint, place)
    kinds, distance, (penalties, before) = constraint.kinds[reader], constraint.distance, room
    state = node % (len(constraint.starts) - 1)
    first, last = constraint.starts[state], constraint.starts[state + 1]
    for edge in range(first, last):
        goal = node + constraint.moves[edge]
        follows = 0 <= goal < len(distance) and 0 <= distance[goal] <= left
        penalties[constraint.labels[edge]] = ZERO if follows else FORBIDDEN
    penalties[kinds[EOS]] = FORBIDDEN
    end = scores[EOS]
    if constraint.concludes:
        before[:] = scores
    for v in range(len(scores)):
        scores[v] += penalties[np.uint32(kinds[v])]
    if distance[node] == 0:
        scores[EOS] = _end_of_all(before, scores) if constraint.concludes else end
    for edge in range(first, last):
        penalties[constraint.labels[edge]] = FORBIDDEN


@compiled
def _end_of_all(before: Any, scores: Any) -> Any:
    """Return the score of all that is forbidden, EOS included, taken together; changes `before`."""
    end, (_, top) = before[EOS], extremes(before)
    for v in range(len(scores)):
        before[v] = exp((FORBIDDEN if scores[v] > FORBIDDEN else before[v]) - top)
    taken = units(before)
    return np.float32(top + np.log(taken / UNIT)) if taken > 0 else end


@compiled
def advance(constraint: Any, place: Any, token: Any) -> Any:
    """Return the place after a token that may follow."""
    node, reader = _stand(constraint, place)
    state = node % (len(constraint.starts) - 1)
    kind = constraint.kinds[reader, token]
    low, high = constraint.starts[state], constraint.starts[state + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if constraint.labels[middle] <= kind:
            low = middle
        else:
            high = middle
    whole = (node + constraint.moves[low]) * len(constraint.kinds) + constraint.following[reader, token]
    return np.int64(whole - constraint.start)


@compiled
def measure(states: Any, starts: Any, sources: Any, rises: Any, only: Any, share: Any, distance: Any) -> None:
    """Fill in the fewest edges from each node to the nearest that has a distance of 0.

    Args:
        states: S.
        starts: Where the edges that lead to each state begin, (S + 1,).
        sources: The state that each of them leaves, (E,).
        rises: The layers that it rises by, (E,).
        only: The share of layers that it is in, (E,), or -1 for all.
        share: How many layers have a share.
        distance: 0, -1 where it is not known, -2 where nothing may come; changed in place.
    """
    queue = np.empty(len(distance), np.int64)
    end = 0
    for node in range(len(distance)):
        if distance[node] == 0:
            queue[end] = node
            end += 1
    begin = 0
    while begin < end:
        node = queue[begin]
        begin += 1
        layer, state = node // states, node % states
        for edge in range(starts[state], starts[state + 1]):
            before = layer - rises[edge]
            source = before * states + sources[edge]
            if source < 0 or source >= len(distance) or distance[source] != -1:
                continue
            if only[edge] < 0 or only[edge] == before // share:
                distance[source] = distance[node] + 1
                queue[end] = source
                end += 1

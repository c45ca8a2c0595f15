"""What may be drawn, as tables that the sampling loop walks: a finite automaton over tokens.

The loop knows nothing else of a constraint. `seqgen.sampling.automata` makes the tables.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.draw import FORBIDDEN, UNIT, ZERO, largest
from seqgen.kernels.exponential import exp
from seqgen.kernels.jit import compiled

EOS = 0


class Constraint(NamedTuple):
    """An automaton of S states and E edges, which begins in state 0; without states it allows everything.

    Attributes:
        kinds: The kind of each token, (V,): tokens of one kind lead to the same state everywhere.
        starts: Where the edges of each state begin, (S + 1,).
        labels: The kind of token that each edge is for, (E,), ascending within a state.
        targets: The state that it leads to, (E,).
        distance: The fewest tokens from each state to one in which a sequence may end, (S,); 0 in these.
        length: How many tokens a sequence may have.
        concludes: Whether, where a sequence may end, its end takes over the probability of all that may not
            follow there.
    """

    kinds: NDArray[np.int32]
    starts: NDArray[np.int64]
    labels: NDArray[np.int32]
    targets: NDArray[np.int32]
    distance: NDArray[np.int32]
    length: int
    concludes: bool


FREE = Constraint(
    kinds=np.zeros(0, np.int32),
    starts=np.zeros(1, np.int64),
    labels=np.zeros(0, np.int32),
    targets=np.zeros(0, np.int32),
    distance=np.zeros(0, np.int32),
    length=0,
    concludes=False,
)


@compiled
def kind_room(constraint: Any) -> Any:
    """Return room to mark the kinds of tokens, none of them marked."""
    return np.zeros(constraint.kinds.max() + 1 if len(constraint.kinds) else 0, np.bool_)


@compiled
def forbid(constraint: Any, place: Any, left: Any, marked: Any, scores: Any) -> None:
    """Set the scores of all tokens to -inf that may not follow, (V,).

    Args:
        constraint: A Constraint.
        place: The state.
        left: How many tokens may still be drawn after this one: a token after which that is too few to come
            to an end may not follow either.
        marked: From `kind_room`.
        scores: Changed in place.
    """
    first, last = constraint.starts[place], constraint.starts[place + 1]
    for edge in range(first, last):
        marked[constraint.labels[edge]] = constraint.distance[constraint.targets[edge]] <= left
    marked[constraint.kinds[EOS]] = False
    end = FORBIDDEN
    if constraint.distance[place] == 0:
        end = _end_of_all(constraint, marked, scores) if constraint.concludes else scores[EOS]
    for v in range(len(scores)):
        scores[v] = scores[v] if marked[constraint.kinds[v]] else FORBIDDEN
    scores[EOS] = end
    for edge in range(first, last):
        marked[constraint.labels[edge]] = False


@compiled
def _end_of_all(constraint: Any, marked: Any, scores: Any) -> Any:
    """Return the score of what is not marked, EOS included, taken together."""
    top = largest(scores)
    units: Any = 0
    for v in range(len(scores)):
        weight = exp(scores[v] - top)
        units += np.int64((ZERO if marked[constraint.kinds[v]] else weight) * UNIT)
    return np.float32(top + np.log(units / UNIT)) if units > 0 else scores[EOS]


@compiled
def advance(constraint: Any, place: Any, token: Any) -> Any:
    """Return the state after a token that may follow."""
    kind = constraint.kinds[token]
    low, high = constraint.starts[place], constraint.starts[place + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if constraint.labels[middle] <= kind:
            low = middle
        else:
            high = middle
    return np.int64(constraint.targets[low])

"""A limit on what is copied from a corpus: no run of more than N tokens of it is drawn.

An automaton of all its runs would be as large as the corpus, so each sequence carries the occurrences of its
longest suffix of up to N tokens instead. Where that has N, whatever follows it somewhere is forbidden. The
end of a document is no part of a copy: a run does not go on across it, and EOS itself may always follow.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.draw import FORBIDDEN
from seqgen.kernels.jit import compiled
from seqgen.kernels.suffixes import EOS, follow, past

STUCK = -3  # in place of a token, where no token is left to be drawn


class CopyLimit(NamedTuple):
    """What may not be copied, and how long a copy may be.

    Attributes:
        text: Token ids, (N,), read-only.
        order: Where its suffixes begin, in lexicographic order, (N,), read-only.
        longest: How many tokens a copy may have; 0 is any number.
    """

    text: NDArray[np.unsignedinteger]
    order: NDArray[np.signedinteger]
    longest: int


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written to, as of a file: a kernel is compiled for one kind only."""
    view = array.view()
    view.setflags(write=False)
    return view


ANY_COPY = CopyLimit(read_only(np.zeros(0, np.uint8)), read_only(np.zeros(0, np.int32)), 0)


@compiled
def forbid_copies(limit: Any, match: Any, row: int, scores: Any) -> bool:
    """Set the scores of all tokens to -inf that would make a copy too long.

    Args:
        limit: A CopyLimit.
        match: A Match of suffixes of up to as many tokens.
        row: Of the sequence.
        scores: Changed in place, (V,).

    Returns:
        Whether any token may still be drawn.
    """
    text, order, depth = limit.text, limit.order, match.length[row]
    if depth < limit.longest:
        return True
    low, high = match.low[row], match.high[row]
    if low < high and order[low] + depth == len(text):
        low += 1  # nothing follows at the very end
    while low < high:
        token = text[order[low] + depth]
        if token != EOS:
            scores[token] = FORBIDDEN
        low = past(text, order, low, high, depth)
    left = 0
    for v in range(len(scores)):
        left += scores[v] > FORBIDDEN
    return left > 0


@compiled
def read_copied(limit: Any, match: Any, tokens: Any) -> None:
    """Go on with tokens that were given, in a Match of one sequence."""
    for token in tokens:
        follow(limit.text, limit.order, match, 0, token)

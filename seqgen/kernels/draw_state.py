"""What the sampling loop knows of a batch besides its network: where its sequences stand in what is drawn.

Each row draws from random numbers keyed by the number of its sequence and by its own step, and from what it
has drawn itself: how many rows there are, and which thread draws them, never changes a token.

Sizes: B sequences, V tokens.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.constraint import Constraint, make_room
from seqgen.kernels.copying import ANY_COPY, CopyLimit, read_copied
from seqgen.kernels.draw import BROKEN, DrawRule
from seqgen.kernels.mixing import NO_MIX, NgramMix, Trail, read_contexts, start_trail
from seqgen.kernels.suffixes import NOWHERE, Match, no_match

EOS = 0
ENDED = -1  # in place of a token, after a sequence's end
NO_TOKENS = np.zeros(0, np.int64)


class Terms(NamedTuple):
    """What decides a draw besides the logits.

    Attributes:
        rule: How tokens are drawn.
        constraint: What may be drawn.
        copying: What may not be copied.
        mixing: An n-gram model that is mixed in.
        room: For the constraint.
    """

    rule: DrawRule
    constraint: Constraint
    copying: CopyLimit
    mixing: NgramMix
    room: tuple[NDArray[np.float32], NDArray[np.float32]]


def make_terms(rule: DrawRule, constraint: Constraint, copying: CopyLimit, mixing: NgramMix) -> Terms:
    """Return the terms of draws in one thread."""
    return Terms(rule, constraint, copying, mixing, make_room(constraint))


class DrawState(NamedTuple):
    """Where each of B sequences stands in what is drawn, and room to draw in.

    Attributes:
        sequence: The number that keys its random draws, (B,).
        step: How many tokens it has drawn, (B,).
        place: The state of its constraint, (B,).
        token: Its pending token, drawn or given but not yet consumed by the network, (B,).
        live: Whether it goes on, (B,).
        match: What of it stands in a corpus, for a limit on copies.
        trail: The contexts of it in an n-gram model.
        scores: Of one draw, (V,).
    """

    sequence: NDArray[np.uint64]
    step: NDArray[np.uint64]
    place: NDArray[np.int64]
    token: NDArray[np.int64]
    live: NDArray[np.bool_]
    match: Match
    trail: Trail
    scores: NDArray[np.float32]


def start_draws(
    sequences: Sequence[int],
    prompt: NDArray[np.int64] = NO_TOKENS,
    *,
    vocab: int,
    copying: CopyLimit = ANY_COPY,
    mixing: NgramMix = NO_MIX,
) -> DrawState:
    """Return the state of new sequences, which start from EOS and go on from the same prompt.

    Args:
        sequences: Their numbers.
        prompt: Token ids, (T,).
        vocab: V.
        copying: What may not be copied.
        mixing: An n-gram model that is mixed in.

    Raises:
        ValueError: If a token is not in the vocabulary.
    """
    if len(prompt) and not 0 <= prompt.min() <= prompt.max() < vocab:
        raise ValueError(f"tokens outside the vocabulary of {vocab}")
    match, trail = no_match(1, copying.longest, len(copying.order)), start_trail(mixing, 1)
    if copying.longest:
        read_copied(copying, match, np.where(prompt == EOS, NOWHERE, prompt))
    if mixing.share:
        read_contexts(mixing, trail, np.append(EOS, prompt))
    batch = len(sequences)
    return DrawState(
        sequence=np.array(sequences, np.uint64),
        step=np.zeros(batch, np.uint64),
        place=np.zeros(batch, np.int64),
        token=np.full(batch, prompt[-1] if len(prompt) else EOS, np.int64),
        live=np.ones(batch, np.bool_),
        match=_repeated(match, batch),
        trail=trail._replace(
            ranges=np.repeat(trail.ranges, batch, axis=0), match=_repeated(trail.match, batch)
        ),
        scores=np.zeros(vocab, np.float32),
    )


def _repeated(match: Match, batch: int) -> Match:
    return Match(*(np.repeat(array, batch, axis=0) for array in match))


def divide_draws(draws: DrawState, parts: int) -> list[tuple[slice, DrawState]]:
    """Return consecutive shares of the rows, for threads of which each needs room of its own."""
    bounds = np.linspace(0, len(draws.live), parts + 1).astype(int).tolist()
    return [(slice(*pair), _share(draws, slice(*pair))) for pair in pairwise(bounds)]


def _share(draws: DrawState, rows: slice) -> DrawState:
    trail = draws.trail
    return DrawState(
        sequence=draws.sequence[rows],
        step=draws.step[rows],
        place=draws.place[rows],
        token=draws.token[rows],
        live=draws.live[rows],
        match=Match(*(array[rows] for array in draws.match)),
        trail=Trail(
            ranges=trail.ranges[rows],
            match=Match(*(array[rows] for array in trail.match)),
            successors=trail.successors.copy(),
            counts=trail.counts.copy(),
            probs=trail.probs.copy(),
        ),
        scores=draws.scores.copy(),
    )


class Chunk(NamedTuple):
    """What a call draws.

    Attributes:
        seen: The tokens before and those that are drawn, (B, T + count).
        logprobs: Of those that are drawn, in nats, (B, count).
    """

    seen: NDArray[np.int64]
    logprobs: NDArray[np.float64]

    def of(self, rows: slice) -> "Chunk":
        """Return the part of some rows."""
        return Chunk(self.seen[rows], self.logprobs[rows])

    def drawn(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the tokens and their log-probabilities, both (B, count).

        Raises:
            FloatingPointError: If logits were not finite.
        """
        tokens = self.seen[:, self.seen.shape[1] - self.logprobs.shape[1] :]
        if (tokens == BROKEN).any():
            raise FloatingPointError("the network's output is not finite")
        return tokens, self.logprobs


def make_chunk(draws: DrawState, past: NDArray[np.int64], count: int) -> Chunk:
    """Return room for `count` tokens of each row.

    Args:
        draws: Of the rows.
        past: The tokens before, (B, T), or (1, T) if all have the same.
        count: How many.
    """
    batch, before = len(draws.live), past.shape[1]
    seen = np.full((batch, before + count), ENDED, np.int64)
    seen[:, :before] = past
    return Chunk(seen, np.zeros((batch, count), np.float64))

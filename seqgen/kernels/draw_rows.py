"""From the logits of a batch to its tokens, compiled: the half of a step that is the same for all networks.

Each row draws from random numbers keyed by the number of its sequence and by its own step, and from what it
has drawn itself: how many rows there are, and which thread draws them, never changes a token.

Sizes: B sequences, V tokens.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.kernels.constraint import Constraint, advance, forbid, make_room
from seqgen.kernels.copying import ANY_COPY, STUCK, CopyLimit, forbid_copies, read_copied
from seqgen.kernels.draw import BROKEN, DrawRule, draw_token, forbid_repeats, log_sum, score
from seqgen.kernels.jit import compiled
from seqgen.kernels.mixing import (
    NO_MIX,
    NgramMix,
    Trail,
    follow_contexts,
    mix_in,
    read_contexts,
    start_trail,
)
from seqgen.kernels.philox import uniform
from seqgen.kernels.suffixes import NOWHERE, Match, follow, no_match

EOS = 0
ENDED = -1  # in place of a token, after a sequence's end
ONE_STEP = np.uint64(1)
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


@partial(compiled, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def draw_rows(draws: Any, logits: Any, terms: Any, chunk: Any, step: Any) -> None:
    """Draw a token for each live row; part of compiled code, into which it is put without a call.

    Args:
        draws: A DrawState, which goes on by a token.
        logits: What the network gives, (B, V or more). Overwritten.
        terms: From `make_terms`.
        chunk: A Chunk. Receives the tokens: BROKEN where the logits are not finite, STUCK where no token is
            left to be drawn.
        step: How many tokens of the chunk were drawn before.
    """
    rule, constraint, copying, mixing, room = terms
    seen, logprobs = chunk
    now, scores = seen.shape[1] - logprobs.shape[1] + step, draws.scores
    for row in range(len(draws.live)):
        if not draws.live[row]:
            continue
        given, before = logits[row, : len(scores)], seen[row, :now]
        log_total = log_sum(given, scores)
        if np.isnan(log_total):
            seen[row, now], draws.live[row] = BROKEN, False
            continue
        if mixing.share > 0.0:
            mix_in(mixing, draws.trail, row, given, log_total)
            log_total = 0.0
        drawn = np.int64(draws.step[row])
        score(given, rule, before, log_total, scores)
        if len(constraint.distance):
            forbid(constraint, draws.place[row], constraint.length - drawn - 1, room, scores)
        if copying.longest and not forbid_copies(copying, draws.match, row, scores):
            seen[row, now], draws.live[row] = STUCK, False
            continue
        if rule.ngram:
            forbid_repeats(before, rule.ngram, scores)
        token = draw_token(scores, rule, drawn, uniform(rule.seed, draws.sequence[row], draws.step[row]))
        seen[row, now], logprobs[row, step] = token, given[token] - log_total
        if len(constraint.distance) and token > EOS:
            draws.place[row] = advance(constraint, draws.place[row], token)
        if copying.longest:
            follow(copying.text, copying.order, draws.match, row, token)
        if mixing.share > 0.0:
            follow_contexts(mixing, draws.trail, row, token)
        draws.token[row], draws.live[row] = token, token > EOS
        draws.step[row] += ONE_STEP


@compiled
def draw_rows_alone(draws: Any, logits: Any, terms: Any, chunk: Any, step: Any) -> None:
    """Do as `draw_rows`, when called from Python."""
    draw_rows(draws, logits, terms, chunk, step)

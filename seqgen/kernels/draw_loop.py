"""The sampling loop: a step of the network, then a draw for each row of a batch, again and again, compiled.

The loop goes with any network that says how it takes a step, by an overload of `consume` and of `project` for
its kind. Where the logits are computed elsewhere, such as in torch, `draw_given` draws from them.

Sizes: B sequences, V tokens.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from seqgen.kernels.constraint import advance, forbid
from seqgen.kernels.copying import STUCK, forbid_copies
from seqgen.kernels.draw import BROKEN, draw_token, forbid_repeats, log_sum, score
from seqgen.kernels.draw_state import EOS, Chunk, DrawState, Terms
from seqgen.kernels.jit import compiled
from seqgen.kernels.layout import Floats
from seqgen.kernels.mixing import follow_contexts, mix_in
from seqgen.kernels.philox import uniform
from seqgen.kernels.suffixes import follow

ONE_STEP = np.uint64(1)


def consume(options: Any, network: Any, state: Any) -> None:
    """Feed each live row's pending token through the layers, by what options their cells have."""
    raise NotImplementedError


def project(options: Any, network: Any, state: Any) -> None:
    """Compute the logits from the top layer's hidden state."""
    raise NotImplementedError


@compiled
def draw_tokens(
    network: Any,
    state: Any,
    rule: Any,
    constraint: Any,
    copying: Any,
    mixing: Any,
    room: Any,
    seen: Any,
    logprobs: Any,
    first: Any,
    last: Any,
) -> None:
    """Draw the tokens from number `first` to `last` of a chunk.

    Args:
        network: What `consume` and `project` take.
        state: Has `draws`, a DrawState, and `logits`, (B, V or more).
        rule: Of this and what follows, see Terms.
        constraint: See `rule`.
        copying: See `rule`.
        mixing: See `rule`.
        room: See `rule`.
        seen: Of a Chunk. Receives BROKEN where logits are not finite, STUCK where no token is left.
        logprobs: Of the Chunk.
        first: Of its tokens.
        last: See `first`.
    """
    draws, all_logits = state.draws, state.logits  # outside the loops, for the arrays' counts of references
    scores, before = draws.scores, seen.shape[1] - logprobs.shape[1]
    for step in range(first, last):
        now = before + step
        consume(network.options, network, state)
        project(network.options, network, state)
        for row in range(len(draws.live)):
            if not draws.live[row]:
                continue
            logits = all_logits[row, : len(scores)]
            log_total = log_sum(logits, scores)
            if np.isnan(log_total):
                seen[row, now], draws.live[row] = BROKEN, False
                continue
            if mixing.share > 0.0:
                mix_in(mixing, draws.trail, row, logits, log_total)
                log_total = 0.0
            drawn = np.int64(draws.step[row])
            score(logits, rule, seen[row, :now], log_total, scores)
            if len(constraint.distance):
                forbid(constraint, draws.place[row], constraint.length - drawn - 1, room, scores)
            if copying.longest and not forbid_copies(copying, draws.match, row, scores):
                seen[row, now], draws.live[row] = STUCK, False
                continue
            if rule.ngram:
                forbid_repeats(seen[row, :now], rule.ngram, scores)
            number = uniform(rule.seed, draws.sequence[row], draws.step[row])
            token = draw_token(scores, rule, drawn, number)
            seen[row, now], logprobs[row, step] = token, logits[token] - log_total
            if len(constraint.distance) and token > EOS:
                draws.place[row] = advance(constraint, draws.place[row], token)
            if copying.longest:
                follow(copying.text, copying.order, draws.match, row, token)
            if mixing.share > 0.0:
                follow_contexts(mixing, draws.trail, row, token)
            draws.token[row] = token
            draws.step[row] += ONE_STEP
            draws.live[row] = token > EOS


class Elsewhere(NamedTuple):
    """Tells that nothing is to be computed."""

    options: int = 0


class Given(NamedTuple):
    """In place of a network: the logits are there already."""

    options: Elsewhere = Elsewhere()


class GivenState(NamedTuple):
    """Where each of B sequences stands in what is drawn, and the logits of what follows, (B, V)."""

    draws: DrawState
    logits: Floats


def draw_given(draws: DrawState, logits: Floats, terms: Terms, chunk: Chunk, step: int) -> None:
    """Draw one token for each live row, from logits that were computed elsewhere.

    Args:
        draws: Goes on by a token.
        logits: (B, V). Overwritten.
        terms: How it is drawn.
        chunk: Receives the tokens.
        step: How many tokens of the chunk were drawn before.
    """
    draw_tokens(Given(), GivenState(draws, logits), *terms, *chunk, step, step + 1)


@overload(consume, strict=False)
@overload(project, strict=False)
def _choose_nothing(options: Any, network: Any, state: Any) -> Any:
    return _compute_nothing if options.instance_class is Elsewhere else None


def _compute_nothing(options: Any, network: Any, state: Any) -> None:
    pass

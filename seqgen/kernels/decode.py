"""The sampling loop on a CPU, without torch: weights in, tokens out, everything between them compiled.

Each sequence is computed on its own, from its own state and from random numbers keyed by its own number.
Batch size, chunk size and the number of threads therefore never change a token.

Layer 0 needs no product with its input: what a token contributes (embedding times input weights plus bias)
is computed when the token is first read, and remembered in a table. Cells with a mogrifier or layer
normalisation are the work of `seqgen.kernels.decode_options`, networks that see the last tokens alone of
`seqgen.kernels.decode_context`.

Sizes: B sequences; the others are those of `seqgen.kernels.layout`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from seqgen.kernels.constraint import FREE, Constraint, advance, forbid, kind_room
from seqgen.kernels.copying import ANY_COPY, STUCK, CopyLimit, forbid_copies, read_copied
from seqgen.kernels.crew import Crew, alone, begin_product, crew_size, join, multiply, with_helpers
from seqgen.kernels.decode_context import NOTHING, step_with_context
from seqgen.kernels.decode_options import EOS, ONE_ROW, Room, make_room, step_with_options
from seqgen.kernels.decode_step import copy, divide_among_clusters, forget, update
from seqgen.kernels.draw import BROKEN, DrawRule, draw_token, forbid_repeats, log_sum, score
from seqgen.kernels.jit import compiled, fma
from seqgen.kernels.layout import Context, Floats, Options, Plain, lay_out, weight_bytes
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

ENDED = -1  # in place of a token, after a sequence's end
ONE_STEP = np.uint64(1)
NO_TOKENS = np.zeros(0, np.int64)
NO_PAST = np.zeros((1, 0), np.int64)


class DecodeState(NamedTuple):
    """Where each of B sequences stands, and room to compute in.

    Attributes:
        sequence: The number that keys its random draws, (B,).
        step: How many tokens it has drawn, (B,).
        place: The state of its constraint, (B,).
        token: Its pending token, drawn or given but not yet consumed by the network, (B,).
        live: Whether it goes on, (B,).
        recent: The tokens before it that a network with a context sees, oldest first, or NOTHING, (B, N-1).
        hidden, memory: (L, B, H); memory is the LSTM's cell state.
        from_input, from_hidden: The two shares of the gates before they are squashed, (B, G*H).
        logits: (B, V + C padded).
        digits, embedding_digits: The inputs of int8 products, of two at a time, (2, B, 2, H), and (1, 2, E).
        weights: The unnormalised distribution of one draw, (V,).
        table: What each token contributes to layer 0 at each place, (P*V, G*H); a row counts once it is
            `known`, (P*V,).
        room: For cells with options.
        match: What of it stands in a corpus, for a limit on copies.
        trail: The contexts of it in an n-gram model.
        crew: The threads that compute its products.
    """

    sequence: NDArray[np.uint64]
    step: NDArray[np.uint64]
    place: NDArray[np.int64]
    token: NDArray[np.int64]
    live: NDArray[np.bool_]
    recent: NDArray[np.int64]
    hidden: Floats
    memory: Floats
    from_input: Floats
    from_hidden: Floats
    logits: Floats
    digits: NDArray[np.uint8]
    embedding_digits: NDArray[np.uint8]
    weights: Floats
    table: Floats
    known: NDArray[np.bool_]
    room: Room | Context | Plain
    match: Match
    trail: Trail
    crew: Crew


class Decoder:
    """A trained network, ready to draw tokens."""

    def __init__(
        self, weights: Mapping[str, Floats], *, cell: str, exact: bool = True, context: int = 1
    ) -> None:
        """Lay the weights out; arguments and errors are those of `lay_out`."""
        self._network = lay_out(weights, cell, exact=exact, context=context)
        self._context = context if isinstance(self._network.options, Context) else 1
        self.vocab = len(self._network.embedding)

    def threads_that_pay(self, most: int) -> int:
        """Return how many threads, of so many, make one sequence faster by sharing its products."""
        return crew_size(weight_bytes(self._network), most)

    def start(
        self,
        sequences: Sequence[int],
        prompt: NDArray[np.integer[Any]] = NO_TOKENS,
        *,
        copying: CopyLimit = ANY_COPY,
        mixing: NgramMix = NO_MIX,
    ) -> DecodeState:
        """Return the state of new sequences, which start from EOS and have all read the same prompt.

        Args:
            sequences: Their numbers, which key their random draws.
            prompt: Token ids to continue from, (T,).
            copying: As for `draw`.
            mixing: As for `draw`.

        Raises:
            ValueError: If a token is not in the vocabulary.
        """
        reader = self._blank(sequences[:1])
        if len(prompt):
            if int(prompt.min()) < 0 or int(prompt.max()) >= self.vocab:
                raise ValueError(f"tokens outside the vocabulary of {self.vocab}")
            _read(self._network, reader, np.asarray(prompt, np.int64))
        match, trail = no_match(1, copying.longest, len(copying.order)), start_trail(mixing, 1)
        if copying.longest:
            read_copied(copying, match, np.where(np.asarray(prompt) == EOS, NOWHERE, prompt).astype(np.int64))
        if mixing.share:
            read_contexts(mixing, trail, np.append(EOS, prompt).astype(np.int64))
        batch = len(sequences)
        return self._blank(sequences)._replace(
            match=Match(*(np.repeat(array, batch, axis=0) for array in match)),
            trail=trail._replace(
                ranges=np.repeat(trail.ranges, batch, axis=0),
                match=Match(*(np.repeat(array, batch, axis=0) for array in trail.match)),
            ),
            token=np.repeat(reader.token, batch),
            recent=np.repeat(reader.recent, batch, axis=0),
            hidden=np.repeat(reader.hidden, batch, axis=1),
            memory=np.repeat(reader.memory, batch, axis=1),
            table=reader.table,
            known=reader.known,
        )

    def _blank(self, sequences: Sequence[int]) -> DecodeState:
        network, batch = self._network, len(sequences)
        layers, hidden = len(network.recurrent_bias), network.recurrent_bias.shape[1] // network.gates
        wide = max(network.first.width, network.recurrent.width)
        rows = self.vocab * max(len(network.first.floats), len(network.first.values))
        return DecodeState(
            sequence=np.array(sequences, np.uint64),
            step=np.zeros(batch, np.uint64),
            place=np.zeros(batch, np.int64),
            token=np.full(batch, EOS, np.int64),
            live=np.ones(batch, np.bool_),
            recent=np.full((batch, self._context - 1), NOTHING, np.int64),
            hidden=np.zeros((layers, batch, hidden), np.float32),
            memory=np.zeros((layers, batch, hidden), np.float32),
            from_input=np.zeros((batch, wide), np.float32),
            from_hidden=np.zeros((batch, wide), np.float32),
            logits=np.zeros((batch, network.head.width), np.float32),
            digits=np.zeros((2, batch, 2, hidden), np.uint8),
            embedding_digits=np.zeros((1, 2, network.embedding.shape[1]), np.uint8),
            weights=np.zeros(self.vocab, np.float32),
            table=np.zeros((rows, wide), np.float32),
            known=np.zeros(rows, np.bool_),
            room=make_room(network, batch),
            match=no_match(batch, 0, 0),
            trail=start_trail(NO_MIX, batch),
            crew=alone(),
        )

    def draw(
        self,
        state: DecodeState,
        rule: DrawRule,
        count: int,
        *,
        constraint: Constraint = FREE,
        past: NDArray[np.int64] = NO_PAST,
        copying: CopyLimit = ANY_COPY,
        mixing: NgramMix = NO_MIX,
        threads: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Let every live sequence go on for `count` tokens, or to its EOS.

        Args:
            state: Of the sequences, changed in place.
            rule: How tokens are drawn.
            count: How many tokens.
            constraint: What may be drawn, from the first draw on.
            past: The tokens before, (B, T), or (1, T) if all have the same; for a rule that looks back.
            copying: What may not be copied; the same that the sequences were started with.
            mixing: An n-gram model that is mixed in; the same that the sequences were started with.
            threads: How many share the products of this call; see `threads_that_pay`.

        Returns:
            Tokens and their log-probabilities (nats, under the network alone, or the mixture), both
            (B, count); after its EOS, or STUCK where no token was left, a sequence is no longer live, and its
            tokens are ENDED.

        Raises:
            FloatingPointError: If the network's output is not finite.
        """
        batch, before = len(state.token), past.shape[1]
        seen = np.full((batch, before + count), ENDED, np.int64)
        seen[:, :before] = past
        logprobs = np.zeros((batch, count), np.float64)

        def go_on(crew: Crew) -> None:
            together = state._replace(crew=crew)
            _draw(self._network, together, rule, constraint, copying, mixing, seen, logprobs)

        with_helpers(go_on, threads)
        tokens = seen[:, before:]
        if (tokens == BROKEN).any():
            raise FloatingPointError("the network's output is not finite")
        return tokens, logprobs

    def read(
        self, state: DecodeState, tokens: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Let the one sequence of a state go on with tokens that are given, EOS where a new one begins.

        Returns:
            Their log-probabilities (nats) and ranks, 1 for the likeliest token, both (T,).

        Raises:
            FloatingPointError: If the network's output is not finite.
        """
        logprobs, ranks = np.zeros(len(tokens)), np.zeros(len(tokens), np.int64)
        _judge(self._network, state, np.asarray(tokens, np.int64), logprobs, ranks)
        if np.isnan(logprobs).any():
            raise FloatingPointError("the network's output is not finite")
        return logprobs, ranks

    def logits(self, state: DecodeState) -> Floats:
        """Consume the pending tokens and return the logits of what follows, (B, V)."""
        _advance(self._network, state)
        return state.logits[:, : self.vocab].copy()


@compiled
def _advance(network: Any, state: Any) -> None:
    _consume(network.options, network, state)
    _project(network, state)


@compiled
def _draw(
    network: Any,
    state: Any,
    rule: Any,
    constraint: Any,
    copying: Any,
    mixing: Any,
    seen: Any,
    logprobs: Any,
) -> None:
    marked = kind_room(constraint)
    before = seen.shape[1] - logprobs.shape[1]
    scores = state.weights
    for step in range(logprobs.shape[1]):
        now = before + step
        _consume(network.options, network, state)
        _project(network, state)
        for row in range(len(state.live)):
            if not state.live[row]:
                continue
            logits = state.logits[row, : len(scores)]
            log_total = log_sum(logits, scores)
            if np.isnan(log_total):
                seen[row, now], state.live[row] = BROKEN, False
                continue
            if mixing.share > 0.0:
                mix_in(mixing, state.trail, row, logits, log_total)
                log_total = 0.0
            drawn = np.int64(state.step[row])
            score(logits, rule, seen[row, :now], log_total, scores)
            if len(constraint.distance):
                forbid(constraint, state.place[row], constraint.length - drawn - 1, marked, scores)
            if copying.longest and not forbid_copies(copying, state.match, row, scores):
                seen[row, now], state.live[row] = STUCK, False
                continue
            if rule.ngram:
                forbid_repeats(seen[row, :now], rule.ngram, scores)
            number = uniform(rule.seed, state.sequence[row], state.step[row])
            token = draw_token(scores, rule, drawn, number)
            seen[row, now], logprobs[row, step] = token, logits[token] - log_total
            if len(constraint.distance) and token > EOS:
                state.place[row] = advance(constraint, state.place[row], token)
            if copying.longest:
                follow(copying.text, copying.order, state.match, row, token)
            if mixing.share > 0.0:
                follow_contexts(mixing, state.trail, row, token)
            state.token[row] = token
            state.step[row] += ONE_STEP
            state.live[row] = token > EOS


@compiled
def _read(network: Any, state: Any, tokens: Any) -> None:
    for token in tokens:
        _consume(network.options, network, state)
        for row in range(len(state.live)):
            state.token[row] = token


@compiled
def _judge(network: Any, state: Any, tokens: Any, logprobs: Any, ranks: Any) -> None:
    for step in range(len(tokens)):
        _consume(network.options, network, state)
        _project(network, state)
        logits, token = state.logits[0, : len(state.weights)], tokens[step]
        logprobs[step] = logits[token] - log_sum(logits, state.weights)
        better = 0
        for v in range(len(logits)):
            better += logits[v] > logits[token]
        ranks[step] = better + 1
        state.token[0] = token


def _consume(options: Any, network: Any, state: Any) -> None:
    """Feed each live row's pending token through the layers, by what options their cells have."""
    raise NotImplementedError


def _step_plainly(options: Plain, network: Any, state: Any) -> None:
    for row in range(len(state.live)):
        if state.live[row]:
            token = state.token[row]
            if not state.known[token]:
                _make_known(network, state, token)
            if token == EOS:
                forget(state, row)
            copy(state.table[token], state.from_input[row])
    for layer in range(state.hidden.shape[0]):
        if layer > 0:
            for row in range(len(state.live)):
                copy(network.input_bias[layer], state.from_input[row])
            below, digits, sums = state.hidden[layer - 1], state.digits[1], state.from_input
            begin_product(below, network.inputs, layer - 1, digits, state.live, sums, state.crew)
        for row in range(len(state.live)):
            copy(network.recurrent_bias[layer], state.from_hidden[row])
        before, digits, sums = state.hidden[layer], state.digits[0], state.from_hidden
        begin_product(before, network.recurrent, layer, digits, state.live, sums, state.crew)
        join(state.crew)
        for row in range(len(state.live)):
            if state.live[row]:
                hidden, memory = state.hidden[layer, row], state.memory[layer, row]
                update(network.gates, state.from_input[row], state.from_hidden[row], hidden, memory)


@overload(_consume, strict=False, jit_options={"error_model": "numpy"})
def _choose(options: Any, network: Any, state: Any) -> Any:
    """Compile the step into its caller: another function in between would take a second more to compile."""
    return {Plain: _step_plainly, Options: step_with_options, Context: step_with_context}[
        options.instance_class
    ]


@compiled
def _make_known(network: Any, state: Any, token: Any) -> None:
    """Compute a token's row of the table of layer 0."""
    row = state.table[token : token + 1]
    vector = network.embedding[token : token + 1]
    multiply(vector, network.first, 0, state.embedding_digits, ONE_ROW, row, state.crew)
    for j in range(network.input_bias.shape[1]):
        row[0, j] = fma(row[0, j], network.embedding_scale[token], network.input_bias[0, j])
    state.known[token] = True


@compiled
def _project(network: Any, state: Any) -> None:
    """Compute the logits from the top layer's hidden state."""
    for row in range(len(state.live)):
        copy(network.head_bias, state.logits[row])
    top = state.hidden[state.hidden.shape[0] - 1]
    multiply(top, network.head, 0, state.digits[0], state.live, state.logits, state.crew)
    for row in range(len(state.live)):
        if state.live[row]:
            divide_among_clusters(state.logits[row], network.clusters)

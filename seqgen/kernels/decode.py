"""The sampling loop on a CPU, without torch: weights in, tokens out, everything between them compiled.

Each sequence is computed on its own, from its own state and from random numbers keyed by its own number.
Batch size, chunk size and the number of threads therefore never change a token. The draws are those of
`seqgen.kernels.draw_loop`.

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

from seqgen.kernels.constraint import FREE, Constraint
from seqgen.kernels.copying import ANY_COPY, CopyLimit
from seqgen.kernels.crew import Crew, Helpers, alone, begin_product, crew_size, join, multiply
from seqgen.kernels.decode_context import NOTHING, step_with_context
from seqgen.kernels.decode_options import EOS, ONE_ROW, Room, make_room, step_with_options
from seqgen.kernels.decode_step import copy, divide_among_clusters, forget, update
from seqgen.kernels.draw import DrawRule, log_sum
from seqgen.kernels.draw_loop import consume, draw_tokens, project
from seqgen.kernels.draw_state import (
    NO_TOKENS,
    DrawState,
    make_chunk,
    make_terms,
    start_draws,
)
from seqgen.kernels.jit import compiled, fma
from seqgen.kernels.layout import Context, Floats, Options, Plain, lay_out, weight_bytes
from seqgen.kernels.mixing import NO_MIX, NgramMix
from seqgen.runtime import cpu_count

BATCH_SIZE = 64  # with more, nothing is gained
READ_TOGETHER = 256  # tokens; a call is neither interrupted nor gets back helpers that were late
NO_PAST = np.zeros((1, 0), np.int64)


class DecodeState(NamedTuple):
    """Where each of B sequences stands, and room to compute in.

    Attributes:
        draws: Where it stands in what is drawn, its pending token among that.
        recent: The tokens before it that a network with a context sees, oldest first, or NOTHING, (B, N-1).
        hidden, memory: (L, B, H); memory is the LSTM's cell state.
        from_input, from_hidden: The two shares of the gates before they are squashed, (B, G*H).
        logits: (B, V + C padded).
        digits, embedding_digits: The inputs of int8 products, of two at a time, (2, B, 2, H), and (1, 2, E).
        table: What each token contributes to layer 0 at each place, (P*V, G*H); a row counts once it is
            `known`, (P*V,).
        room: For cells with options.
        crew: The threads that compute its products.
    """

    draws: DrawState
    recent: NDArray[np.int64]
    hidden: Floats
    memory: Floats
    from_input: Floats
    from_hidden: Floats
    logits: Floats
    digits: NDArray[np.uint8]
    embedding_digits: NDArray[np.uint8]
    table: Floats
    known: NDArray[np.bool_]
    room: Room | Context | Plain
    crew: Crew


class Decoder:
    """A trained network, ready to draw tokens."""

    batch_size = BATCH_SIZE

    def __init__(
        self, weights: Mapping[str, Floats], *, cell: str, exact: bool = True, context: int = 1
    ) -> None:
        """Lay the weights out; arguments and errors are those of `lay_out`."""
        self._network = lay_out(weights, cell, exact=exact, context=context)
        self._weight_bytes = weight_bytes(self._network)
        self._helpers = Helpers()
        self._context = context if isinstance(self._network.options, Context) else 1
        self.vocab = len(self._network.embedding)

    def divide(self, sequences: int, threads: int) -> tuple[int, int]:
        """Return in how many parts a batch is drawn at the same time, and how many threads share each.

        Threads that have sequences of their own never wait for each other: only fewer sequences are shared.
        """
        together = crew_size(self._weight_bytes, threads)
        return (1, together) if sequences < threads and together > 1 else (min(threads, sequences), 1)

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
        tokens = np.asarray(prompt, np.int64)
        draws = start_draws(sequences, tokens, vocab=self.vocab, copying=copying, mixing=mixing)
        reader = self._blank(start_draws(sequences[:1], vocab=self.vocab))
        for first in range(0, len(tokens), READ_TOGETHER):
            part = tokens[first : first + READ_TOGETHER]
            self._run(_read, reader, len(part), part)
        batch = len(sequences)
        return self._blank(draws)._replace(
            recent=np.repeat(reader.recent, batch, axis=0),
            hidden=np.repeat(reader.hidden, batch, axis=1),
            memory=np.repeat(reader.memory, batch, axis=1),
            table=reader.table,
            known=reader.known,
        )

    def _blank(self, draws: DrawState) -> DecodeState:
        network, batch = self._network, len(draws.live)
        layers, hidden = len(network.recurrent_bias), network.recurrent_bias.shape[1] // network.gates
        wide = max(network.first.width, network.recurrent.width)
        rows = self.vocab * max(len(network.first.floats), len(network.first.values))
        return DecodeState(
            draws=draws,
            recent=np.full((batch, self._context - 1), NOTHING, np.int64),
            hidden=np.zeros((layers, batch, hidden), np.float32),
            memory=np.zeros((layers, batch, hidden), np.float32),
            from_input=np.zeros((batch, wide), np.float32),
            from_hidden=np.zeros((batch, wide), np.float32),
            logits=np.zeros((batch, network.head.width), np.float32),
            digits=np.zeros((2, batch, 2, hidden), np.uint8),
            embedding_digits=np.zeros((1, 2, network.embedding.shape[1]), np.uint8),
            table=np.zeros((rows, wide), np.float32),
            known=np.zeros(rows, np.bool_),
            room=make_room(network, batch),
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
            threads: How many may share the products of this call; see `divide`.

        Returns:
            Tokens and their log-probabilities (nats, under the network alone, or the mixture), both
            (B, count); after its EOS, or STUCK where no token was left, a sequence is no longer live, and its
            tokens are ENDED.

        Raises:
            FloatingPointError: If the network's output is not finite.
        """
        terms, chunk = make_terms(rule, constraint, copying, mixing), make_chunk(state.draws, past, count)
        self._run(draw_tokens, state, count, *terms, *chunk, 0, count, threads=threads)
        return chunk.drawn()

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
        for first in range(0, len(tokens), READ_TOGETHER):
            part = slice(first, first + READ_TOGETHER)
            given = np.asarray(tokens[part], np.int64)
            self._run(_judge, state, len(given), given, logprobs[part], ranks[part])
        if np.isnan(logprobs).any():
            raise FloatingPointError("the network's output is not finite")
        return logprobs, ranks

    def logits(self, state: DecodeState) -> Floats:
        """Consume the pending tokens and return the logits of what follows, (B, V)."""
        self._run(_advance, state, 1)
        return state.logits[:, : self.vocab].copy()

    def follow(self, state: DecodeState, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> None:
        """Let each row go on from where another one's network stands, with a pending token, both (B,)."""
        state.hidden[:] = state.hidden[:, parents]
        state.memory[:] = state.memory[:, parents]
        state.recent[:] = state.recent[parents]
        state.draws.token[:] = tokens

    def _run(
        self, loop: Any, state: DecodeState, steps: int, *arguments: Any, threads: int | None = None
    ) -> None:
        """Call a compiled loop of so many steps with the network, a state and what else it takes."""

        def go_on(crew: Crew) -> None:
            loop(self._network, state._replace(crew=crew), *arguments)

        threads = threads or crew_size(self._weight_bytes, cpu_count())
        reads = self._weight_bytes * steps * int(np.count_nonzero(state.draws.live))
        self._helpers.call(go_on, threads, reads)


@compiled
def _advance(network: Any, state: Any) -> None:
    consume(network.options, network, state)
    project(network.options, network, state)


@compiled
def _read(network: Any, state: Any, tokens: Any) -> None:
    for token in tokens:
        consume(network.options, network, state)
        state.draws.token[0] = token


@compiled
def _judge(network: Any, state: Any, tokens: Any, logprobs: Any, ranks: Any) -> None:
    for step in range(len(tokens)):
        consume(network.options, network, state)
        project(network.options, network, state)
        logits, token = state.logits[0, : len(state.draws.scores)], tokens[step]
        logprobs[step] = logits[token] - log_sum(logits, state.draws.scores)
        better = 0
        for v in range(len(logits)):
            better += logits[v] > logits[token]
        ranks[step] = better + 1
        state.draws.token[0] = token


def _step_plainly(options: Plain, network: Any, state: Any) -> None:
    live = state.draws.live
    for row in range(len(live)):
        if live[row]:
            token = state.draws.token[row]
            if not state.known[token]:
                _make_known(network, state, token)
            if token == EOS:
                forget(state, row)
            copy(state.table[token], state.from_input[row])
    for layer in range(state.hidden.shape[0]):
        if layer > 0:
            for row in range(len(live)):
                copy(network.input_bias[layer], state.from_input[row])
            below, digits, sums = state.hidden[layer - 1], state.digits[1], state.from_input
            begin_product(below, network.inputs, layer - 1, digits, live, sums, state.crew)
        for row in range(len(live)):
            copy(network.recurrent_bias[layer], state.from_hidden[row])
        before, digits, sums = state.hidden[layer], state.digits[0], state.from_hidden
        begin_product(before, network.recurrent, layer, digits, live, sums, state.crew)
        join(state.crew)
        for row in range(len(live)):
            if live[row]:
                hidden, memory = state.hidden[layer, row], state.memory[layer, row]
                update(network.gates, state.from_input[row], state.from_hidden[row], hidden, memory)


def _multiply_with_head(options: Any, network: Any, state: Any) -> None:
    live = state.draws.live
    for row in range(len(live)):
        copy(network.head_bias, state.logits[row])
    top = state.hidden[state.hidden.shape[0] - 1]
    multiply(top, network.head, 0, state.digits[0], live, state.logits, state.crew)
    for row in range(len(live)):
        if live[row]:
            divide_among_clusters(state.logits[row], network.clusters)


_STEPS = {Plain: _step_plainly, Options: step_with_options, Context: step_with_context}


@overload(consume, strict=False, jit_options={"error_model": "numpy"})
def _choose(options: Any, network: Any, state: Any) -> Any:
    """Compile the step into its caller: another function in between would take a second more to compile."""
    return _STEPS.get(options.instance_class)


@overload(project, strict=False, jit_options={"error_model": "numpy"})
def _choose_projection(options: Any, network: Any, state: Any) -> Any:
    return _multiply_with_head if options.instance_class in _STEPS else None


@compiled
def _make_known(network: Any, state: Any, token: Any) -> None:
    """Compute a token's row of the table of layer 0."""
    row = state.table[token : token + 1]
    vector = network.embedding[token : token + 1]
    multiply(vector, network.first, 0, state.embedding_digits, ONE_ROW, row, state.crew)
    for j in range(network.input_bias.shape[1]):
        row[0, j] = fma(row[0, j], network.embedding_scale[token], network.input_bias[0, j])
    state.known[token] = True

"""Samples from a model, token by token: the loop around the decoders of `seqgen.sampling.decoding`.

Tokens are drawn in chunks that begin with a single token, so that the first one shows at once, and grow. All
sequences of a batch advance together and are told apart by their numbers; a sequence is the same at any batch
size, chunk size and number of threads, because nothing in it depends on the others. With torch that holds for
the draws alone: the last bits of its products may depend on how many rows are multiplied at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.data.tokenizers import EOS_ID, StreamDecoder, Tokenizer
from seqgen.errors import ArtifactError, ConfigError
from seqgen.kernels.constraint import FREE, Constraint
from seqgen.kernels.decode import NO_PAST
from seqgen.kernels.draw import ALIKE, DrawRule
from seqgen.runtime import cpu_count
from seqgen.sampling.automata import Limits
from seqgen.sampling.decoding import SequenceDecoder, State, load_decoder
from seqgen.sampling.events import Event, Teller
from seqgen.sampling.kinds import relative_sharpness
from seqgen.sampling.lookups import NO_LOOKUPS, Lookups

LARGEST_CHUNK = 64
MAX_SEED = 2**64 - 1
MAX_PENALTY = 100
NO_LIMIT = 2**62  # tokens


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What to sample; `seqgen.sampling.filters` defines what changes the probabilities, and in which order.

    Attributes:
        count: How many sequences; None goes on without end.
        length: How many tokens at most in each; 0 is no limit.
        temperature: Sharper below 1, flatter above; 0 takes the likeliest token.
        final_temperature: That of the last of `length` tokens, reached along a line, if it is to change.
        top_k: Keep the k likeliest tokens; 0 keeps all.
        top_p: Keep the likeliest tokens that hold this share of the probability, in (0, 1].
        min_p: Keep tokens that have this share of the likeliest one's probability; 0 keeps all.
        typical: Keep the most typical tokens that hold this share of the probability, in (0, 1].
        repetition_penalty: Multiplies the log-probability of tokens already there; 1 changes nothing.
        frequency_penalty: Taken off a token's score each time it is already there.
        penalty_window: How many of the last tokens the penalties look at; 0 is all.
        no_repeat_ngram: No run of so many tokens comes twice; 0 allows it.
        bias: What is added to the logits of some tokens; -inf forbids them.
        kind_temperatures: Temperatures in place of `temperature` for tokens of some kinds of a music model.
        stop: Texts that end a sequence and are not shown.
        seed: Decides every draw, together with the number of the sequence and the step.

    Raises:
        ConfigError: If a value makes no sense.
    """

    count: int | None = 1
    length: int = 1000
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    final_temperature: float | None = None
    min_p: float = 0.0
    typical: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    penalty_window: int = 0
    no_repeat_ngram: int = 0
    bias: Mapping[int, float] = field(default_factory=dict)
    kind_temperatures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self.count is None or self.count >= 1, f"--count {self.count}: at least 1")
        _require(self.length >= 0, f"--length {self.length}: 1 token or more, or 0 (no limit)")
        _require(
            self.length > 0 or self.final_temperature is None,
            f"--temperature {self.temperature}:{self.final_temperature}: goes to an end; give a --length",
        )
        for temperature in (self.temperature, self.final_temperature or 0.0):
            _require(0 <= temperature < float("inf"), f"--temperature {temperature}: 0 or more")
        if self.kind_temperatures:
            least = min(self.temperature, *self.kind_temperatures.values())
            largest = max(self.kind_temperatures.values())
            _require(least > 0 and largest < float("inf"), "--temperature by kind: all are more than 0")
            _require(self.final_temperature is None, "--temperature by kind: it does not change on the way")
        _require(self.top_k >= 0, f"--top-k {self.top_k}: 0 (all) or more")
        _require(0 < self.top_p <= 1, f"--top-p {self.top_p}: more than 0, at most 1")
        _require(0 <= self.min_p <= 1, f"--min-p {self.min_p}: 0 (all) to 1")
        _require(0 < self.typical <= 1, f"--typical {self.typical}: more than 0, at most 1")
        penalty = self.repetition_penalty
        _require(
            0 < penalty <= MAX_PENALTY, f"--repetition-penalty {penalty}: above 0, at most {MAX_PENALTY}"
        )
        penalty = self.frequency_penalty
        _require(abs(penalty) <= MAX_PENALTY, f"--frequency-penalty {penalty}: within ±{MAX_PENALTY}")
        _require(self.penalty_window >= 0, f"--penalty-window {self.penalty_window}: 0 (all) or more")
        _require(self.no_repeat_ngram >= 0, f"--no-repeat-ngram {self.no_repeat_ngram}: 0 (off) or more")
        _require(all(self.stop), "--stop: an empty text would stop at once")
        _require(0 <= self.seed <= MAX_SEED, f"--seed {self.seed}: 0 to 2^64 - 1")

    @property
    def limit(self) -> int:
        """How many tokens there may be, which is never reached if there is no limit."""
        return self.length or NO_LIMIT


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


class Sampler:
    """A model ready to be sampled from."""

    def __init__(self, artifact: Artifact, *, exact: bool = False, device: str | None = None) -> None:
        """Load weights and tokenizer.

        Args:
            artifact: The model.
            exact: Compute with float32 weights, as trained, instead of weights rounded to int8.
            device: Compute with torch, on this device and with float32 weights; None takes compiled code.

        Raises:
            ArtifactError: If the weights are not finite, or do not fit the configuration or the vocabulary.
        """
        self.tokenizer: Tokenizer = artifact.tokenizer
        self._path = artifact.path
        self._decoder = load_decoder(artifact, exact=exact, device=device)

    @property
    def decoder(self) -> SequenceDecoder:
        """The network, for a search that draws nothing."""
        return self._decoder

    def diverged(self, error: str) -> ArtifactError:
        """Return what is told when the network's output is not finite."""
        return ArtifactError(f"{self._path}: {error}; its training diverged, train again")

    def generate(
        self,
        config: SampleConfig,
        *,
        prompt: Sequence[int] | NDArray[np.integer] = (),
        constraint: Limits | None = None,
        lookups: Lookups = NO_LOOKUPS,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> Iterator[Event]:
        """Draw sequences, yielding every token as it becomes certain; see `in_order` for one after another.

        Args:
            config: What to sample.
            prompt: Token ids that every sequence goes on from; they are not yielded.
            constraint: What may be drawn after the prompt; see `Limits`.
            lookups: What is looked up in a corpus, of the same vocabulary.
            batch_size: How many sequences advance together; as many as suit the decoder if not given.
            threads: How many threads share them, or the products of one; all cores if not given.

        Raises:
            ConfigError: If a stop text is asked of a music model or with a constraint, or the constraint
                cannot be met within the length.
            ArtifactError: If the network's output is not finite.
        """
        self.check(config, constraint)
        limits = FREE if constraint is None else constraint.tables(config.limit)
        numbers = range(NO_LIMIT if config.count is None else config.count)
        batch_size = batch_size or self._decoder.batch_size
        batch_size = batch_size if config.length else 1  # what comes next would have to be held back for ever
        for first in range(0, len(numbers), batch_size):
            batch = list(numbers[first : first + batch_size])
            prompt_ids = np.asarray(prompt, np.int64)
            yield from self._batch(batch, config, prompt_ids, limits, lookups, threads or cpu_count())

    def check(self, config: SampleConfig, constraint: Limits | None) -> None:
        """Refuse what cannot be sampled; for errors see `generate`."""
        if config.stop and self.tokenizer.modality != "text":
            raise ConfigError("--stop: this model makes music, which has no text to stop at")
        if config.stop and constraint is not None:
            raise ConfigError(
                "--stop: would cut samples off before they obey the constraint; ask for only one"
            )
        shortest = 0 if constraint is None else constraint.shortest
        if shortest is None or shortest > config.limit:
            needed = "no" if shortest is None else f"{shortest}"
            raise ConfigError(f"the constraint: {needed} tokens obey it, and --length is {config.length}")
        self._relative(config)

    def read(self, tokens: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Read a stream of documents, each of which ends with EOS, from its beginning.

        Returns:
            The log-probability of every token in nats and its rank, 1 for the likeliest, both (N,).

        Raises:
            ArtifactError: If the network's output is not finite.
        """
        with self._telling_divergence():
            return self._decoder.read(self._decoder.start([0]), tokens)

    @contextmanager
    def _telling_divergence(self) -> Iterator[None]:
        try:
            yield
        except FloatingPointError as error:
            raise self.diverged(str(error)) from error

    def logprobs(
        self, prompt: Sequence[int] | NDArray[np.integer], rows: Sequence[Sequence[int]]
    ) -> list[NDArray[np.float64]]:
        """Return the log-probability (nats) of every token of some rows, each read after the prompt."""
        state = self._decoder.start(range(len(rows)), np.asarray(prompt, np.int64))
        tokens = np.full((len(rows), max(map(len, rows))), EOS_ID)
        for number, row in enumerate(rows):
            tokens[number, : len(row)] = row
        found = np.zeros(tokens.shape)
        for step, column in enumerate(tokens.T):
            logits = self._decoder.logits(state).astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            found[:, step] = logits[np.arange(len(rows)), column] - np.log(np.exp(logits).sum(axis=1))
            state.draws.token[:] = column
        return [values[: len(row)] for values, row in zip(found, rows, strict=True)]

    def _batch(
        self,
        numbers: list[int],
        config: SampleConfig,
        prompt: NDArray[np.int64],
        limits: Constraint,
        lookups: Lookups,
        threads: int,
    ) -> Iterator[Event]:
        sequences = [Teller(number, self.stream(prompt), config.stop) for number in numbers]
        shares, helpers = self._decoder.divide(len(numbers), threads)
        states = [
            self._decoder.start(numbers[part::shares], prompt, copying=lookups.copying, mixing=lookups.mixing)
            for part in range(shares)
        ]
        parts = [
            _Part(state, sequences[part::shares], prompt[None], helpers) for part, state in enumerate(states)
        ]
        rule, left, chunk = self._rule(config), config.limit, 1
        with ThreadPoolExecutor(shares) as pool:
            while left and any(part.state.draws.live.any() for part in parts):
                steps = min(chunk, left)
                drawings = self._draw(pool, parts, rule, limits, lookups, steps)
                for part, drawn in zip(parts, drawings, strict=True):
                    if rule.looks_back:
                        part.remember(drawn[0], rule)
                    yield from part.take(*drawn)
                left, chunk = left - steps, min(2 * chunk, LARGEST_CHUNK)
        for sequence in sequences:
            yield from sequence.end("length")

    def _draw(
        self,
        pool: ThreadPoolExecutor,
        parts: "list[_Part]",
        rule: DrawRule,
        limits: Constraint,
        lookups: Lookups,
        steps: int,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        def draw(part: _Part) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            past = part.past if rule.looks_back else NO_PAST
            looked_up: Any = {"copying": lookups.copying, "mixing": lookups.mixing}
            looked_up |= {"past": past, "threads": part.threads}
            return self._decoder.draw(part.state, rule, steps, constraint=limits, **looked_up)

        with self._telling_divergence():
            return [draw(parts[0])] if len(parts) == 1 else list(pool.map(draw, parts))

    def bias(self, config: SampleConfig) -> NDArray[np.float32]:
        """Return what is added to the logits, (V,): as asked, and `<unk>` is never drawn."""
        bias = np.zeros(self._decoder.vocab, np.float32)
        bias[list(config.bias)] = list(config.bias.values())
        if self.tokenizer.unk_id is not None:
            bias[self.tokenizer.unk_id] = -np.inf
        return bias

    def _rule(self, config: SampleConfig) -> DrawRule:
        final = config.temperature if config.final_temperature is None else config.final_temperature
        steps = config.limit - 1
        return DrawRule(
            temperature=float(config.temperature),
            top_k=config.top_k,
            top_p=float(config.top_p),
            seed=np.uint64(config.seed),
            bias=self.bias(config),
            min_p=float(config.min_p),
            typical=float(config.typical),
            repetition=float(config.repetition_penalty),
            frequency=float(config.frequency_penalty),
            window=config.penalty_window,
            ngram=config.no_repeat_ngram,
            slope=(final - config.temperature) / max(steps, 1),
            slope_steps=steps,
            relative=self._relative(config),
        )

    def _relative(self, config: SampleConfig) -> NDArray[np.float32]:
        if not config.kind_temperatures:
            return ALIKE
        return relative_sharpness(self.tokenizer, config.temperature, config.kind_temperatures)

    def stream(self, prompt: Iterable[int]) -> StreamDecoder | None:
        """Return a decoder that has seen the prompt, so that spacing and characters go on from it."""
        if self.tokenizer.modality != "text":
            return None
        stream = self.tokenizer.stream()
        for token in prompt:
            stream.feed(int(token))
        return stream


@dataclass
class _Part:
    """The sequences that one loop draws, the tokens before, and how many threads share its products."""

    state: State
    sequences: list[Teller]
    past: NDArray[np.int64]
    threads: int

    def remember(self, tokens: NDArray[np.int64], rule: DrawRule) -> None:
        """Add tokens to those before, and forget what the rule does not look at."""
        past = np.broadcast_to(self.past, (len(tokens), self.past.shape[1]))
        kept = 0 if rule.ngram else rule.window
        self.past = np.concatenate([past, tokens], axis=1)[:, -kept:]

    def take(self, tokens: NDArray[np.int64], logprobs: NDArray[np.float64]) -> Iterator[Event]:
        for row, sequence in enumerate(self.sequences):
            yield from sequence.take(tokens[row].tolist(), logprobs[row].tolist())
            self.state.draws.live[row] &= not sequence.ended

"""Samples from a model, token by token: the loop around the compiled sampler.

Tokens are drawn in chunks that begin with a single token, so that the first one shows at once, and grow. All
sequences of a batch advance together and are told apart by their numbers; a sequence is the same at any batch
size, chunk size and number of threads, because nothing in it depends on the others.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.data.tokenizers import EOS_ID, StreamDecoder, Tokenizer
from seqgen.errors import ArtifactError, ConfigError
from seqgen.kernels.decode import ENDED, Decoder, DecodeState
from seqgen.kernels.draw import DrawRule
from seqgen.runtime import cpu_count
from seqgen.sampling.stops import Drawn, StopWatch

LARGEST_CHUNK = 64
BATCH_SIZE = 64
MAX_SEED = 2**64 - 1

Reason = Literal["eos", "stop", "length"]


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What to sample.

    Attributes:
        count: How many sequences.
        length: How many tokens at most in each.
        temperature: Sharper below 1, flatter above; 0 takes the likeliest token.
        top_k: Keep the k likeliest tokens; 0 keeps all.
        top_p: Keep the likeliest tokens that hold this share of the probability, in (0, 1].
        stop: Texts that end a sequence and are not shown.
        seed: Decides every draw, together with the number of the sequence and the step.

    Raises:
        ConfigError: If a value makes no sense.
    """

    count: int = 1
    length: int = 1000
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.count >= 1, f"--count {self.count}: at least 1")
        _require(self.length >= 1, f"--length {self.length}: at least 1 token")
        _require(0 <= self.temperature < float("inf"), f"--temperature {self.temperature}: 0 or more")
        _require(self.top_k >= 0, f"--top-k {self.top_k}: 0 (all) or more")
        _require(0 < self.top_p <= 1, f"--top-p {self.top_p}: more than 0, at most 1")
        _require(all(self.stop), "--stop: an empty text would stop at once")
        _require(0 <= self.seed <= MAX_SEED, f"--seed {self.seed}: 0 to 2^64 - 1")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


class Ended(NamedTuple):
    """A sequence is complete.

    Attributes:
        reason: It drew `eos`, met a `stop` text, or reached its `length`.
        logprob: The log-probability of EOS if that was drawn, else 0.
        text: What could only be shown at the end, such as the replacement of an unfinished character.
    """

    sequence: int
    reason: Reason
    logprob: float
    text: str


Event = Drawn | Ended


@dataclass(frozen=True)
class Sample:
    """A whole sequence.

    Attributes:
        tokens: What was drawn, without EOS.
        text: Their text, for a text model.
        logprob: Of all draws together, EOS included, in nats.
    """

    sequence: int
    tokens: list[int]
    text: str
    logprob: float
    reason: Reason


class Sampler:
    """A model ready to be sampled from."""

    def __init__(self, artifact: Artifact, *, exact: bool = False) -> None:
        """Load weights and tokenizer.

        Args:
            artifact: The model.
            exact: Compute with float32 weights, as trained, instead of weights rounded to int8.

        Raises:
            ArtifactError: If the weights are not finite, or do not fit the configuration or the vocabulary.
        """
        self.tokenizer: Tokenizer = artifact.tokenizer
        self._path = artifact.path
        try:
            model = artifact.config.model
            self._decoder = Decoder(artifact.weights(), cell=model.cell, exact=exact, context=model.context)
        except (KeyError, ValueError) as error:
            raise ArtifactError(f"{artifact.path}: weights that do not fit: {error}; train again") from error
        if self._decoder.vocab != len(self.tokenizer.tokens):
            raise ArtifactError(
                f"{artifact.path}: weights for {self._decoder.vocab} tokens, but a vocabulary of "
                f"{len(self.tokenizer.tokens)}; train again"
            )

    def generate(
        self,
        config: SampleConfig,
        *,
        prompt: Sequence[int] | NDArray[np.integer] = (),
        batch_size: int = BATCH_SIZE,
        threads: int | None = None,
    ) -> Iterator[Event]:
        """Draw sequences, yielding every token as it becomes certain; see `in_order` for one after another.

        Args:
            config: What to sample.
            prompt: Token ids that every sequence goes on from; they are not yielded.
            batch_size: How many sequences advance together; never changes a result.
            threads: How many threads share them; all cores if not given.

        Raises:
            ConfigError: If a stop text is asked of a music model.
            ArtifactError: If the network's output is not finite.
        """
        if config.stop and self.tokenizer.modality != "text":
            raise ConfigError("--stop: this model makes music, which has no text to stop at")
        for first in range(0, config.count, batch_size):
            numbers = list(range(first, min(first + batch_size, config.count)))
            yield from self._batch(numbers, config, np.asarray(prompt, np.int64), threads or cpu_count())

    def _batch(
        self, numbers: list[int], config: SampleConfig, prompt: NDArray[np.int64], threads: int
    ) -> Iterator[Event]:
        sequences = [_Sequence(number, self._stream(prompt), config.stop) for number in numbers]
        shares = min(threads, len(numbers))
        parts = [
            _Part(self._decoder.start(numbers[part::shares], prompt), sequences[part::shares])
            for part in range(shares)
        ]
        rule, left, chunk = self._rule(config), config.length, 1
        with ThreadPoolExecutor(shares) as pool:
            while left and any(part.state.live.any() for part in parts):
                steps = min(chunk, left)
                for part, drawn in zip(parts, self._draw(pool, parts, rule, steps), strict=True):
                    yield from part.take(*drawn)
                left, chunk = left - steps, min(2 * chunk, LARGEST_CHUNK)
        for sequence in sequences:
            yield from sequence.end("length")

    def _draw(
        self, pool: ThreadPoolExecutor, parts: "list[_Part]", rule: DrawRule, steps: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        try:
            if len(parts) == 1:
                return [self._decoder.draw(parts[0].state, rule, steps)]
            return list(pool.map(lambda part: self._decoder.draw(part.state, rule, steps), parts))
        except FloatingPointError as error:
            raise ArtifactError(f"{self._path}: {error}; its training diverged, train again") from error

    def _rule(self, config: SampleConfig) -> DrawRule:
        bias = np.zeros(self._decoder.vocab, np.float32)
        if self.tokenizer.unk_id is not None:
            bias[self.tokenizer.unk_id] = -np.inf
        return DrawRule(config.temperature, config.top_k, config.top_p, np.uint64(config.seed), bias)

    def _stream(self, prompt: Iterable[int]) -> StreamDecoder | None:
        """Return a decoder that has seen the prompt, so that spacing and characters go on from it."""
        if self.tokenizer.modality != "text":
            return None
        stream = self.tokenizer.stream()
        for token in prompt:
            stream.feed(int(token))
        return stream


@dataclass
class _Sequence:
    """What one sequence needs to turn its tokens into events."""

    number: int
    stream: StreamDecoder | None
    stop: tuple[str, ...]
    ended: bool = False
    watch: StopWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = StopWatch(self.stop)

    def take(self, tokens: list[int], logprobs: list[float]) -> Iterator[Event]:
        for token, logprob in zip(tokens, logprobs, strict=True):
            if self.ended or token == ENDED:
                return
            if token == EOS_ID:
                yield from self.end("eos", logprob)
                return
            text = self.stream.feed(token) if self.stream else ""
            yield from self.watch.feed(Drawn(self.number, token, logprob, text))
            if self.watch.stopped:
                yield from self.end("stop")

    def end(self, reason: Reason, logprob: float = 0.0) -> Iterator[Event]:
        if self.ended:
            return
        self.ended = True
        yield from self.watch.flush()
        rest = self.stream.flush() if self.stream and reason != "stop" else ""
        yield Ended(self.number, reason, logprob, rest)


@dataclass(frozen=True)
class _Part:
    """The sequences that one thread draws."""

    state: DecodeState
    sequences: list[_Sequence]

    def take(self, tokens: NDArray[np.int64], logprobs: NDArray[np.float64]) -> Iterator[Event]:
        for row, sequence in enumerate(self.sequences):
            yield from sequence.take(tokens[row].tolist(), logprobs[row].tolist())
            self.state.live[row] &= not sequence.ended


def in_order(events: Iterable[Event]) -> Iterator[Event]:
    """Hold events back so that sequences come one after another; the first unfinished one flows freely."""
    held: dict[int, list[Event]] = {}
    current = 0
    for event in events:
        held.setdefault(event.sequence, []).append(event)
        while current in held:
            ready = held.pop(current)
            yield from ready
            if not isinstance(ready[-1], Ended):
                break
            current += 1


def collect(events: Iterable[Event]) -> Iterator[Sample]:
    """Gather events into whole samples, in the order of their numbers."""
    tokens: list[int] = []
    texts: list[str] = []
    logprob = 0.0
    for event in in_order(events):
        texts.append(event.text)
        logprob += event.logprob
        if isinstance(event, Drawn):
            tokens.append(event.token)
        else:
            yield Sample(event.sequence, tokens, "".join(texts), logprob, event.reason)
            tokens, texts, logprob = [], [], 0.0

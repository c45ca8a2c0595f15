"""What happens while sequences are sampled: tokens, ends, and the samples that they make in the end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from seqgen.data.tokenizers import EOS_ID, StreamDecoder
from seqgen.kernels.copying import STUCK
from seqgen.kernels.draw_state import ENDED
from seqgen.sampling.stops import Drawn, StopWatch

Reason = Literal["eos", "stop", "length", "copy"]


class Ended(NamedTuple):
    """A sequence is complete.

    Attributes:
        reason: It drew `eos`, met a `stop` text, or reached its `length`; or whatever could follow would
            `copy` too much.
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


@dataclass
class Teller:
    """Turns the tokens of one sequence into events.

    Attributes:
        number: Of the sequence.
        stream: Decodes its text, if it has any.
        stop: Texts that end it.
        ended: Whether its end was told.
    """

    number: int
    stream: StreamDecoder | None
    stop: tuple[str, ...]
    ended: bool = False
    watch: StopWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = StopWatch(self.stop)

    def take(self, tokens: Iterable[int], logprobs: Iterable[float]) -> Iterator[Event]:
        """Yield what becomes certain with some more tokens and their log-probabilities, up to the end."""
        for token, logprob in zip(tokens, logprobs, strict=True):
            if self.ended or token == ENDED:
                return
            if token == EOS_ID:
                yield from self.end("eos", logprob)
                return
            if token == STUCK:
                yield from self.end("copy")
                return
            text = self.stream.feed(token) if self.stream else ""
            yield from self.watch.feed(Drawn(self.number, token, logprob, text))
            if self.watch.stopped:
                yield from self.end("stop")

    def end(self, reason: Reason, logprob: float = 0.0) -> Iterator[Event]:
        """Yield what is left at the end, unless that was told."""
        if self.ended:
            return
        self.ended = True
        yield from self.watch.flush()
        rest = self.stream.flush() if self.stream and reason != "stop" else ""
        yield Ended(self.number, reason, logprob, rest)


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

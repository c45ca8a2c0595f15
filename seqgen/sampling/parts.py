"""Samples as bytes, piece by piece: what a file or a pipe receives, each piece with the number of its sample.

The pieces of all samples, one after the other, are the whole output. Text comes token by token; whatever else
a sample is written as comes at its end, in one piece.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from seqgen.data.tokenizers import Tokenizer
from seqgen.music.write import write_abc, write_tune
from seqgen.sampling.events import Ended, Event, Reason, Sample, collect
from seqgen.sampling.outputs import (
    ONE_TUNE_A_FILE,
    Format,
    json_line,
    make_piece,
    natural_format,
    text_pieces,
    tokens_line,
)
from seqgen.sampling.prompts import Prompt
from seqgen.sampling.stops import Drawn

if TYPE_CHECKING:
    from seqgen.music.pieces import Piece


class Outcome(NamedTuple):
    """How a sample came out.

    Attributes:
        tokens: How many were drawn, without EOS.
        logprob: Of all draws together, EOS included, in nats.
        reason: Of its end.
    """

    tokens: int
    logprob: float
    reason: Reason


class Part(NamedTuple):
    """A piece of a sample, numbered from 1; the last one tells the outcome."""

    number: int
    data: bytes
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How samples are written.

    Attributes:
        tokenizer: Of the model.
        form: One that the model has.
        prompt: What every sample begins with.
        documents: How the corpus was read; see `text_pieces`.
        seed: Of the run, if it had one.
        title: Of tunes; with `several` it is followed by the tune's number.
        several: Whether there is more than one sample.
    """

    tokenizer: Tokenizer
    form: Format
    prompt: Prompt
    documents: str
    seed: int | None
    title: str
    several: bool

    def parts(self, events: Iterable[Event]) -> Iterator[Part]:
        """Yield the samples that events make, in order."""
        if self.form == "text":
            yield from self._text(events)
            return
        for sample in collect(events):
            outcome = Outcome(len(sample.tokens), sample.logprob, sample.reason)
            yield Part(sample.sequence + 1, self._whole(sample), outcome)

    def _text(self, events: Iterable[Event]) -> Iterator[Part]:
        tokens, logprob = 0, 0.0
        for event, text in text_pieces(events, prompt=self.prompt.text, documents=self.documents):
            number, data = event.sequence + 1, text.encode("utf-8", "replace")
            tokens += isinstance(event, Drawn)
            logprob += event.logprob
            if isinstance(event, Ended):
                yield Part(number, data, Outcome(tokens, logprob, event.reason))
                tokens, logprob = 0, 0.0
            else:
                yield Part(number, data)

    def _whole(self, sample: Sample) -> bytes:
        if self.form == "json":
            line = json_line(sample, seed=self.seed, content=self._content(sample))
            return f"{line}\n".encode("utf-8", "replace")
        if self.form == "tokens":
            return f"{self._names(sample)}\n".encode("utf-8", "replace")
        if self.form in ONE_TUNE_A_FILE:
            return write_tune(self._piece(sample), self.form)
        between = "\n" if sample.sequence else ""
        return (between + self._abc(sample)).encode("utf-8")

    def _piece(self, sample: Sample) -> "Piece":
        title = f"{self.title}, tune {sample.sequence + 1}" if self.several else self.title
        return make_piece(self.tokenizer, sample.tokens, title, begin=self.prompt.names, end=self.prompt.rest)

    def _abc(self, sample: Sample) -> str:
        return write_abc([self._piece(sample)], first=sample.sequence + 1)

    def _names(self, sample: Sample) -> str:
        known, prompt = self.tokenizer.tokens, self.prompt
        before = prompt.names or [known[token] for token in prompt.ids]
        return tokens_line([*before, *(known[token] for token in sample.tokens), *prompt.rest])

    def _content(self, sample: Sample) -> dict[str, str]:
        """Return what a JSON line tells of a sample; its `text` is what is written without JSON."""
        match natural_format(self.tokenizer):
            case "text":
                return {"prompt": self.prompt.text, "text": sample.text}
            case "abc":
                return {"text": self._abc(sample), "tokens": self._names(sample)}
        return {"tokens": self._names(sample)}

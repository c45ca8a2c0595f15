"""What one call of `seqgen sample` draws, and how it is written: streamed to a pipe, or whole to files."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from seqgen.cli.console import notice
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqgen.artifacts import Artifact
    from seqgen.sampling.automata import Limits
    from seqgen.sampling.beam import BeamConfig
    from seqgen.sampling.engine import SampleConfig, Sampler
    from seqgen.sampling.events import Event
    from seqgen.sampling.lookups import Lookups
    from seqgen.sampling.outputs import Format
    from seqgen.sampling.parts import Part
    from seqgen.sampling.prompts import Prompt

FLUSH_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that one call of the command samples.

    Attributes:
        artifact: The model.
        config: What is drawn, for each sample that is shown.
        prompt: What every sample goes on from.
        form: What samples are written as.
        constraint: What may be drawn after the prompt.
        lookups: What is looked up in a corpus meanwhile.
        exact: Use weights as trained.
        beam: How to search, if nothing is drawn.
        candidates: How many are drawn for each sample that is shown.
        length_penalty: By which candidates are compared.
        device: Of torch, to compute with that; None takes compiled code.
        batch_size: How many sequences advance together; None leaves it to the sampler.
        name: Of the model, in the titles of tunes.
        fillings: How many to draw for bars of a tune, of which what follows fits one best; 0 for none.
    """

    artifact: "Artifact"
    config: "SampleConfig"
    prompt: "Prompt"
    form: "Format"
    constraint: "Limits | None"
    lookups: "Lookups"
    exact: bool
    beam: "BeamConfig | None"
    candidates: int
    length_penalty: float
    device: str | None
    batch_size: int | None
    name: str
    fillings: int = 0

    @cached_property
    def sampler(self) -> "Sampler":
        """The network, read once."""
        from seqgen.sampling.engine import Sampler

        return Sampler(self.artifact, exact=self.exact, device=self.device)

    @property
    def count(self) -> int | None:
        """How many samples are shown; None if they have no end."""
        return self.beam.n_best if self.beam else self.config.count

    def events(self, prompt: "Sequence[int] | NDArray[np.int64]", *, turn: int = 0) -> "Iterator[Event]":
        """Yield the tokens and ends of the samples that are shown.

        Args:
            prompt: Token ids to go on from.
            turn: Of a conversation, each with random numbers of its own.
        """
        from seqgen.sampling.engine import MAX_SEED

        if self.beam:
            from seqgen.sampling.beam import beam_search

            return beam_search(
                self.sampler, self.config, self.beam, prompt=prompt, constraint=self.constraint
            )
        if self.fillings and self.constraint is not None:
            from seqgen.sampling.varying import Variation, fill

            variation = Variation(self.prompt, self.constraint)
            return fill(self.sampler, self.config, variation, candidates=self.fillings)
        count = self.config.count and self.config.count * self.candidates
        config = replace(self.config, count=count, seed=(self.config.seed + turn) & MAX_SEED)
        events = self.sampler.generate(
            config,
            prompt=prompt,
            constraint=self.constraint,
            lookups=self.lookups,
            batch_size=self.batch_size,
        )
        if self.candidates > 1:
            from seqgen.sampling.ranking import best_of

            events = best_of(events, self.candidates, length_penalty=self.length_penalty)
        return events if self.constraint is None else self.lookups.complete(events, notify=notice)

    def parts(self) -> "Iterator[Part]":
        """Yield the samples as bytes, with notices where the user should know more."""
        from seqgen.kernels.jit import telling_of_compilation
        from seqgen.sampling.outputs import TUNES, title_of
        from seqgen.sampling.parts import Rendering

        name = f"{self.name}, {f'beam {self.beam.width}' if self.beam else f'seed {self.config.seed}'}"
        rendering = Rendering(
            tokenizer=self.artifact.tokenizer,
            form=self.form,
            prompt=self.prompt,
            documents=self.artifact.config.corpus.documents,
            seed=None if self.beam else self.config.seed,
            title=title_of(self.prompt.title, name),
            several=self.count != 1,
        )
        cut = copied = shown = 0
        with telling_of_compilation(lambda: notice("compiling the sampler (first run on this machine)")):
            for part in rendering.parts(self.events(self.prompt.ids)):
                reason = part.outcome and part.outcome.reason
                cut += reason == "length"
                copied += reason == "copy"
                shown = part.number
                yield part
        if self.beam and self.count and shown < self.count:
            notice(f"found {shown} of {self.count}; there are no others, or none that differ")
        if copied:
            longest = self.lookups.copying.longest
            notice(
                f"--max-copy {longest} ended {copied} of the samples: all that could follow would copy more"
            )
        if cut and self.form in TUNES and self.constraint is None:  # else it is whole all the same
            notice(f"{cut} of {self.count} tunes were cut at --length {self.config.length}")


def check_destination(
    form: "Format", output: Path | None, count: int | None, *, receipt: Path | None
) -> None:
    """Refuse early what could not be written later.

    Raises:
        ConfigError: If several tunes have one place, a receipt has none, or a terminal would get MIDI.
    """
    from seqgen.sampling.outputs import BINARY, ONE_TUNE_A_FILE

    if receipt is not None and receipt == output:
        raise ConfigError(f"--receipt {receipt}: name a file of its own")
    if output is None and form in ONE_TUNE_A_FILE and count != 1:
        raise ConfigError(f"a {form} file holds one tune; write {count} of them with -o, such as -o tune.mid")
    if output is None and form in BINARY and sys.stdout.isatty():
        raise ConfigError(f"{form} is no text for a terminal; name a file with -o, or use a pipe")


def write_parts(parts: "Iterable[Part]", output: Path | None, form: "Format", count: int | None) -> None:
    """Write samples to a file, to one numbered file each where a file holds one tune, or to stdout."""
    from seqgen.sampling.outputs import ONE_TUNE_A_FILE, numbered

    if output is not None and form in ONE_TUNE_A_FILE and count != 1:
        for part in parts:
            with _destination(numbered(output, part.number)) as target:
                target.write(part.data)
        return
    with _destination(output) as target:
        flushed = 0.0
        for part in parts:
            target.write(part.data)
            now = time.monotonic()
            if part.outcome or now - flushed > FLUSH_SECONDS:
                target.flush()
                flushed = now


@contextmanager
def _destination(output: Path | None) -> "Iterator[BinaryIO]":
    """Open a file that takes its place only when it is complete, or standard output."""
    from seqgen.files import replacing

    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with replacing(output) as aside, aside.open("wb") as file:
        yield file

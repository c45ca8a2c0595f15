"""`seqgen sample`: text and tunes from a model, shown as they are made."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from seqgen.cli import sample_music as music
from seqgen.cli import sample_options as options
from seqgen.cli.console import notice
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.tokenizers import Tokenizer
    from seqgen.music.pieces import Piece
    from seqgen.music.write import TuneForm
    from seqgen.sampling.automata import Automaton
    from seqgen.sampling.engine import Event, Sample, SampleConfig, Sampler
    from seqgen.sampling.outputs import Format
    from seqgen.sampling.prompts import Prompt

TEXT_LENGTH = 1000
TUNE_LENGTH = 2000
FLUSH_SECONDS = 0.02
STDIN = "-"


class FormatName(StrEnum):
    """What a sample is written as."""

    TEXT = "text"
    ABC = "abc"
    MIDI = "midi"
    MUSICXML = "musicxml"
    MXL = "mxl"
    WAV = "wav"
    SVG = "svg"
    PNG = "png"
    JSON = "json"
    TOKENS = "tokens"


_LENGTH = typer.Option(help=f"Tokens at most; {TEXT_LENGTH} for text, {TUNE_LENGTH} for a tune.")
_PROMPT = typer.Option(help="Text to go on from, or for music a tune file; - reads standard input.")
_STOP = typer.Option(help="End at this text, which is not shown; may be given several times.")
_FORMAT = typer.Option(
    "--format", help="Otherwise by the suffix of -o; text, ABC (one line of notes) or MIDI."
)


def sample(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many samples.")] = 1,
    length: Annotated[int | None, _LENGTH] = None,
    temperature: options.Temperature = "1.0",
    top_k: Annotated[int, typer.Option(help="Choose among the k likeliest tokens; 0 is all.")] = 0,
    top_p: Annotated[
        float, typer.Option(help="Choose among the likeliest with this share of probability.")
    ] = 1.0,
    min_p: options.MinP = 0.0,
    typical: options.Typical = 1.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    frequency_penalty: options.FrequencyPenalty = 0.0,
    penalty_window: options.PenaltyWindow = 0,
    no_repeat_ngram: options.NoRepeatNgram = 0,
    ban: options.Ban = None,
    boost: options.Boost = None,
    regex: options.Regex = None,
    line_regex: options.LineRegex = None,
    lines: options.Lines = None,
    max_line_length: options.MaxLineLength = None,
    words_from: options.WordsFrom = None,
    starts: options.Starts = None,
    ends: options.Ends = None,
    acrostic: options.Acrostic = None,
    prompt: Annotated[str | None, _PROMPT] = None,
    tune: music.Tune = None,
    fix: music.Fix = None,
    infill: music.Infill = None,
    candidates: music.Candidates = 16,
    stop: Annotated[list[str] | None, _STOP] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bytes; else random.")] = None,
    form: Annotated[FormatName | None, _FORMAT] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Use weights as trained, not rounded to int8.")
    ] = False,
) -> None:
    """Generate text or tunes with a model.

    A sample ends where the model ends it, at a --stop text, or after --length tokens. The prompt is part of
    what is written. Samples of text are separated by an empty line, or stand one a line if the model was
    trained on lines. Files that hold one tune are numbered: -o tune.mid gives tune-1.mid, tune-2.mid.
    --regex, --lines and the like are on the whole text, the prompt included, and can be combined.

    Example: seqgen sample models/fiddle --count 3 --seed 1 -o tunes.abc
    """
    from seqgen.artifacts import load_artifact
    from seqgen.sampling.bias import token_bias
    from seqgen.sampling.constraints import TextRules, constrain
    from seqgen.sampling.engine import SampleConfig
    from seqgen.sampling.outputs import choose_format

    artifact = load_artifact(model)
    chosen = choose_format(artifact.tokenizer, form, output)
    _check_destination(chosen, output, count)
    temperatures = options.parse_temperature(temperature)
    config = SampleConfig(
        count=count,
        length=_default_length(chosen) if length is None else length,
        temperature=temperatures.first,
        final_temperature=temperatures.last,
        kind_temperatures=temperatures.by_kind,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        typical=typical,
        repetition_penalty=repetition_penalty,
        frequency_penalty=frequency_penalty,
        penalty_window=penalty_window,
        no_repeat_ngram=no_repeat_ngram,
        bias=token_bias(artifact.tokenizer, banned=ban or (), boosted=boost or ()),
        stop=tuple(stop or ()),
        seed=_random_seed() if seed is None else seed,
    )
    rules = TextRules(
        regex=regex,
        line_regex=line_regex,
        lines=lines,
        max_line_length=max_line_length,
        words_from=words_from,
        starts=starts,
        ends=ends,
        acrostic=acrostic,
    )
    if fix or infill:
        task = music.Task(prompt, tune, fix, infill, candidates)
        varied = music.vary(artifact.tokenizer, task)
        config = music.long_enough(config, varied)
        run = _Run(artifact, config, varied.prompt, chosen, varied.constraint, exact=exact)
        replace(run, candidates=candidates if infill else 0).write(output)
        return
    given = _read_prompt(artifact.tokenizer, prompt, tune)
    banned = [token for token, amount in config.bias.items() if amount == float("-inf")]
    constraint = constrain(rules, artifact.tokenizer, prompt=given.text, length=config.length, banned=banned)
    _Run(artifact, config, given, chosen, constraint, exact=exact).write(output)


def _check_destination(form: "Format", output: Path | None, count: int) -> None:
    """Refuse early what could not be written later."""
    from seqgen.sampling.outputs import BINARY, ONE_TUNE_A_FILE

    if output is not None and output.is_dir():
        raise ConfigError(f"-o {output}: a folder; name a file in it")
    if output is None and form in ONE_TUNE_A_FILE and count > 1:
        raise ConfigError(f"a {form} file holds one tune; write {count} of them with -o, such as -o tune.mid")
    if output is None and form in BINARY and sys.stdout.isatty():
        raise ConfigError(f"{form} is no text for a terminal; name a file with -o, or use a pipe")


def _default_length(form: "Format") -> int:
    from seqgen.sampling.outputs import TUNES

    return TUNE_LENGTH if form in TUNES else TEXT_LENGTH


def _random_seed() -> int:
    import secrets

    seed = secrets.randbits(32)
    notice(f"seed {seed}; --seed {seed} gives the same again")
    return seed


def _read_prompt(tokenizer: "Tokenizer", given: str | None, tune: int | None) -> "Prompt":
    from seqgen.sampling import prompts

    if tune is not None and (given is None or tokenizer.modality == "text"):
        raise ConfigError("--tune: it chooses a tune of the file given with --prompt to a music model")
    if given is None:
        return prompts.NO_PROMPT
    if tokenizer.modality == "text":
        prompt = prompts.text_prompt(tokenizer, _stdin_text() if given == STDIN else given)
    elif given == STDIN:
        content = sys.stdin.buffer.read()
        prompt = prompts.tune_prompt_from_bytes(tokenizer, content, source="standard input", number=tune)
    else:
        prompt = prompts.tune_prompt(tokenizer, Path(given), number=tune)
    for remark in prompt.remarks:
        notice(f"prompt: {remark}")
    return prompt


def _stdin_text() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"--prompt -: byte {error.start} of standard input is not UTF-8") from error


@dataclass(frozen=True)
class _Run:
    """Everything that one call of the command samples and how it is written."""

    artifact: "Artifact"
    config: "SampleConfig"
    prompt: "Prompt"
    form: "Format"
    constraint: "Automaton | None"
    exact: bool
    candidates: int = 0
    """How many to draw for each sample, of which what follows fits one best; 0 for no choice."""

    def write(self, output: Path | None) -> None:
        from seqgen.kernels.jit import telling_of_compilation
        from seqgen.sampling.engine import Sampler
        from seqgen.sampling.outputs import ONE_TUNE_A_FILE

        sampler = Sampler(self.artifact, exact=self.exact)
        with telling_of_compilation(lambda: notice("compiling the sampler (first run on this machine)")):
            events = self._events(sampler)
            if self.form in ONE_TUNE_A_FILE:
                self._write_files(events, self.form, output)
            elif self.form == "abc":
                self._write_tune_book(events, output)
            elif self.form == "text":
                self._write_text(events, output)
            else:
                self._write_lines(events, output)

    def _events(self, sampler: "Sampler") -> "Iterator[Event]":
        if self.candidates and self.constraint is not None:
            from seqgen.sampling.varying import Variation, fill

            variation = Variation(self.prompt, self.constraint)
            return fill(sampler, self.config, variation, candidates=self.candidates)
        return sampler.generate(self.config, prompt=self.prompt.ids, constraint=self.constraint)

    def _write_text(self, events: "Iterable[Event]", output: Path | None) -> None:
        from seqgen.sampling.outputs import text_pieces

        documents = self.artifact.config.corpus.documents
        pieces = text_pieces(events, prompt=self.prompt.text, documents=documents)
        with _destination(output) as target:
            flushed = 0.0
            for piece in pieces:
                target.write(piece.encode("utf-8", "replace"))
                if (now := time.monotonic()) - flushed > FLUSH_SECONDS:
                    target.flush()
                    flushed = now

    def _write_lines(self, events: "Iterable[Event]", output: Path | None) -> None:
        from seqgen.sampling.engine import collect

        with _destination(output) as target:
            for sample in collect(events):
                target.write(f"{self._line(sample)}\n".encode("utf-8", "replace"))
                target.flush()

    def _line(self, sample: "Sample") -> str:
        from seqgen.sampling.outputs import json_line, tokens_line

        tokenizer = self.artifact.tokenizer
        whole = [*self.prompt.ids.tolist(), *sample.tokens]
        if self.form == "tokens":
            return tokens_line(tokenizer.tokens, whole)
        if tokenizer.modality == "text":
            content = {"prompt": self.prompt.text, "text": sample.text}
        else:
            content = {"tokens": tokens_line(tokenizer.tokens, whole)}
        return json_line(sample, seed=self.config.seed, content=content)

    def _write_tune_book(self, events: "Iterable[Event]", output: Path | None) -> None:
        from seqgen.music.write import write_abc

        book = write_abc(piece for _, piece in self._pieces(events))
        with _destination(output) as target:
            target.write(book.encode("utf-8"))

    def _write_files(self, events: "Iterable[Event]", form: "TuneForm", output: Path | None) -> None:
        from seqgen.music.write import write_tune
        from seqgen.sampling.outputs import numbered

        for number, piece in self._pieces(events):
            many = output is not None and self.config.count > 1
            with _destination(numbered(output, number) if output and many else output) as target:
                target.write(write_tune(piece, form))

    def _pieces(self, events: "Iterable[Event]") -> "Iterator[tuple[int, Piece]]":
        """Yield each tune and its number from 1, titled by what makes it again."""
        from seqgen.sampling.engine import collect
        from seqgen.sampling.outputs import make_piece

        name = f"{self.artifact.path.resolve().name}, seed {self.config.seed}"
        title = f"{self.prompt.title}, by {name}" if self.prompt.title else name
        cut = 0
        for sample in collect(events):
            number = sample.sequence + 1
            cut += sample.reason == "length"
            numbered_title = f"{title}, tune {number}" if self.config.count > 1 else title
            begin, end = self.prompt.names, self.prompt.rest
            yield (
                number,
                make_piece(self.artifact.tokenizer, sample.tokens, numbered_title, begin=begin, end=end),
            )
        if cut:
            notice(f"{cut} of {self.config.count} tunes were cut at --length {self.config.length}")


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

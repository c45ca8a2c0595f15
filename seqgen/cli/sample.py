"""`seqgen sample`: text and tunes from a model, shown as they are made."""

import secrets
import sys
from dataclasses import replace
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli import sample_music as music
from seqgen.cli import sample_options as options
from seqgen.cli import tune_options
from seqgen.cli.console import notice
from seqgen.cli.interactive import LENGTH as INTERACTIVE_LENGTH
from seqgen.cli.interactive import check_options, converse
from seqgen.cli.looking_up import Index, MaxCopy, MixNgram, look_up
from seqgen.cli.options import Model, file_to_write
from seqgen.cli.prompts import STDIN, is_file_name, read_prompt, standard_input, tell_remarks
from seqgen.cli.recording import make_receipt
from seqgen.cli.sample_run import Run, check_destination, write_parts
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.data.tokenizers import Tokenizer
    from seqgen.sampling.prompts import Prompt

TEXT_LENGTH = 1000
TUNE_LENGTH = 2000
SEED_BITS = 32


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


_COUNT = "How many samples; 1, but without end if the length has none."
_LENGTH = typer.Option(help=f"Tokens at most; {TEXT_LENGTH} for text, {TUNE_LENGTH} for a tune; 0: no end.")
_PROMPT = typer.Option(help="Text to go on from, or for music a tune file; - reads standard input.")
_OUTPUT = typer.Option(
    "--output", "-o", callback=file_to_write, help="Write to this file, as its suffix says; else to stdout."
)
_STOP = typer.Option(help="End at this text, which is not shown; may be given several times.")
_FORMAT = typer.Option(
    "--format", help="Otherwise by the suffix of -o; text, ABC (one line of notes) or MIDI."
)


def plan_samples(
    model: Model,
    count: Annotated[int | None, typer.Option("--count", "-n", help=_COUNT)] = None,
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
    max_copy: MaxCopy = None,
    mix_ngram: MixNgram = None,
    index: Index = None,
    valid: tune_options.Valid = None,
    key: tune_options.Key = None,
    meter: tune_options.Meter = None,
    bars: tune_options.Bars = None,
    scale: tune_options.Scale = None,
    pitch_range: tune_options.Range = None,
    max_leap: tune_options.MaxLeap = None,
    end_on: tune_options.EndOn = None,
    max_polyphony: tune_options.MaxPolyphony = None,
    prompt: Annotated[str | None, _PROMPT] = None,
    tune: music.Tune = None,
    fix: music.Fix = None,
    infill: music.Infill = None,
    candidates: music.Candidates = 16,
    stop: Annotated[list[str] | None, _STOP] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bytes; else random.")] = None,
    best_of: options.BestOf = 1,
    beam: options.Beam = None,
    n_best: options.NBest = 1,
    diverse: options.Diverse = 0.0,
    length_penalty: options.LengthPenalty = 0.0,
    form: Annotated[FormatName | None, _FORMAT] = None,
    as_json: options.AsJson = False,
    output: Annotated[Path | None, _OUTPUT] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Use weights as trained, not rounded to int8.")
    ] = False,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    receipt: options.Receipt = None,
    interactive: options.Interactive = False,
) -> Run:
    """Generate text or tunes with a model.

    A sample ends where the model ends it, at a --stop text, or after --length tokens. The prompt is part of
    what is written. Samples of text are separated by an empty line, or stand one a line if the model was
    trained on lines. Files that hold one tune are numbered: -o tune.mid gives tune-1.mid, tune-2.mid.
    --regex, --lines and the like are on the whole text, the prompt included, and can be combined;
    --key, --bars and the like are on the whole tune. The bars of a tune add up unless --any is given. With
    --length 0 text goes on until the reader of the pipe, or Ctrl-C, ends it.

    Example: seqgen sample models/fiddle --count 3 --seed 1 -o tunes.abc
    """
    from seqgen.artifacts import load_artifact, require_task
    from seqgen.runtime import choose_device
    from seqgen.sampling.bias import token_bias
    from seqgen.sampling.constraints import TextRules, constrain
    from seqgen.sampling.engine import SampleConfig
    from seqgen.sampling.lookups import NO_LOOKUPS
    from seqgen.sampling.outputs import choose_format
    from seqgen.sampling.prompts import NO_PROMPT
    from seqgen.sampling.tune_rules import constrain_tune
    from seqgen.sampling.tune_wishes import TuneRules

    artifact = require_task(load_artifact(model), "lm")
    chosen = choose_format(artifact.tokenizer, _wanted_format(form, as_json=as_json), output)
    length = _default_length(artifact.tokenizer, interactive=interactive) if length is None else length
    if count is None and length:
        count = 1
    search = options.search_config(
        beam=beam, n_best=n_best, diverse=diverse, best_of=best_of, length_penalty=length_penalty
    )
    looks_up = max_copy is not None or mix_ngram is not None
    if search and looks_up:
        raise ConfigError("--beam: nothing is drawn; --max-copy and --mix-ngram are for what is")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"--batch-size {batch_size}: at least 1")
    is_music = artifact.tokenizer.modality == "music"
    if not length and (is_music or search or best_of > 1 or interactive or receipt):
        raise ConfigError(
            "--length 0: text streams without end; tunes, searches, turns and receipts need a length"
        )
    if not length and chosen != "text" and artifact.config.corpus.documents == "files" and not stop:
        raise ConfigError(
            f"--length 0: a line of {chosen} is written where a text ends, and this model learned whole "
            "files, which may never end; give --length or --stop"
        )
    check_destination(chosen, output, n_best if search else count, receipt=receipt)
    temperatures = options.parse_temperature(temperature)
    config = SampleConfig(
        count=count,
        length=length,
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
        seed=secrets.randbits(SEED_BITS) if seed is None else seed,
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
    tune_rules = TuneRules(
        valid=valid,
        key=key,
        meter=meter,
        bars=bars,
        scale=scale,
        range=pitch_range,
        max_leap=max_leap,
        end_on=end_on,
        max_polyphony=max_polyphony,
    )
    run = Run(
        artifact=artifact,
        config=config,
        prompt=NO_PROMPT,
        form=chosen,
        constraint=None,
        lookups=NO_LOOKUPS,
        exact=exact,
        beam=search,
        candidates=best_of,
        length_penalty=length_penalty,
        device=None if device is None else choose_device(device),
        batch_size=batch_size,
        name=model.resolve().name,
    )
    if fix or infill:
        task = music.Task(prompt, tune, fix, infill, candidates)
        run = music.varied(run, task, rules=[*rules.given, *tune_rules.given], looks_up=looks_up)
        return replace(run, lookups=look_up(artifact, exact, index, max_copy, mix_ngram))
    tokenizer, given = artifact.tokenizer, _read_prompt(artifact.tokenizer, prompt, tune)
    banned = [token for token, amount in config.bias.items() if amount == float("-inf")]
    over_text = constrain(rules, tokenizer, prompt=given.text, length=config.limit, banned=banned)
    over_tune, remark = constrain_tune(
        tune_rules, tokenizer, prompt=given.ids.tolist(), length=config.limit, banned=banned
    )
    if remark:
        notice(remark)
    constraint = over_tune if over_text is None else over_text
    # It may take long, so nothing is refused after it.
    lookups = look_up(artifact, exact, index, max_copy, mix_ngram)
    return replace(run, prompt=given, constraint=constraint, lookups=lookups)


@wraps(plan_samples)
def sample(**given: Any) -> None:
    """Sample as the options of `plan_samples` say."""
    if given["interactive"]:
        check_options(given)
    to, stdin = given["receipt"], None
    if to is not None and given["prompt"] == STDIN:
        stdin = sys.stdin.buffer.read()
    with standard_input(stdin):
        run = plan_samples(**given)
    run.sampler.check(run.config, run.constraint)
    if given["seed"] is None and run.beam is None:
        seed = run.config.seed
        notice(f"seed {seed}; --seed {seed} gives the same again")
    if given["interactive"]:
        converse(run)
        return
    if to is None:
        write_parts(run.parts(), given["output"], run.form, run.count)
        return
    from seqgen.sampling.receipts import SampleRecord, recorded, write_receipt

    records: list[SampleRecord] = []
    write_parts(recorded(run.parts(), records), given["output"], run.form, run.count)
    write_receipt(to, make_receipt(given, run, stdin, records))


def _wanted_format(form: FormatName | None, *, as_json: bool) -> FormatName | None:
    if as_json and form not in (None, FormatName.JSON):
        raise ConfigError(f"--json: JSON lines, not --format {form}; ask for only one")
    return FormatName.JSON if as_json else form


def _default_length(tokenizer: "Tokenizer", *, interactive: bool) -> int:
    if interactive:
        return INTERACTIVE_LENGTH
    return TUNE_LENGTH if tokenizer.modality == "music" else TEXT_LENGTH


def _read_prompt(tokenizer: "Tokenizer", given: str | None, tune: int | None) -> "Prompt":
    from seqgen.sampling.prompts import NO_PROMPT

    if given is None:
        if tune is not None:
            raise ConfigError("--tune: it chooses a tune of the file given with --prompt to a music model")
        return NO_PROMPT
    if tokenizer.modality == "text" and is_file_name(given):
        notice(f"--prompt {given}: taken as text; --prompt - < {given} reads the file of that name")
    prompt = read_prompt(tokenizer, given, tune, option="--prompt")
    tell_remarks(prompt, "prompt")
    return prompt

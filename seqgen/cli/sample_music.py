"""The options of `seqgen sample` that are for music models, and what they stand for."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seqgen.cli.sample_run import Run
    from seqgen.data.tokenizers import Tokenizer
    from seqgen.sampling.varying import Variation


class Kept(StrEnum):
    """What of a tune is kept."""

    RHYTHM = "rhythm"
    PITCH = "pitch"


Tune = Annotated[int | None, typer.Option(min=1, help="Which tune of the --prompt file; else the first.")]
Fix = Annotated[Kept | None, typer.Option(help="Keep this of the --prompt tune and draw the rest anew.")]
Infill = Annotated[
    str | None, typer.Option(metavar="BARS", help="Draw these bars of the --prompt tune anew: 5, or 5-8.")
]
Candidates = Annotated[
    int, typer.Option(min=1, help="How many fillings of --infill to draw; the one that fits best is kept.")
]


@dataclass(frozen=True)
class Task:
    """What to vary of which tune, as the options say it."""

    prompt: str | None
    tune: int | None
    fix: Kept | None
    infill: str | None
    candidates: int

    @property
    def option(self) -> str:
        """The option that asks for it."""
        return f"--infill {self.infill}" if self.infill else f"--fix {self.fix}"


def vary(tokenizer: "Tokenizer", task: Task, *, banned: "Sequence[int]" = ()) -> "Variation":
    """Read the tune and return what is drawn of it.

    Raises:
        ConfigError: If the options do not go together, or not with the model or the tune.
        CorpusError: If the tune cannot be read, or has what the model has never seen.
    """
    from seqgen.sampling.prompts import read_tune
    from seqgen.sampling.varying import infill, keep

    if tokenizer.modality != "music":
        raise ConfigError(f"{task.option}: this model makes text; it is for models of music")
    if task.fix and task.infill:
        raise ConfigError("--fix and --infill: ask for one of them")
    if task.prompt is None or task.prompt == "-":
        raise ConfigError(f"{task.option}: name the file of a tune with --prompt")
    piece, remarks = read_tune(Path(task.prompt), number=task.tune)
    for remark in remarks:
        notice(f"prompt: {remark}")
    if task.fix:
        return keep(tokenizer, piece, task.fix.value, banned=banned)
    return infill(tokenizer, piece, _parse_bars(task.infill or ""), banned=banned)


def varied(run: "Run", task: Task, *, rules: "Sequence[str]" = (), looks_up: bool = False) -> "Run":
    """Return a run that varies a tune instead of drawing a new one.

    Args:
        run: What is to be drawn otherwise.
        task: What to vary.
        rules: The names of rules for whole samples that were given.
        looks_up: Whether a corpus is to be searched meanwhile.

    Raises:
        ConfigError: See `vary`; or if the run searches, or obeys rules or limits that a variation does not.
    """
    if run.beam or run.candidates > 1:
        raise ConfigError(
            f"{task.option}: draws, and compares what it draws by itself; without --beam, --best-of"
        )
    if rules:
        flag = rules[0].replace("_", "-")
        raise ConfigError(
            f"{task.option}: the tune says what stays; --{flag} is for what is drawn as a whole"
        )
    if task.infill and looks_up:
        raise ConfigError(f"{task.option}: fits bars into the tune; without --max-copy, --mix-ngram")
    banned = [token for token, amount in run.config.bias.items() if amount == float("-inf")]
    variation = vary(run.artifact.tokenizer, task, banned=banned)
    shortest = variation.constraint.shortest
    if shortest is None:
        raise ConfigError(f"{task.option}: the tokens of this model, those of --ban left out, cannot make it")
    length = max(run.config.length, shortest)  # the tune says how long it is
    return replace(
        run,
        config=replace(run.config, length=length),
        prompt=variation.prompt,
        constraint=variation.constraint,
        fillings=task.candidates if task.infill else 0,
    )


def _parse_bars(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        bars = int(first), int(last if dash else first)
    except ValueError:
        bars = (1, 0)
    if not 0 <= bars[0] <= bars[1]:
        raise ConfigError(f"--infill {text}: bars such as 5 or 5-8; a pick-up is bar 0")
    return bars

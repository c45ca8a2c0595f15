"""The options of `seqgen sample` that shape what is drawn, and how their values are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from seqgen.cli.options import file_to_write
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.sampling.beam import BeamConfig

Temperature = Annotated[
    str,
    typer.Option(
        help="Sharper below 1, flatter above; 0 is greedy; 1.2:0.7 on the way; pitch=1.1,duration=0.7."
    ),
]
MinP = Annotated[float, typer.Option(help="Leave out tokens below this share of the likeliest one's chance.")]
Typical = Annotated[float, typer.Option(help="Choose among the most typical with this share of probability.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1, what was there before is less likely.")]
FrequencyPenalty = Annotated[float, typer.Option(help="Taken off for each time that a token was there.")]
PenaltyWindow = Annotated[int, typer.Option(help="How many last tokens the penalties look at; 0 is all.")]
NoRepeatNgram = Annotated[int, typer.Option(help="No run of so many tokens comes twice; 0 allows it.")]
Ban = Annotated[list[str] | None, typer.Option(help="Never draw this token; may be given several times.")]
Boost = Annotated[
    list[str] | None,
    typer.Option(metavar="TOKEN=X", help="Add to a token's logit; may be given several times."),
]
Regex = Annotated[str | None, typer.Option(help="The whole text matches this expression.")]
LineRegex = Annotated[str | None, typer.Option(help="Each line matches this expression.")]
Lines = Annotated[int | None, typer.Option(help="The text has so many lines.")]
MaxLineLength = Annotated[int | None, typer.Option(help="No line has more characters.")]
WordsFrom = Annotated[Path | None, typer.Option(help="Only words of this file appear; case is ignored.")]
Starts = Annotated[str | None, typer.Option(help="The text starts so.")]
Ends = Annotated[str | None, typer.Option(help="The text ends so.")]
Beam = Annotated[
    int | None, typer.Option(help="Search for the likeliest with so many hypotheses; 1 is greedy.")
]
NBest = Annotated[int, typer.Option(help="How many a beam search shows, the best first.")]
Diverse = Annotated[
    float, typer.Option(help="How much the --n-best should differ, in nats a token; 0.5 is moderate.")
]
BestOf = Annotated[int, typer.Option(help="Draw so many for each sample, and keep the likeliest.")]
LengthPenalty = Annotated[
    float, typer.Option(help="Lets longer ones win: 0 compares whole log-probabilities, 1 nearly per token.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON lines; the same as --format json.")]
Device = Annotated[
    str | None,
    typer.Option(
        help="Compute with torch on auto, cpu, cuda or mps; otherwise compiled code, without torch."
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="How many are drawn together; 64, or 256 with --device.")]
Receipt = Annotated[
    Path | None,
    typer.Option(
        callback=file_to_write, help="Write here what was made, from what; `seqgen replay` makes it again."
    ),
]
Interactive = Annotated[
    bool,
    typer.Option(
        "--interactive", help="Read prompts line by line and go on from each; rules are on replies."
    ),
]
Acrostic = Annotated[str | None, typer.Option(help="The first letters of the lines spell this.")]


class Temperatures(NamedTuple):
    """The temperature of the first token, of the last if it changes, and of tokens of some kinds."""

    first: float
    last: float | None
    by_kind: dict[str, float]


def parse_temperature(text: str) -> Temperatures:
    """Read a temperature, two between which it goes, or some by kind of token: 0.9,pitch=1.1.

    Raises:
        ConfigError: If it is none of these.
    """
    items = text.split(",")
    plain = "1" if "=" in items[0] else items.pop(0)
    first, colon, last = plain.partition(":")
    try:
        named = [(kind.strip().lower(), float(value)) for kind, _, value in (i.partition("=") for i in items)]
        return Temperatures(float(first), float(last) if colon else None, dict(named))
    except ValueError:
        raise ConfigError(
            f"--temperature {text}: a number, two such as 1.2:0.7, or by kind such as pitch=1.1,duration=0.7"
        ) from None


def search_config(
    *, beam: int | None, n_best: int, diverse: float, best_of: int, length_penalty: float
) -> "BeamConfig | None":
    """Return how to search, or None if samples are drawn.

    Raises:
        ConfigError: If a value makes no sense, alone or beside the others.
    """
    from seqgen.sampling.ranking import check_candidates, check_length_penalty

    check_candidates(best_of)
    check_length_penalty(length_penalty)
    if beam is not None:
        from seqgen.sampling.beam import BeamConfig

        if best_of > 1:
            raise ConfigError("--best-of: compares what is drawn, and --beam draws nothing; leave one out")
        return BeamConfig(width=beam, n_best=n_best, length_penalty=length_penalty, diversity=diverse)
    for flag, given in (("--n-best", n_best != 1), ("--diverse", diverse != 0)):
        if given:
            raise ConfigError(f"{flag}: is for --beam; ask for that too")
    if length_penalty and best_of == 1:
        raise ConfigError("--length-penalty: is for --beam and --best-of; ask for one of them")
    return None

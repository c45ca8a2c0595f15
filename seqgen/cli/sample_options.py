"""The options of `seqgen sample` that shape what is drawn, and how their values are read."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from seqgen.errors import ConfigError

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

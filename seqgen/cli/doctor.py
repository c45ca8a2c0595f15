"""`seqgen doctor`: what a music corpus is like and what is wrong with it, before any training."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.cli.options import Names

if TYPE_CHECKING:
    from seqgen.data.survey import Survey

_SHOWN = 10
_BAR_WIDTH = 40


def doctor(
    corpus: Names,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Look a music corpus over: what cannot be read, bars that do not add up, duplicates, keys, lengths.

    Example: seqgen doctor tunes/
    """
    from seqgen.config import CorpusConfig
    from seqgen.data.corpus import open_corpus
    from seqgen.data.survey import survey_tunes

    found = open_corpus(corpus, CorpusConfig(), level="note")
    survey = survey_tunes(found, notify=notice)
    if as_json:
        print(json.dumps(survey.record(), ensure_ascii=False))
    else:
        _print(survey)


def _print(survey: "Survey") -> None:
    record = survey.record()
    print(
        f"{record['tunes']:,} tunes read, {record['notes']:,} notes, {record['bars']:,} bars; "
        f"{record['single_lines']:,} are single lines (melody encoding)"
    )
    _print_list("not read", [str(item) for item in survey.corpus.skipped])
    faults = survey.faults()
    title = f"something is wrong ({record['wrong_bars']:,} bars do not add up)"
    _print_list(title, [f"{tune}: {_few(told)}" for tune, told in faults])
    _print_list("the same notes", [" = ".join(group) for group in record["same"]])
    _print_list("the same notes in another key", [" = ".join(group) for group in record["transposed"]])
    _print_list("much alike", [f"{share:.0%}  {a} ~ {b}" for a, b, share in record["alike"]])
    _print_list("left out", [f"{what}: {count:,}" for what, count in record["left_out"].items()], shown=30)
    for name, counts in survey.histograms().items():
        _print_histogram(name, counts)


def _few(told: Sequence[str]) -> str:
    more = f" and {len(told) - 4} more" if len(told) > 4 else ""
    return "; ".join(told[:4]) + more


def _print_list(title: str, lines: Sequence[str], *, shown: int = _SHOWN) -> None:
    if not lines:
        return
    print(f"\n{title}: {len(lines):,}")
    for line in lines[:shown]:
        print(f"  {line}")
    if len(lines) > shown:
        print(f"  and {len(lines) - shown:,} more; --json tells all")


def _print_histogram(name: str, counts: Mapping[str, int]) -> None:
    print(f"\n{name}")
    rows: Iterable[tuple[str, int]] = list(counts.items())[:15]
    most, width = max(counts.values()), max(map(len, counts))
    for value, count in rows:
        print(f"  {value:<{width}} {count:>6,}  {'█' * round(_BAR_WIDTH * count / most)}".rstrip())

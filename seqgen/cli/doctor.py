"""`seqgen doctor`: what a corpus is like and what is wrong with it, before any training."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import counted, notice
from seqgen.cli.options import Column, Encoding, Names

if TYPE_CHECKING:
    from seqgen.data.corpus import Corpus
    from seqgen.data.survey import Survey
    from seqgen.data.text_survey import TextSurvey

_SHOWN = 10
_ROWS = 15
_BAR_WIDTH = 40


def doctor(
    corpus: Names,
    column: Column = None,
    encoding: Encoding = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Look a corpus over before training.

    Tells what cannot be read, what looks wrong, what comes twice, and what the corpus is made of.

    Example: seqgen doctor fiddle
    """
    from seqgen.cli.options import given_values
    from seqgen.config import CorpusConfig
    from seqgen.data.corpus import open_corpus
    from seqgen.data.survey import survey_tunes
    from seqgen.data.text_survey import survey_text

    config = CorpusConfig(on_error="skip", **given_values(column=column, encoding=encoding))
    found = open_corpus(corpus, config)
    is_music = found.modality == "music"
    survey = survey_tunes(found, notify=notice) if is_music else survey_text(found)
    if as_json:
        print(json.dumps(survey.record(), ensure_ascii=False))
        return
    (_print_tunes if is_music else _print_text)(survey)  # type: ignore[arg-type]
    for name, counts in survey.histograms().items():
        _print_histogram(name, counts)


def _print_tunes(survey: "Survey") -> None:
    from seqgen.data.corpus import NO_MUSIC

    record, folder = survey.record(), _folder_of(survey.corpus)
    print(
        f"{counted(record['tunes'], 'tune')} read, {counted(record['notes'], 'note')}, "
        f"{counted(record['bars'], 'bar')}; single lines (melody encoding): {record['single_lines']:,}"
    )
    _tell_folder(folder)
    tell = partial(_print_list, folder=folder)
    skipped = survey.corpus.skipped
    tell("not read", [str(item) for item in skipped if item.reason != NO_MUSIC])
    others = [Path(item.name).name for item in skipped if item.reason == NO_MUSIC]
    if others:
        print(f"\nfiles without music: {_several(others)}")
    title = f"something is wrong ({record['wrong_bars']:,} bars do not add up)"
    tell(title, [f"{tune}: {_few(told)}" for tune, told in survey.faults()])
    tell("the same notes", [" = ".join(group) for group in record["same"]])
    tell("the same notes in another key", [" = ".join(group) for group in record["transposed"]])
    tell("much alike", [f"{found['share']:.0%}  {' ~ '.join(found['tunes'])}" for found in record["alike"]])
    tell("left out", [f"{what}: {count:,}" for what, count in record["left_out"].items()], shown=30)


def _folder_of(corpus: "Corpus") -> str:
    """Return what the paths of all files of a corpus begin with, up to a separator; "" if nothing."""
    folders = [str(source.path.parent) for source in corpus.sources]
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # absolute and relative ones, or several drives
        return ""
    return common + os.sep if common not in ("", ".", os.sep) else ""


def _tell_folder(folder: str) -> None:
    if folder:
        print(f"places are those in {folder.rstrip(os.sep)}")


def _several(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _print_text(survey: "TextSurvey") -> None:
    record, folder = survey.record(), _folder_of(survey.corpus)
    longest = record["longest_line"]
    print(
        f"read as text: {counted(record['documents'], 'document')}, {counted(record['lines'], 'line')} "
        f"({record['empty_lines']:,} empty), "
        f"{record['characters']:,} characters, {record['distinct_characters']:,} distinct; "
        f"the longest line, {longest['place'].removeprefix(folder)}, has {longest['characters']:,}"
    )
    _tell_folder(folder)
    tell = partial(_print_list, folder=folder)
    tell("not read", [str(item) for item in survey.corpus.skipped])
    tell("something looks wrong", survey.faults())
    rare = survey.rare()
    if rare:
        print(f"\nfewer than 5 times: {counted(len(rare), 'character')}; --min-count 5 leaves them out")
        print(f"  {_line(rare)}")
    repeated = [f"{count:,} x  {place}: {_short(text)}" for place, text, count in survey.repeated()]
    title = f"lines that come again ({record['repeated_lines']:,} copies)"
    tell(title, repeated)


def _line(chars: Sequence[str]) -> str:
    shown = " ".join(char if char.isprintable() else f"U+{ord(char):04X}" for char in chars[:60])
    return shown + (" ..." if len(chars) > 60 else "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _few(told: Sequence[str]) -> str:
    more = f" and {len(told) - 4} more" if len(told) > 4 else ""
    return "; ".join(told[:4]) + more


def _print_list(title: str, lines: Sequence[str], *, folder: str = "", shown: int = _SHOWN) -> None:
    """Print the first of some lines, in which places in the folder are told without it."""
    if not lines:
        return
    print(f"\n{title}: {len(lines):,}")
    for line in lines[:shown]:
        print(f"  {line.replace(folder, '') if folder else line}")
    if len(lines) > shown:
        print(f"  and {len(lines) - shown:,} more; --json tells all")


def _print_histogram(name: str, counts: Mapping[str, int]) -> None:
    """Print a table of values, counts, shares and bars, of the first rows at most, without empty ends."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    held = [place for place, count in enumerate(counts.values()) if count]
    counts = dict(list(counts.items())[held[0] : held[-1] + 1])
    most, total = max(counts.values()), sum(counts.values())
    table = Table(title=name, title_justify="left", title_style="bold", box=None, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for value, count in list(counts.items())[:_ROWS]:
        bar = "█" * round(_BAR_WIDTH * count / most)
        table.add_row(*(Text(cell) for cell in (value, f"{count:,}", f"{count / total:.0%}", bar)))
    print()
    Console(markup=False, highlight=False, emoji=False, soft_wrap=True).print(table)
    if len(counts) > _ROWS:
        print(f"  and {len(counts) - _ROWS:,} more; --json tells all")

"""`seqgen novelty`: what of a text stands in a corpus already, and where."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.data.index import TokenIndex
    from seqgen.data.tokenizers import Tokenizer
    from seqgen.sampling.novelty import Novelty, Originals

_SHOWN = 10
_TEXT_WIDTH = 60
_STYLES = ("", "yellow", "dark_orange", "bold red")
"""Of what is no copy, of copies, of those of at least twice and of four times the least length."""

_FILES = typer.Argument(metavar="FILE", help="What to examine: text or tunes; - reads standard input.")
_INDEX = typer.Option(help="An index directory, or a corpus by name or path: its training part is searched.")
_LEAST = typer.Option(min=1, help="From this length on a match is a copy; by the level unless given.")
_VIEW = typer.Option("--view/--no-view", help="Show the text, copies coloured; on a terminal unless given.")


def novelty(
    files: Annotated[list[str], _FILES],
    index: Annotated[str, _INDEX],
    least: Annotated[int | None, _LEAST] = None,
    view: Annotated[bool | None, _VIEW] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, with the match at every position.")
    ] = False,
) -> None:
    """Tell what of a text or tune stands in a corpus, and where.

    For every position the longest match is found that the training part holds; notes are compared by their
    intervals, in any key. The index gets a suffix array if it has none.

    Example: seqgen novelty sample.txt --index pydoc.index
    """
    from seqgen.data.indexing import ensure_index
    from seqgen.kernels.jit import telling_of_compilation
    from seqgen.sampling.novelty import LEAST, open_originals

    if as_json and view:
        raise ConfigError("--view shows nothing in --json; leave one out")
    with telling_of_compilation(lambda: notice("compiling the search (first run on this machine)")):
        searched = ensure_index([index], _default_config(), notify=notice)
        if not searched.counts("train")["tokens"]:
            raise CorpusError(f"{index}: its training part is empty; there is nothing to compare with")
        examined = _index_of(files, searched)
        originals = open_originals(searched, notify=notice)
        found = originals.compare(examined.tokens("test"), examined.documents("test"))
    least = least or LEAST[searched.tokenizer.level]
    if as_json:
        _print_json(found, originals, examined, least)
        return
    if view or (view is None and sys.stdout.isatty()):
        _show(found, examined, least)
    _print_summary(found, originals, examined, least)


def _default_config() -> Any:
    from seqgen.config import build_config

    return build_config({}, source="options")


def _index_of(files: list[str], searched: "TokenIndex") -> "TokenIndex":
    """Encode all of some files with the vocabulary of an index, as it reads documents."""
    from seqgen.config import build_config
    from seqgen.data.index import is_index
    from seqgen.data.indexing import ensure_index

    for name in files:
        if is_index(Path(name)):
            raise ConfigError(f"{name}: an index; name the text or the tunes it was made from")
    values = {
        "corpus": {"documents": searched.config["corpus"]["documents"]},
        "index": {"split": [0.0, 0.0, 100.0]},
    }
    config = build_config(values, source="options")
    return ensure_index(files, config, tokenizer=searched.tokenizer, notify=notice)


def _longest(
    found: "Novelty", originals: "Originals", examined: "TokenIndex", least: int
) -> list[dict[str, Any]]:
    """Describe the longest copies as plain values."""
    copies = found.longest(_SHOWN, least=least)
    places = originals.locate([copy.source for copy in copies])
    return [
        {
            "start": copy.start,
            "length": copy.length,
            "text": _content(found, examined, copy.start, copy.length),
            **place._asdict(),
        }
        for copy, place in zip(copies, places, strict=True)
    ]


def _content(found: "Novelty", examined: "TokenIndex", start: int, length: int) -> str:
    """Return a stretch as text, or the tokens of notes."""
    import numpy as np

    places = np.unique(found.places[start : start + length])  # a merged token may hold several notes
    ids = examined.tokens("test")[places].tolist()
    if examined.tokenizer.modality == "music":
        return " ".join(_note_name(examined.tokenizer.tokens[i]) for i in ids)
    return str(examined.tokenizer.decode(ids))


def _note_name(token: str) -> str:
    return token.removeprefix("Pitch_")


def _shares(found: "Novelty", least: int) -> dict[int, float]:
    return {length: round(found.share(length), 5) for length in (least, 2 * least, 4 * least)}


def _print_json(found: "Novelty", originals: "Originals", examined: "TokenIndex", least: int) -> None:
    import json

    from seqgen.sampling.novelty import UNITS

    documents, offsets = originals.coordinates(found.sources)
    record = {
        "unit": UNITS[examined.tokenizer.level],
        "positions": len(found.lengths),
        "least": least,
        "share_copied": _shares(found, least),
        "longest": _longest(found, originals, examined, least),
        "matches": {
            "token": found.places.tolist(),
            "length": found.lengths.tolist(),
            "document": (documents + 1).tolist(),
            "offset": offsets.tolist(),
        },
    }
    print(json.dumps(record, ensure_ascii=False))


def _print_summary(found: "Novelty", originals: "Originals", examined: "TokenIndex", least: int) -> None:
    from seqgen.sampling.novelty import UNITS

    unit = UNITS[examined.tokenizer.level]
    print(
        f"{len(found.lengths):,} {unit}, compared with {originals.index.counts('train')['tokens']:,} tokens"
    )
    longest = int(found.lengths.max()) if len(found.lengths) else 0
    print(f"longest match   {longest:,} {unit}")
    for length, share in _shares(found, least).items():
        print(f"in copies ≥ {length:<4}{share:.1%}")
    for copy in _longest(found, originals, examined, least):
        print(f"{copy['length']:>6,} at {copy['start']:>9,}  {_where(copy)}: {_shortened(copy['text'])}")


def _where(copy: dict[str, Any]) -> str:
    if copy["title"]:
        return f"{copy['title']} (document {copy['document']:,})"
    return f"document {copy['document']:,}, line {copy['line']:,}"


def _shortened(text: str) -> str:
    text = text.replace("\n", "⏎")
    return text if len(text) <= _TEXT_WIDTH else f"{text[: _TEXT_WIDTH - 1]}…"


def _show(found: "Novelty", examined: "TokenIndex", least: int) -> None:
    """Print what was examined, copies in colour."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for runs in _runs(found, examined, least):
        console.print(Text.assemble(*((content, _STYLES[grade]) for content, grade in runs)))
    console.print()


def _runs(found: "Novelty", examined: "TokenIndex", least: int) -> "Iterator[list[tuple[str, int]]]":
    """Yield the contents of every document in pieces, each with how much of a copy it is, 0 to 3."""
    from itertools import groupby, pairwise
    from operator import itemgetter

    import numpy as np

    tokens = examined.tokens("test")
    grades = np.searchsorted([least, 2 * least, 4 * least], found.cover(least), side="right")
    edges = np.searchsorted(found.places, examined.documents("test"))
    for first, last in pairwise(edges.tolist()):
        places = found.places[first:last]
        once = np.diff(places, prepend=-1) > 0  # a merged token may hold several notes
        shown = _shown(examined.tokenizer, tokens[places[once]].tolist())
        graded = zip(shown, grades[first:last][once].tolist(), strict=True)
        yield [
            ("".join(content for content, _ in run), grade)
            for grade, run in groupby(graded, key=itemgetter(1))
        ]


def _shown(tokenizer: "Tokenizer", ids: list[int]) -> list[str]:
    """Return what each token adds to the text; notes are named."""
    from seqgen.data.tokenizers import texts_of

    if tokenizer.modality == "music":
        return [f"{_note_name(tokenizer.tokens[i])} " for i in ids]
    return texts_of(tokenizer, ids)

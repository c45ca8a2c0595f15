"""`seqgen vocab`: from a corpus to a vocabulary."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice, show_table
from seqgen.cli.options import (
    Column,
    Documents,
    Encoding,
    Grid,
    Keeping,
    LeavingOut,
    Lowercase,
    MaxSize,
    Merges,
    MinCount,
    Names,
    Normalize,
    Notes,
    OnError,
    Parts,
    Split,
    Stretch,
    Subword,
    Transpose,
    file_to_write,
    given_values,
    parse_kept,
    parse_shares,
)

if TYPE_CHECKING:
    from seqgen.data.indexing import VocabSummary

_OUTPUT = typer.Option("--output", "-o", callback=file_to_write, help="The JSON file to write.")
_RAREST = 8


def vocab(
    corpus: Names,
    output: Annotated[Path, _OUTPUT],
    level: Annotated[str, typer.Option(help="auto, char, byte, word, subword or note.")] = "auto",
    min_count: MinCount = None,
    max_size: MaxSize = None,
    lowercase: Lowercase = None,
    normalize: Normalize = None,
    subword: Subword = None,
    notes: Notes = None,
    grid: Grid = None,
    keeping: Keeping = None,
    leaving_out: LeavingOut = None,
    merges: Merges = None,
    split: Split = None,
    documents: Documents = None,
    column: Column = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    transpose: Transpose = None,
    stretch: Stretch = None,
    parts: Parts = None,
) -> None:
    """Make the vocabulary of a corpus, counted in its training part.

    Example: seqgen vocab book.txt --level word --min-count 2 -o book.json
    """
    from seqgen.config import build_config
    from seqgen.data.indexing import build_vocab

    values = given_values(
        vocab__level=level,
        vocab__min_count=min_count,
        vocab__max_size=max_size,
        vocab__lowercase=lowercase,
        vocab__normalize=normalize,
        vocab__subword=subword,
        vocab__notes=notes,
        vocab__grid=grid,
        **parse_kept(keeping, leaving_out),
        vocab__merges=merges,
        index__split=parse_shares(split),
        corpus__documents=documents,
        corpus__column=column,
        corpus__encoding=encoding,
        corpus__on_error=on_error,
        corpus__transpose=transpose,
        corpus__stretch=stretch,
        corpus__parts=parts,
    )
    summary = build_vocab(corpus, build_config(values, source="options"), notify=notice)
    summary.tokenizer.save(output)
    _show(summary, output)


def _show(summary: "VocabSummary", output: Path) -> None:
    from seqgen.data.vocab import UNK

    tokenizer = summary.tokenizer
    parts = [
        (
            part,
            f"{counts['documents']:,}",
            f"{counts['tokens']:,}",
            f"{counts['unknown']:,}",
            f"{1 - counts['unknown'] / counts['tokens']:.2%}" if counts["tokens"] else "-",
        )
        for part, counts in summary.counts.items()
    ]
    show_table(parts, headings=("part", "documents", "tokens", "unknown", "coverage"))
    ranked = sorted(zip(tokenizer.counts, tokenizer.tokens, strict=True), key=lambda pair: pair[0])
    kept = [(count, token) for count, token in ranked if count and token != UNK]
    rarest = ", ".join(f"{token!r} {count:,}" for count, token in kept[:_RAREST])
    notice(f"rarest kept: {rarest}")
    divided = {"given": "in parts of its own", "hash": "divided by content", "position": "cut by position"}
    notice(
        f"{output}: {tokenizer.level} level, {len(tokenizer.tokens):,} tokens, "
        f"from {summary.documents:,} document{'s' * (summary.documents > 1)} {divided[summary.how]}"
    )

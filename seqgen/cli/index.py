"""`seqgen index`: from a corpus and a vocabulary to a token index."""

from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli.console import notice, show_table
from seqgen.cli.options import Column, Documents, Encoding, Names, OnError, Split, given_values, parse_shares


def index(
    corpus: Names,
    vocab: Annotated[Path, typer.Option(help="The vocabulary, as `seqgen vocab` writes it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The index directory to write.")],
    split: Split = None,
    documents: Documents = None,
    column: Column = None,
    encoding: Encoding = None,
    on_error: OnError = None,
) -> None:
    """Write a corpus as token ids that training maps into memory.

    Example: seqgen index book.txt --vocab book.json -o book.index
    """
    from seqgen.config import build_config
    from seqgen.data.indexing import ensure_index
    from seqgen.data.tokenizers import load_tokenizer

    values = given_values(
        index__split=parse_shares(split),
        corpus__documents=documents,
        corpus__column=column,
        corpus__encoding=encoding,
        corpus__on_error=on_error,
    )
    config = build_config(values, source="options")
    found = ensure_index(corpus, config, tokenizer=load_tokenizer(vocab), path=output, notify=notice)
    counts = {part: found.counts(part) for part in ("train", "valid", "test")}
    rows = [
        (part, f"{of['documents']:,}", f"{of['tokens']:,}", f"{of['unknown']:,}")
        for part, of in counts.items()
    ]
    show_table(rows, headings=("part", "documents", "tokens", "unknown"))
    size = sum(file.stat().st_size for file in found.path.glob("*.ids"))
    notice(f"{output}: {size / 1e6:,.1f} MB of {found.dtype.name} ids")

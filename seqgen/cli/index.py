"""`seqgen index`: from a corpus and a vocabulary to a token index."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice, show_table
from seqgen.cli.flags import naming_flags
from seqgen.cli.options import (
    Column,
    Documents,
    Encoding,
    Names,
    OnError,
    Parts,
    Split,
    Stretch,
    Transpose,
    folder_to_write,
    given_values,
    parse_shares,
    refuse_foreign_options,
)

if TYPE_CHECKING:
    from seqgen.data.index import TokenIndex


def index(
    called: typer.Context,
    corpus: Names,
    vocab: Annotated[Path | None, typer.Option(help="The vocabulary, as `seqgen vocab` writes it.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=folder_to_write, help="The index directory to write."),
    ] = None,
    split: Split = None,
    documents: Documents = None,
    column: Column = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    transpose: Transpose = None,
    stretch: Stretch = None,
    parts: Parts = None,
    suffixes: Annotated[
        bool, typer.Option("--suffixes", help="Add a suffix array, also to an index made before.")
    ] = False,
) -> None:
    """Write a corpus as token ids that training maps into memory.

    With --suffixes any stretch of its training part is found at once, as `seqgen novelty` and
    `seqgen evaluate --ngram` do; it takes 4 bytes a token. An index that exists gets one without --vocab and
    -o: seqgen index book.index --suffixes

    Example: seqgen index book.txt --vocab book.json -o book.index
    """
    from seqgen.config import build_config
    from seqgen.data.index import TokenIndex, is_index
    from seqgen.data.indexing import ensure_index
    from seqgen.data.tokenizers import load_tokenizer

    if suffixes and len(corpus) == 1 and is_index(Path(corpus[0])):
        _add_suffixes(TokenIndex.open(Path(corpus[0])))
        return
    if vocab is None or output is None:
        raise typer.BadParameter("--vocab and -o are needed to make an index")
    values = given_values(
        index__split=parse_shares(split),
        corpus__documents=documents,
        corpus__column=column,
        corpus__encoding=encoding,
        corpus__on_error=on_error,
        corpus__transpose=transpose,
        corpus__stretch=stretch,
        corpus__parts=parts,
    )
    config, tokenizer = build_config(values, source="options"), load_tokenizer(vocab)
    with naming_flags(called):
        refuse_foreign_options(values, tokenizer.modality)
    found = ensure_index(corpus, config, tokenizer=tokenizer, path=output, notify=notice)
    counts = {part: found.counts(part) for part in ("train", "valid", "test")}
    rows = [
        (part, f"{of['documents']:,}", f"{of['tokens']:,}", f"{of['unknown']:,}")
        for part, of in counts.items()
    ]
    show_table(rows, headings=("part", "documents", "tokens", "unknown"))
    size = sum(file.stat().st_size for file in found.path.glob("*.ids"))
    notice(f"{output}: {size / 1e6:,.1f} MB of {found.dtype.name} ids")
    if suffixes:
        _add_suffixes(found)


def _add_suffixes(index: "TokenIndex") -> None:
    from seqgen.data.suffixes import ensure_suffixes

    array = ensure_suffixes(index, notify=notice)
    notice(f"{index.path}: {array.order.nbytes / 1e6:,.1f} MB of suffixes")

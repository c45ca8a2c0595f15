"""The options of `seqgen sample` that look things up in a corpus."""

from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.cli.own_corpus import own_index
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.sampling.lookups import Lookups

MaxCopy = Annotated[
    int | None, typer.Option(metavar="N", help="Copy no more than N tokens in a row from the corpus.")
]
MixNgram = Annotated[
    float | None,
    typer.Option(metavar="W", help="Give an n-gram model of the corpus this share of each prediction."),
]
Index = Annotated[
    str | None,
    typer.Option(
        help="What --max-copy and --mix-ngram search: an index, files or a name; else the model's own corpus."
    ),
]


def look_up(
    artifact: "Artifact", index: str | None, max_copy: int | None, mix_ngram: float | None
) -> "Lookups":
    """Open what the options ask for; for errors see `own_index`."""
    from seqgen.sampling.lookups import NO_LOOKUPS, check_lookups, open_lookups

    check_lookups(max_copy, mix_ngram)
    if max_copy is None and mix_ngram is None:
        if index is not None:
            raise ConfigError(f"--index {index}: what for? give --max-copy or --mix-ngram too")
        return NO_LOOKUPS
    from seqgen.data.indexing import ensure_index
    from seqgen.kernels.jit import telling_of_compilation

    if index is None:
        searched = own_index(artifact, otherwise="name one with --index")
    else:
        searched = ensure_index([index], artifact.config, tokenizer=artifact.tokenizer, notify=notice)
    with telling_of_compilation(lambda: notice("compiling the search (first run on this machine)")):
        return open_lookups(searched, max_copy=max_copy, mix_ngram=mix_ngram, notify=notice)

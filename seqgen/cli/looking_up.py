"""The options of `seqgen sample` that look things up in a corpus."""

from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.cli.ngram import AUTO, parse_share
from seqgen.cli.own_corpus import own_index
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.sampling.lookups import Lookups

MaxCopy = Annotated[
    int | None, typer.Option(metavar="N", help="Copy no more than N tokens in a row from the corpus.")
]
MixNgram = Annotated[
    str | None,
    typer.Option(
        metavar="W",
        help="Give an n-gram model of the corpus this share of each prediction; auto: as suits validation.",
    ),
]
Index = Annotated[
    str | None,
    typer.Option(
        help="What --max-copy and --mix-ngram search: an index, files or a name; else the model's own corpus."
    ),
]


def look_up(
    artifact: "Artifact", exact: bool, index: str | None, max_copy: int | None, mix_ngram: str | None
) -> "Lookups":
    """Open what the options ask for; for errors see `own_index`."""
    from seqgen.sampling.lookups import NO_LOOKUPS, open_lookups

    if max_copy is not None and max_copy < 1:
        raise ConfigError(f"--max-copy {max_copy}: at least 1 token")
    share = None if mix_ngram == AUTO else parse_share(mix_ngram)
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
        if mix_ngram == AUTO:
            share = _suited_share(artifact, exact, searched)
        return open_lookups(searched, max_copy=max_copy, mix_ngram=share, notify=notice)


def _suited_share(artifact: "Artifact", exact: bool, searched: "TokenIndex") -> float:
    """Choose the share by what the network makes of validation text, and tell it."""
    from seqgen.sampling.engine import Sampler
    from seqgen.sampling.lookups import suited_share

    sampler = Sampler(artifact, exact=exact)
    share = suited_share(searched, lambda tokens: sampler.read(tokens)[0], notify=notice)
    notice(f"--mix-ngram {AUTO}: {share:g}, the best for validation text")
    return share

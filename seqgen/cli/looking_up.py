"""The options of `seqgen sample` that look things up in a corpus."""

from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.errors import ArtifactError, ConfigError

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
    typer.Option(help="The corpus of these two: an index, files or a name; else what the model learnt from."),
]


def look_up(
    artifact: "Artifact", index: str | None, max_copy: int | None, mix_ngram: float | None
) -> "Lookups":
    """Open what the options ask for.

    Raises:
        ArtifactError: If no index is named, and the corpus of the model is another one than it was.
    """
    from seqgen.data.indexing import ensure_index
    from seqgen.kernels.jit import telling_of_compilation
    from seqgen.sampling.lookups import NO_LOOKUPS, check_lookups, open_lookups

    check_lookups(max_copy, mix_ngram)
    if max_copy is None and mix_ngram is None:
        if index is not None:
            raise ConfigError(f"--index {index}: what for? give --max-copy or --mix-ngram too")
        return NO_LOOKUPS
    corpus = [index] if index is not None else artifact.source["corpus"]
    searched = ensure_index(corpus, artifact.config, tokenizer=artifact.tokenizer, notify=notice)
    if index is None and searched.corpus_hash != artifact.source["corpus_hash"]:
        raise ArtifactError(
            f"{artifact.path}: its corpus {' '.join(corpus)} has changed since; name one with --index"
        )
    with telling_of_compilation(lambda: notice("compiling the search (first run on this machine)")):
        return open_lookups(searched, max_copy=max_copy, mix_ngram=mix_ngram, notify=notice)

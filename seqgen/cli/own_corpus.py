"""The corpus that a model was trained on, for commands that read it again."""

from typing import TYPE_CHECKING

from seqgen.cli.console import notice
from seqgen.errors import ArtifactError, CorpusError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex


def own_index(artifact: "Artifact", *, otherwise: str) -> "TokenIndex":
    """Return the index of the corpus that a model was trained on.

    Args:
        artifact: The model.
        otherwise: What to do without that corpus, for messages.

    Raises:
        ArtifactError: If it is not to be found from here, or is another one than it was.
    """
    from seqgen.data.indexing import ensure_index

    names = artifact.source["corpus"]
    try:
        index = ensure_index(names, artifact.config, tokenizer=artifact.tokenizer, notify=notice)
    except CorpusError as error:
        raise ArtifactError(
            f"{artifact.path}: its own corpus cannot be read from here ({error}); "
            f"go where it lies, or {otherwise}"
        ) from error
    if index.corpus_hash != artifact.source["corpus_hash"]:
        raise ArtifactError(f"{artifact.path}: its corpus {' '.join(names)} has changed since; {otherwise}")
    return index

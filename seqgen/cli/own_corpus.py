"""The corpus that a model was trained on, for commands that read it again."""

from typing import TYPE_CHECKING, Any

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

    names = own_files(artifact, otherwise=otherwise)["corpus"]
    try:
        index = ensure_index(names, artifact.config, tokenizer=artifact.tokenizer, notify=notice)
    except CorpusError as error:
        raise ArtifactError(
            f"{artifact.path}: its own corpus cannot be read from here ({error}); "
            f"go where it lies, or {otherwise}"
        ) from error
    check_unchanged(artifact, index.corpus_hash, otherwise=otherwise)
    return index


def own_files(artifact: "Artifact", *, otherwise: str) -> dict[str, Any]:
    """Return what a model was trained on by its `corpus`, `valid` and `test`; empty lists if not apart.

    Raises:
        ArtifactError: If the model does not say, as one that was made by a program of one's own may not.
    """
    if "corpus" not in artifact.source:
        raise ArtifactError(f"{artifact.path}: does not say what it was trained on; {otherwise}")
    return {"valid": [], "test": [], **artifact.source}


def check_unchanged(artifact: "Artifact", corpus_hash: str, *, otherwise: str) -> None:
    """Refuse a corpus whose hash is not that of the corpus a model was trained on.

    Raises:
        ArtifactError: If it differs.
    """
    expected = artifact.source.get("corpus_hash")
    names = " ".join(artifact.source["corpus"])
    if expected is None:
        notice(f"{artifact.path}: does not say whether its corpus {names} is as it was")
    elif corpus_hash != expected:
        raise ArtifactError(f"{artifact.path}: its corpus {names} has changed since; {otherwise}")

"""How the vectors of tokens lie: nearest ones by cosine, and a flat map of many. Needs no torch."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ArtifactError, TokenError

Floats = NDArray[np.float64]
SPECIAL = 2
"""<eos> and <unk> come first in a vocabulary and are nobody's neighbours."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_WORD_STARTS = ("", " ", "▁")


def learned_vectors(artifact: Artifact) -> Floats:
    """Return the embedding of a model, (V, E); of one that translates, that of its sources.

    Raises:
        ArtifactError: If it is one-hot, where all tokens are equally far apart.
    """
    weights = artifact.weights()
    found = [weights[name] for name in ("embedding.weight", "source_embedding.weight") if name in weights]
    if not found:
        raise ArtifactError(
            f"{artifact.path}: its tokens are one-hot, so none is near another; train learned ones"
        )
    return found[0].astype(np.float64)


def find_token(tokenizer: Tokenizer, word: str) -> int:
    """Return the id of a token; the space or the mark before a word need not be written.

    Of a word that is a token with and without it, that is the one with the lower id, the more frequent one.

    Raises:
        TokenError: If there is no such token; similar ones are named.
    """
    from difflib import get_close_matches

    if not word:
        raise TokenError("WORD is empty; name a token of the model")
    names = list(tokenizer.tokens)
    for form in (word, word.lower()):
        if found := [names.index(start + form) for start in _WORD_STARTS if start + form in names]:
            return min(found)
    near = get_close_matches(word, {name.lstrip("".join(_WORD_STARTS)) for name in names}, n=3)
    hint = f"; near: {', '.join(near)}" if near else f", which has {tokenizer.level} tokens"
    raise TokenError(f"{word!r} is no token of this model{hint}")


def most_frequent(names: Sequence[str], count: int) -> list[int]:
    """Return the ids of the most frequent tokens of a vocabulary, which are its first ones but special ones.

    Before the pieces of a subword vocabulary stand all bytes, however rare: they are left out.

    Args:
        names: Of all tokens, (V,).
        count: How many at most.
    """
    spelled = [token for token in range(SPECIAL, len(names)) if not _BYTE.fullmatch(names[token])]
    return (spelled or list(range(SPECIAL, len(names))))[:count]


def nearest(vectors: Floats, token: int, count: int) -> list[tuple[int, float]]:
    """Return the tokens nearest to one and their cosines, nearest first.

    Args:
        vectors: (V, E).
        token: Its id.
        count: How many at most.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors[token] / np.maximum(lengths * lengths[token], 1e-30)
    cosines[[*range(SPECIAL), token]] = -np.inf
    order = np.argsort(-cosines, kind="stable")[:count]
    return [(int(other), float(cosines[other])) for other in order if np.isfinite(cosines[other])]


def flat_map(vectors: Floats) -> tuple[Floats, float]:
    """Project vectors on their first two principal components (PCA).

    Returns:
        (N, 2), and the share of the variance that they show.
    """
    centred = vectors - vectors.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    shown = min(2, len(lengths))
    points[:, :shown] = left[:, :shown] * lengths[:shown]
    return points, float((lengths[:shown] ** 2).sum() / max((lengths**2).sum(), 1e-30))

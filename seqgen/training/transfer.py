"""Starting from a trained language model: its vocabulary made larger, its weights taken over.

Words of the new texts that the model never saw get a vector of their own, which begins as that of the same
word in another case, else as the mean of all vectors (Howard and Ruder 2018). Characters and subwords stay
the model's own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seqgen.artifacts import Artifact
from seqgen.config import build_config, merge, to_plain
from seqgen.data.tokenizers import Tokenizer, make_tokenizer, prepare
from seqgen.data.words import WordTokenizer, cut_words
from seqgen.errors import ConfigError
from seqgen.networks.heads import choose_cutoffs

Arrays = Mapping[str, NDArray[np.float32]]

_STRUCTURE = (
    "cell",
    "layers",
    "hidden_size",
    "embedding_size",
    "embedding",
    "context",
    "tied",
    "softmax",
    "mogrifier",
    "mogrifier_rank",
    "layer_norm",
)
"""What of a model's configuration its weights decide."""
_VECTORS = ("embedding_size", "embedding")


def model_settings(
    artifact: Artifact, chosen: Mapping[str, Any], *, vectors_only: bool = False
) -> dict[str, Any]:
    """Return the `model` settings of a training that starts from a language model.

    Args:
        artifact: The language model.
        chosen: The `model` settings that the user gave.
        vectors_only: Whether only its embedding is taken.

    Raises:
        ConfigError: If one of them contradicts the weights.
    """
    own = to_plain(artifact.config)["model"]
    if own["softmax"] == "adaptive":
        own["cutoffs"] = list(_cutoffs(artifact))  # which a larger vocabulary would move
    wanted = to_plain(build_config({"model": dict(chosen)}))["model"]
    decided = _VECTORS if vectors_only else _STRUCTURE
    for key in decided:
        if key in chosen and wanted[key] != own[key]:
            raise ConfigError(
                f"model.{key} = {wanted[key]}: the weights of {artifact.path} are of {own[key]}; leave it out"
            )
    return merge({key: own[key] for key in decided} if vectors_only else own, chosen)


def word_counts(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """Count the words of texts as a tokenizer cuts them; nothing where it is not one of words."""
    counts: Counter[str] = Counter()
    if isinstance(tokenizer, WordTokenizer):
        for text in texts:
            counts.update(cut_words(prepare(text, tokenizer.vocab.options), tokenizer.scheme))
    return counts


def extended_tokenizer(base: Tokenizer, counts: Mapping[str, int], *, min_count: int) -> Tokenizer:
    """Return a tokenizer that knows more words, after all those it knew.

    Args:
        base: The tokenizer of a language model.
        counts: How often words occur, as it cuts them.
        min_count: How often a word must occur to be added.
    """
    if not isinstance(base, WordTokenizer):
        return base
    known = set(base.tokens)
    added = sorted(
        (word for word, count in counts.items() if count >= min_count and word not in known),
        key=lambda word: (-counts[word], word),
    )
    if not added:
        return base
    more = tuple(counts[word] for word in added) if base.counts else ()
    return make_tokenizer(replace(base.vocab, tokens=(*base.tokens, *added), counts=(*base.counts, *more)))


def rows_of(new: Tokenizer, old: Tokenizer) -> NDArray[np.int64]:
    """Return for each token of a vocabulary the row of the old one it starts from, or -1 for the mean."""
    known = {token: row for row, token in enumerate(old.tokens)}
    if old.unk_id is not None and old.counts and not old.counts[old.unk_id]:
        known[old.tokens[old.unk_id]] = -1  # nothing was ever unknown to the model, so its vector is noise

    def find(token: str) -> int:
        variants = (token, token.lower(), token.title(), token.upper())
        return next((known[variant] for variant in variants if variant in known), -1)

    return np.array([find(token) for token in new.tokens], dtype=np.int64)


def rows_taken(array: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the rows of an array, (V_new, ...) from (V_old, ...); -1 takes their mean."""
    taken = array[rows]
    taken[rows < 0] = array.mean(axis=0)
    return taken


def take_over(model: nn.Module, weights: Arrays, *, prefix: str = "") -> list[str]:
    """Copy weights into the parameters of the same names; return the names of those.

    Args:
        model: What starts with them.
        weights: By name.
        prefix: What the model's names have in front.
    """
    taken = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            array = weights.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
            if array is not None:
                parameter.copy_(torch.from_numpy(array))
                taken.append(name)
    return taken


def language_weights(artifact: Artifact, tokenizer: Tokenizer) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a language model for an extended vocabulary.

    An adaptive softmax counts new words among those of its last cluster.

    Raises:
        ConfigError: If its tokens are one-hot.
    """
    weights = artifact.weights()
    if tokenizer.content_hash == artifact.tokenizer.content_hash:
        return weights
    model = artifact.config.model
    if model.embedding == "one-hot":
        raise ConfigError(
            f"{artifact.path}: one-hot tokens allow no new words; start from a model with learned tokens"
        )
    rows = rows_of(tokenizer, artifact.tokenizer)
    by_name = dict.fromkeys(("embedding.weight", "head.weight", "head.bias"), rows)
    if model.softmax == "adaptive":
        cutoffs = _cutoffs(artifact)
        last = np.maximum(rows[cutoffs[-1] :] - cutoffs[-1], -1)
        by_name |= dict.fromkeys(
            (f"head.tails.{len(cutoffs) - 1}.softmax.{part}" for part in ("weight", "bias")), last
        )
    return {
        name: rows_taken(array, by_name[name]) if name in by_name else array
        for name, array in weights.items()
    }


def _cutoffs(artifact: Artifact) -> tuple[int, ...]:
    return choose_cutoffs(len(artifact.tokenizer.tokens), artifact.config.model.cutoffs)

"""The unbounded n-gram model beside a network: its own score, and a mixture of both.

p(w) = (1 - W) · p_network(w) + W · p_ngram(w)
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from seqgen.data.index import TokenIndex
from seqgen.data.ngrams import NgramModel
from seqgen.evaluation.losses import Losses


def ngram_probabilities(
    model: NgramModel, own: TokenIndex, scored: TokenIndex, part: str
) -> NDArray[np.float64]:
    """Return what an n-gram model gives every token of a part, its weights fitted on held-out text.

    That is the validation part of its own index; where that is scored itself, each half of it is scored with
    the weights fitted on the other.

    Args:
        model: With the suffixes of `own`.
        own: The index whose training part the model counts.
        scored: The index to score, in the same vocabulary.
        part: Of `scored`.
    """
    tokens, documents = scored.tokens(part), scored.documents(part)
    if part == "valid" and scored.path == own.path:
        return model.cross_fitted(tokens, documents)
    if own.counts("valid")["tokens"]:
        model = model.fitted(own.tokens("valid"), own.documents("valid"))
    return model.probabilities(tokens, documents)


def ngram_losses(probabilities: NDArray[np.float64]) -> Iterator[Losses]:
    """Yield the losses of a whole stream at once."""
    yield np.arange(len(probabilities)), -np.log(probabilities).astype(np.float32)


def mixed(losses: Iterable[Losses], probabilities: NDArray[np.float64], share: float) -> Iterator[Losses]:
    """Yield the losses of a network with an n-gram model mixed in.

    Args:
        losses: Of the network.
        probabilities: What the n-gram model gives every token of the stream, (N,).
        share: W, from 0 to 1.
    """
    with np.errstate(divide="ignore"):
        network_log, ngram_log = np.log1p(-share), np.log(share)
    for positions, values in losses:
        ngram = ngram_log + np.log(probabilities[positions])
        log_probs = np.logaddexp(network_log - values.astype(np.float64), ngram)
        yield positions, (-log_probs).astype(np.float32)

"""Output layers: from features to the loss of the next token. All have one interface, `Head`.

A task builds one with `make_head` and never asks which it is.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.loss import linear_cross_entropy, linear_losses
from seqgen.kernels.workspace import Workspace
from seqgen.networks.embeddings import OneHot

IGNORED = -1
_TIED_BOUND = 0.1
"""Of the initial weights that are both embedding and output (Merity et al. 2018)."""
_SHARES = (16, 4)
"""An adaptive softmax is cut where 1/16 and 1/4 of the vocabulary end."""
_REDUCTION = 4
"""How many times smaller the features of each further tail are (Grave et al. 2017)."""


class Head(nn.Module):
    """An output layer over V tokens, which reads features (..., H) and targets (...)."""

    def mean_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        smoothing: float = 0.0,
        spread: Tensor | None = None,
        precision: torch.dtype,
    ) -> Tensor:
        """Return the mean cross-entropy in nats over the targets that are not IGNORED, differentiably.

        Label smoothing is in the gradient, not in the value: see `linear_cross_entropy`.
        """
        raise NotImplementedError

    def losses(self, features: Tensor, targets: Tensor, *, precision: torch.dtype) -> Tensor:
        """Return the cross-entropy of each target in nats, (...), 0 where IGNORED; not differentiable."""
        raise NotImplementedError

    def logits(self, features: Tensor) -> Tensor:
        """Return what the softmax over all tokens makes probabilities of, (..., V), in float32."""
        raise NotImplementedError

    def expect(self, counts: Tensor) -> None:
        """Set the biases so that features of 0 predict tokens as often as they were counted.

        What is left to learn is what the features tell (Meister et al. 2023, "A natural bias for language
        generation models"). An optimiser as steady as AdamW would otherwise need a thousand steps to learn
        that some words are rare.

        Args:
            counts: (V,); one more of each is assumed.
        """
        raise NotImplementedError


class FullSoftmax(Head):
    """One softmax over all tokens.

    Args:
        features: H.
        tokens: V.
        embedding: A matrix (V, H) to share with the embedding (Press and Wolf 2017; Inan et al. 2017).
        workspace: Memory to share.
    """

    def __init__(
        self,
        features: int,
        tokens: int,
        *,
        embedding: Tensor | None = None,
        workspace: Workspace | None = None,
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(features) if embedding is None else _TIED_BOUND
        self.weight = nn.Parameter(torch.empty(tokens, features)) if embedding is None else embedding
        self.bias = nn.Parameter(torch.zeros(tokens))
        self._workspace = workspace or Workspace()
        nn.init.uniform_(self.weight, -bound, bound)

    def mean_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        smoothing: float = 0.0,
        spread: Tensor | None = None,
        precision: torch.dtype,
        divisor: int | None = None,
    ) -> Tensor:
        """See `Head`; the sum is divided by `divisor` where it is given."""
        return linear_cross_entropy(
            features,
            self.weight,
            self.bias,
            targets,
            ignored=IGNORED,
            smoothing=smoothing,
            spread=spread,
            divisor=divisor,
            precision=precision,
            workspace=self._workspace,
        )

    def losses(self, features: Tensor, targets: Tensor, *, precision: torch.dtype) -> Tensor:
        """See `Head`."""
        return linear_losses(
            features,
            self.weight,
            self.bias,
            targets,
            ignored=IGNORED,
            precision=precision,
            workspace=self._workspace,
        )

    def logits(self, features: Tensor) -> Tensor:
        """See `Head`."""
        return functional.linear(features.float(), self.weight, self.bias)

    @torch.no_grad()
    def expect(self, counts: Tensor) -> None:
        """See `Head`."""
        shares = (counts + 1) / (counts + 1).sum()
        logits = shares.log()
        self.bias.copy_(logits - shares @ logits)  # near 0 where tokens are frequent


class Tail(nn.Module):
    """The softmax within one cluster of rare tokens, over features that are made smaller first."""

    def __init__(self, features: int, size: int, tokens: int, workspace: Workspace) -> None:
        super().__init__()
        bound = 1 / math.sqrt(features)
        self.projection = nn.Parameter(torch.empty(size, features).uniform_(-bound, bound))
        self.softmax = FullSoftmax(size, tokens, workspace=workspace)

    def project(self, features: Tensor, precision: torch.dtype) -> Tensor:
        """Make features smaller, (R, H) -> (R, size)."""
        return functional.linear(features.to(precision), self.projection.to(precision))

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits of the cluster's tokens."""
        return self.softmax.logits(self.project(features, torch.float32))


class AdaptiveSoftmax(Head):
    """Adaptive softmax (Grave et al. 2017): frequent tokens and clusters of rare ones first, then within one.

    As torch's AdaptiveLogSoftmaxWithLoss, with biases in all parts. Label smoothing applies within each part.

    Args:
        features: H.
        tokens: V; ids in the order of their frequency.
        cutoffs: Where the clusters begin, ascending, within 1 and V - 1.
    """

    def __init__(self, features: int, tokens: int, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        workspace = Workspace()
        self.cutoffs = (*cutoffs, tokens)
        self.short = FullSoftmax(features, cutoffs[0] + len(cutoffs), workspace=workspace)
        sizes = [max(1, features // _REDUCTION ** (number + 1)) for number in range(len(cutoffs))]
        self.tails = nn.ModuleList(
            Tail(features, size, stop - begin, workspace)
            for size, (begin, stop) in zip(sizes, pairwise(self.cutoffs), strict=True)
        )

    def mean_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        smoothing: float = 0.0,
        spread: Tensor | None = None,
        precision: torch.dtype,
    ) -> Tensor:
        """See `Head`; targets can only be spread evenly."""
        if spread is not None:
            raise ValueError("an adaptive softmax has no logits of all tokens to spread a target over")
        features, targets = features.flatten(0, -2), targets.flatten()
        divisor = max(1, int((targets != IGNORED).sum()))
        short, clusters = self._assign(targets)
        loss = self.short.mean_loss(
            features, short, smoothing=smoothing, precision=precision, divisor=divisor
        )
        for tail, rows, goals in clusters:
            # A tail that no target falls in is still asked, so that every step has all gradients.
            loss = loss + tail.softmax.mean_loss(
                tail.project(features[rows], precision),
                goals,
                smoothing=smoothing,
                precision=precision,
                divisor=divisor,
            )
        return loss

    def losses(self, features: Tensor, targets: Tensor, *, precision: torch.dtype) -> Tensor:
        """See `Head`."""
        rows_of_features, goals_of_rows = features.detach().flatten(0, -2), targets.flatten()
        short, clusters = self._assign(goals_of_rows)
        losses = self.short.losses(rows_of_features, short, precision=precision)
        for tail, rows, goals in clusters:
            with torch.no_grad():
                part = tail.project(rows_of_features[rows], precision)
            losses[rows] += tail.softmax.losses(part, goals, precision=precision)
        return losses.view(targets.shape)

    def logits(self, features: Tensor) -> Tensor:
        """See `Head`; the tokens of a cluster share its logit out among them."""
        short = self.short.logits(features)
        parts = [short[..., : self.cutoffs[0]]]
        for number, tail in enumerate(self.tails):
            within = cast(Tail, tail).logits(features)
            cluster = short[..., self.cutoffs[0] + number, None]
            parts.append(cluster + within.log_softmax(dim=-1))
        return torch.cat(parts, dim=-1)  # -> (..., V)

    def expect(self, counts: Tensor) -> None:
        """See `Head`."""
        frequent, *clusters = counts.tensor_split(self.cutoffs[:-1])
        self.short.expect(torch.cat([frequent, torch.stack([cluster.sum() for cluster in clusters])]))
        for tail, cluster in zip(self.tails, clusters, strict=True):
            cast(Tail, tail).softmax.expect(cluster)

    def _assign(self, targets: Tensor) -> tuple[Tensor, Iterator[tuple[Tail, Tensor, Tensor]]]:
        """Return the targets of the first softmax, and of each tail its rows and their targets."""
        bounds = torch.tensor(self.cutoffs[:-1], device=targets.device)
        cluster = torch.bucketize(targets, bounds, right=True)  # 0 is the shortlist
        short = torch.where(cluster > 0, self.cutoffs[0] + cluster - 1, targets)

        def clusters() -> Iterator[tuple[Tail, Tensor, Tensor]]:
            for number, tail in enumerate(self.tails):
                rows = (cluster == number + 1).nonzero().squeeze(1)
                yield tail, rows, targets[rows] - self.cutoffs[number]  # type: ignore[misc]

        return short, clusters()


def make_head(config: ModelConfig, features: int, embedding: nn.Embedding | OneHot) -> Head:
    """Build the output layer that a configuration asks for.

    Args:
        config: Says which.
        features: H, of what the encoder returns.
        embedding: Of V tokens; its vectors have H numbers where they are shared.

    Raises:
        ConfigError: If the configuration contradicts itself or the size of the vocabulary.
    """
    tokens = embedding.num_embeddings
    if config.softmax == "adaptive":
        if config.tied:
            raise ConfigError("model.tied shares one matrix, an adaptive softmax has several; set only one")
        return AdaptiveSoftmax(features, tokens, choose_cutoffs(tokens, config.cutoffs))
    if config.cutoffs:
        raise ConfigError("model.cutoffs is for model.softmax adaptive; set that, or leave the cutoffs out")
    return FullSoftmax(features, tokens, embedding=embedding.weight if config.tied else None)


def choose_cutoffs(tokens: int, given: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return where the clusters of an adaptive softmax begin.

    Raises:
        ConfigError: If the given ones do not ascend within the vocabulary, or it is too small to be cut.
    """
    cutoffs = given or tuple(tokens // share for share in _SHARES)
    if all(before < after for before, after in pairwise((0, *cutoffs, tokens))):
        return cutoffs
    if given:
        raise ConfigError(f"model.cutoffs {list(given)}: must ascend from 1 to at most {tokens - 1}")
    raise ConfigError(f"a vocabulary of {tokens} is too small for an adaptive softmax; use the full one")

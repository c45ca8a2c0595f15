"""Beam search: the likeliest targets of sources, side by side.

A target's score is its log-probability over the length penalty of Wu et al. (2016), ((5 + length) / 6)^alpha,
so that longer ones are not at a disadvantage where alpha is above 0.
"""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.networks.attention import Memory
from seqgen.networks.translation import Carry

END = 0
"""The token that begins and ends a target."""


class Found(NamedTuple):
    """A target.

    Attributes:
        tokens: Its ids, without END.
        log_prob: Of the tokens and END, natural logarithm.
        score: By which it is ranked.
        weights: How much each step looked at each position of the padded source, (tokens, S).
        complete: Whether it ended by itself, not at the limit.
    """

    tokens: list[int]
    log_prob: float
    score: float
    weights: NDArray[np.float32]
    complete: bool


class Decoder(Protocol):
    """What the search needs of a network; `seqgen.networks.translation.TranslationModel` is one."""

    def read(self, source: Tensor, lengths: Tensor) -> tuple[Memory, Carry]: ...  # noqa: D102
    def step(self, tokens: Tensor, memory: Memory, carry: Carry) -> tuple[Tensor, Tensor, Carry]: ...  # noqa: D102
    def log_probs(self, features: Tensor) -> Tensor: ...  # noqa: D102


@torch.inference_mode()
def beam_search(
    model: Decoder,
    source: Tensor,
    lengths: Tensor,
    *,
    width: int,
    length_penalty: float,
    limits: Tensor,
) -> list[list[Found]]:
    """Return up to `width` targets of each source, best first.

    Args:
        model: The network.
        source: (S, B), padded at the beginning.
        lengths: Of the sources, (B,).
        width: How many unfinished targets of a source are pursued; with 1 the search is greedy.
        length_penalty: alpha; 0 ranks by probability alone.
        limits: Most tokens of each target, (B,), at least 1.
    """
    beams = _Beams(model, source, lengths, width)
    done: list[list[Found]] = [[] for _ in lengths]
    for length in range(1, int(limits.max()) + 1):
        beams.advance()
        for row, number in enumerate(beams.sentences.tolist()):
            at_limit = length >= int(limits[number])
            if at_limit or beams.ended[row, :width].any():
                done[number] += beams.finished(row, length, length_penalty, at_limit=at_limit)
        going = [
            len(done[number]) < width and length < int(limits[number]) for number in beams.sentences.tolist()
        ]
        if not any(going):
            break
        beams.keep(torch.tensor(going))
    return [sorted(found, key=lambda one: (-one.complete, -one.score))[:width] for found in done]


class _Beams:
    """The unfinished targets of the sources that are not done: N sources, K targets each.

    `advance` makes 2 K candidates of them, best first, so that K are left if K end; `keep` picks those.

    Attributes:
        sentences: The numbers of the sources, (N,).
        ended: Which candidates have come to END, (N, 2 K) bool.
    """

    def __init__(self, model: Decoder, source: Tensor, lengths: Tensor, width: int) -> None:
        count = len(lengths)
        self.model, self.width = model, width
        self.sentences = torch.arange(count)
        rows = torch.arange(count, device=source.device).repeat_interleave(width)
        memory, carry = model.read(source, lengths)
        self.memory, self.carry = memory.rows(rows), carry.rows(rows)
        self.tokens = torch.full((count, width, 1), END, device=source.device)
        """(N, K, length + 1): those so far, END first."""
        self.weights = torch.zeros(count, width, 0, 0, device=source.device)
        self.log_probs = torch.full((count, width), -torch.inf, device=source.device)
        self.log_probs[:, 0] = 0.0  # all targets of a source are alike before the first step
        self.ended = torch.zeros(count, 2 * width, dtype=torch.bool)

    def advance(self) -> None:
        """Turn (N, K) targets to the (N, 2 K) best candidates that are one token longer."""
        features, weights, self.carry = self.model.step(
            self.tokens[:, :, -1].flatten(), self.memory, self.carry
        )
        log_probs = self.model.log_probs(features).view(*self.log_probs.shape, -1)  # (N·K, V) -> (N, K, V)
        total = (self.log_probs.unsqueeze(2) + log_probs).flatten(1)
        vocab = log_probs.shape[2]
        best = total.topk(2 * self.width, 1)
        self.log_probs, places = best
        self.parents, chosen = places // vocab, places % vocab
        sources = torch.arange(len(places), device=places.device).unsqueeze(1)
        self.tokens = torch.cat([self.tokens[sources, self.parents], chosen.unsqueeze(2)], 2)
        weights = weights.view(*log_probs.shape[:2], 1, weights.shape[1])  # (N·K, S) -> (N, K, 1, S)
        former = self.weights if self.weights.shape[2] else weights[:, :, :0]
        self.weights = torch.cat([former, weights], 2)[sources, self.parents]
        self.ended = chosen == END

    def finished(self, row: int, length: int, length_penalty: float, *, at_limit: bool) -> list[Found]:
        """Return those of the best K candidates of a source that are at END; at the limit all of them."""
        found = []
        penalty = ((5 + length) / 6) ** length_penalty
        for place in range(self.width):
            ended, log_prob = bool(self.ended[row, place]), float(self.log_probs[row, place])
            if (ended or at_limit) and log_prob > -torch.inf:
                tokens = self.tokens[row, place, 1:].tolist()[: length - ended]
                weights = self.weights[row, place, : len(tokens)].float().cpu().numpy()
                found.append(Found(tokens, log_prob, log_prob / penalty, weights, ended))
        return found

    def keep(self, going: Tensor) -> None:
        """Go on with the best K unfinished candidates of some of the sources, (N,) bool."""
        going = going.to(self.ended.device)
        places = self.ended[going].int().argsort(dim=1, stable=True)[:, : self.width]  # unfinished ones first
        sources = going.nonzero()  # (n, 1)
        parents = sources * self.width + self.parents[sources, places]
        self.log_probs = self.log_probs[sources, places].masked_fill(self.ended[sources, places], -torch.inf)
        self.tokens, self.weights = self.tokens[sources, places], self.weights[sources, places]
        rows = parents.flatten()
        self.memory, self.carry = self.memory.rows(rows), self.carry.rows(rows)
        self.sentences = self.sentences[going.cpu()]

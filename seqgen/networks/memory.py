"""Networks that answer at the end of a sequence, with tokens or with a number, whatever their encoder."""

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from seqgen.config import ModelConfig
from seqgen.networks.heads import FullSoftmax
from seqgen.networks.stepped import make_encoder
from seqgen.networks.tasks import LanguageModel


class TokenAnswers(LanguageModel):
    """A language model that is asked in the last steps alone."""

    def answer_loss(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of the answers, differentiably.

        Args:
            inputs: (T, B) token ids.
            answers: (A, B) token ids, the right ones after each of the last A steps.
        """
        return self.mean_loss(self._asked(inputs, len(answers)), answers)

    def are_right(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """Tell of each answer whether it is the most probable one, (A, B) bool."""
        head = cast(FullSoftmax, self.head)
        logits = self._asked(inputs, len(answers)) @ head.weight.t() + head.bias  # (A, B, H) -> (A, B, V)
        right: Tensor = logits.argmax(dim=2) == answers
        return right

    def _asked(self, inputs: Tensor, count: int) -> Tensor:
        resets = torch.zeros(inputs.shape, dtype=torch.bool)
        features, _ = self.forward(inputs, self.initial_state(inputs.shape[1]), resets)
        return features[-count:]


class NumberAnswers(nn.Module):
    """Reads vectors and answers with one number after the last.

    Args:
        config: Cell and sizes.
        size: Of the vectors.
        tolerance: How far from it an answer may be and be right.
    """

    def __init__(self, config: ModelConfig, *, size: int, tolerance: float) -> None:
        super().__init__()
        self.encoder = make_encoder(replace(config, embedding_size=size))
        bound = 1 / math.sqrt(self.encoder.output_size)
        self.weight = nn.Parameter(torch.empty(self.encoder.output_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(1))
        self.tolerance = tolerance

    def answer_loss(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """Return the mean square error, differentiably.

        Args:
            inputs: (T, B, size).
            answers: (1, B).
        """
        return (self._answers(inputs) - answers).square().mean()

    def are_right(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """Tell of each answer whether it is near enough, (1, B) bool."""
        return (self._answers(inputs) - answers).abs() <= self.tolerance

    def _answers(self, inputs: Tensor) -> Tensor:
        steps, rows, size = inputs.shape
        own = torch.arange(steps * rows).view(steps, rows)  # encoders look vectors up: each step its own
        resets = torch.zeros(steps, rows, dtype=torch.bool)
        state = self.encoder.initial_state(rows)
        features, _ = self.encoder(own, state, resets, embedding=inputs.reshape(-1, size))
        answers: Tensor = features[-1:].float() @ self.weight + self.bias  # (1, B, H) -> (1, B)
        return answers

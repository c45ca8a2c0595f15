"""What a network is trained to do. A task owns the embedding, an encoder and an output layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.networks.encoders import RecurrentEncoder, State

IGNORED = -1
LOGITS_AT_ONCE = 1 << 24
"""Most logits held at a time: with a large vocabulary the output layer runs in slices of the batch."""


class LanguageModel(nn.Module):
    """Predicts each token from those before it.

    Args:
        config: Cell and sizes.
        vocab_size: V.
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.encoder = RecurrentEncoder(
            config.cell,
            layers=config.layers,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            dropout=config.dropout,
        )
        self.head = nn.Linear(config.hidden_size, vocab_size)
        bound = 1 / math.sqrt(config.hidden_size)
        nn.init.uniform_(self.head.weight, -bound, bound)
        nn.init.zeros_(self.head.bias)

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first token, for B rows."""
        return self.encoder.initial_state(batch_size)

    def forward(
        self,
        inputs: Tensor,
        state: State,
        resets: Tensor,
        *,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> tuple[Tensor, State]:
        """Return features (T, B, H) and the state after T steps; arguments as the encoder's."""
        features, state = self.encoder(
            inputs, state, resets, embedding=self.embedding.weight, seed=seed, precision=precision
        )
        return features, state

    def losses(self, features: Tensor, targets: Tensor, *, precision: torch.dtype = torch.float32) -> Tensor:
        """Return the cross-entropy of each target in nats, (T, B); 0 where the target is IGNORED."""
        with torch.autocast(features.device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            logits = self.head(features.flatten(0, 1))  # (T, B, H) -> (T·B, V)
        losses = functional.cross_entropy(
            logits.float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return losses.view_as(targets)

    def mean_loss(
        self, features: Tensor, targets: Tensor, *, precision: torch.dtype = torch.float32
    ) -> Tensor:
        """Return the mean cross-entropy in nats over the targets that are not IGNORED."""
        charged = (targets != IGNORED).sum().clamp(min=1)
        rows = max(1, LOGITS_AT_ONCE // (targets.shape[1] * self.head.out_features))
        if rows >= len(targets):
            return self.losses(features, targets, precision=precision).sum() / charged
        total = features.new_zeros(())
        for part, goal in zip(torch.split(features, rows), torch.split(targets, rows), strict=True):
            # The logits of a slice are computed again in the backward pass instead of being kept.
            total = total + torch.utils.checkpoint.checkpoint(
                self._summed, part, goal, precision, use_reentrant=False
            )
        return total / charged

    def _summed(self, features: Tensor, targets: Tensor, precision: torch.dtype) -> Tensor:
        return self.losses(features, targets, precision=precision).sum()

    def parameter_count(self) -> int:
        """Count the trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

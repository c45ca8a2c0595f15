"""What a network is trained to do. A task owns the embedding, an encoder and an output layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig
from seqgen.kernels.loss import linear_cross_entropy
from seqgen.networks.encoders import State
from seqgen.networks.stepped import make_encoder

IGNORED = -1


class LanguageModel(nn.Module):
    """Predicts each token from those before it.

    Args:
        config: Cell and sizes.
        vocab_size: V.
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.encoder = make_encoder(config)
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
        return linear_cross_entropy(
            features, self.head.weight, self.head.bias, targets, ignored=IGNORED, precision=precision
        )

    def parameter_count(self) -> int:
        """Count the trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

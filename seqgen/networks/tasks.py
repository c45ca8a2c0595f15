"""What a network is trained to do. A task owns the embedding, an encoder and an output layer."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.networks.embeddings import make_embedding
from seqgen.networks.encoders import State
from seqgen.networks.heads import make_head
from seqgen.networks.stepped import make_encoder


class LanguageModel(nn.Module):
    """Predicts each token from those before it.

    Args:
        config: Cell and sizes.
        vocab_size: V.

    Raises:
        ConfigError: If it is to read from both ends.
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        if config.bidirectional:
            raise ConfigError(
                "--bidirectional: a language model predicts the next token, which the layers that read from "
                "the end would have seen; leave it out, or use --task classify or translate"
            )
        self.embedding = make_embedding(config, vocab_size)
        self.encoder = make_encoder(replace(config, embedding_size=self.embedding.embedding_dim))
        self.head = make_head(config, self.encoder.output_size, self.embedding)

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
        return self.head.losses(features, targets, precision=precision)

    def mean_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        smoothing: float = 0.0,
        spread: Tensor | None = None,
        precision: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return the mean cross-entropy in nats over the targets that are not IGNORED; see `Head`."""
        return self.head.mean_loss(features, targets, smoothing=smoothing, spread=spread, precision=precision)

    def logits(self, features: Tensor) -> Tensor:
        """Return what the softmax over all tokens makes probabilities of, (T, B, H) -> (T, B, V)."""
        return self.head.logits(features)

    def parameter_count(self) -> int:
        """Count the trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def activation_penalties(features: Tensor, resets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean square of features and of their changes (AR and TAR, Merity et al. 2017).

    Args:
        features: (T, B, H).
        resets: (T, B) bool; the step from one document to the next is no change.
    """
    values = features.float()
    changes = (values[1:] - values[:-1]) * (~resets[1:]).unsqueeze(2)
    return values.square().mean(), changes.square().sum() / max(1, changes.numel())

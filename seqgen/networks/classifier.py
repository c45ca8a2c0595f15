"""Many to one: a text of tokens becomes one vector, and that a label."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ClassifyConfig, ModelConfig
from seqgen.errors import ConfigError
from seqgen.kernels.dropout import drop, dropout_mask
from seqgen.networks.embeddings import make_embedding
from seqgen.networks.reading import Reading, make_reader

_POOLED_SITE = 1 << 18
_FIRST_VECTORS = 0.1
"""Standard deviation of vectors before training: words seen too rarely to be learned should say little."""


class Pool(nn.Module):
    """Makes one vector of the features of a text; padding counts for nothing.

        last       of each direction, the features after its last token
        mean, max  over the tokens, unit by unit
        attention  sum over t of a_t h_t, with a = softmax over t of v · tanh(W h_t + b) (Yang et al. 2016)
        concat     last, max and mean side by side (Howard and Ruder 2018)

    Args:
        kind: One of these.
        size: F.
    """

    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        self.kind = kind
        self.output_size = 3 * size if kind == "concat" else size
        if kind == "attention":
            self.hidden = nn.Linear(size, size)
            self.query = nn.Linear(size, 1, bias=False)

    def forward(self, reading: Reading) -> Tensor:
        """Return the vector of each text, (B, `output_size`)."""
        return {
            "last": lambda: reading.last,
            "mean": lambda: _mean(reading),
            "max": lambda: _max(reading),
            "attention": lambda: self._attend(reading),
            "concat": lambda: torch.cat([reading.last, _max(reading), _mean(reading)], dim=1),
        }[self.kind]()

    def _attend(self, reading: Reading) -> Tensor:
        scores = self.query(torch.tanh(self.hidden(reading.features))).squeeze(2)  # (T, B, F) -> (T, B)
        weights = torch.softmax(scores.masked_fill(~reading.inside, float("-inf")), dim=0)
        return (weights.unsqueeze(2) * reading.features).sum(dim=0)


def _mean(reading: Reading) -> Tensor:
    total = (reading.features * reading.inside.unsqueeze(2)).sum(dim=0)
    return total / reading.inside.sum(dim=0).clamp(min=1).unsqueeze(1)


def _max(reading: Reading) -> Tensor:
    return reading.features.masked_fill(~reading.inside.unsqueeze(2), float("-inf")).amax(dim=0)


class Classifier(nn.Module):
    """Embedding, reader, pooling and a linear layer.

    Args:
        config: The encoder.
        task: Labels, pooling and what is dropped of the pooled vector.
        vocab_size: V.

    Raises:
        ConfigError: If encoder and pooling do not go together.
    """

    def __init__(self, config: ModelConfig, task: ClassifyConfig, vocab_size: int) -> None:
        super().__init__()
        if config.cell == "bow" and task.pool in ("last", "concat"):
            raise ConfigError(
                f"--pool {task.pool}: a bag of words has no last token; use mean, max or attention"
            )
        self.embedding = make_embedding(config, vocab_size)
        if isinstance(self.embedding, nn.Embedding):
            nn.init.normal_(self.embedding.weight, std=_FIRST_VECTORS)
        self.reader = make_reader(replace(config, embedding_size=self.embedding.embedding_dim))
        self.pool = Pool(task.pool, self.reader.output_size)
        self.head = nn.Linear(self.pool.output_size, len(task.labels))
        self.pooled_dropout = task.pooled_dropout

    def forward(
        self,
        tokens: Tensor,
        lengths: Tensor,
        *,
        vectors: Tensor | None = None,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return the logits of each text, (B, C).

        Args:
            tokens: (T, B) int64, padded at the end.
            lengths: (B,) int64, from 1 to T.
            vectors: (T, B, E), read instead of those of the tokens.
            seed: Decides the dropout masks.
            precision: Of the matrix products within recurrent layers.
        """
        embedding = self.embedding.weight
        if vectors is not None:  # every place is a token of its own
            tokens = torch.arange(tokens.numel(), device=tokens.device).view_as(tokens)
            embedding = vectors.flatten(0, 1)  # (T, B, E) -> (T·B, E)
        reading = self.reader(tokens, lengths, embedding=embedding, seed=seed, precision=precision)
        pooled = self.pool(reading)
        if self.training:
            pooled = drop(pooled, dropout_mask(seed, _POOLED_SITE, self.pooled_dropout))
        logits: Tensor = self.head(pooled)  # (B, F) -> (B, C)
        return logits

    def losses(
        self, logits: Tensor, labels: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor:
        """Return the mean cross-entropy in nats.

        Args:
            logits: (B, C).
            labels: (B,) int64.
            weights: What an example of each class counts, (C,).
            smoothing: Share of a target that is spread over all labels.
        """
        return functional.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)

    def parameter_count(self) -> int:
        """Count the trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

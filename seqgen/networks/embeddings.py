"""How a token becomes a vector: learned with the rest, or fixed and one-hot."""

import torch
from torch import Tensor, nn

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError

MOST_ONE_HOT = 8192
"""Tokens that can be told one-hot: the vectors take 256 MB then."""


class OneHot(nn.Module):
    """Vectors of V numbers, all 0 but the one of the token; nothing in them is learned, nothing is saved."""

    weight: Tensor

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.num_embeddings = self.embedding_dim = vocab_size
        self.register_buffer("weight", torch.eye(vocab_size), persistent=False)


def make_embedding(config: ModelConfig, vocab_size: int) -> nn.Embedding | OneHot:
    """Build the embedding that a configuration asks for; its `weight` is (V, E).

    Raises:
        ConfigError: If a one-hot embedding is asked to do what only a learned one can.
    """
    if config.embedding == "learned":
        return nn.Embedding(vocab_size, config.embedding_size)
    if config.tied:
        raise ConfigError("model.tied shares a learned embedding, a one-hot one has no weights; set only one")
    if vocab_size > MOST_ONE_HOT:
        raise ConfigError(
            f"model.embedding one-hot: {vocab_size:,} tokens are too many, at most {MOST_ONE_HOT:,}; "
            "use learned, or a smaller vocabulary"
        )
    return OneHot(vocab_size)

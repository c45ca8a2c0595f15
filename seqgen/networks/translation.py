"""Encoder and decoder: a network that reads one sequence and writes another.

The encoder's last state is the decoder's first one. Without attention that is all the decoder learns of the
source, whatever its length (Sutskever et al. 2014); with attention it also looks back at every position.

Sources are padded at their beginning and the state is reset at their first token, so that the last step is
that of the last token in every row, and padding changes nothing.

As in Luong et al. (2015) attention follows the decoder's step, whatever the score. Unless its outcome is fed
into the next step, all steps are one sweep of the decoder's layers with attention afterwards, which is fast.
"""

from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.config import ModelConfig, TranslateConfig
from seqgen.errors import ConfigError
from seqgen.kernels.dropout import drop, dropout_mask
from seqgen.networks.attention import Memory, make_attention
from seqgen.networks.embeddings import make_embedding
from seqgen.networks.encoders import GATES, Encoder, State
from seqgen.networks.heads import FullSoftmax, make_head
from seqgen.networks.stepped import make_encoder

_FEATURES_SITE = 1 << 18


class Carry(NamedTuple):
    """What a decoder carries from step to step.

    Attributes:
        state: Of its layers.
        fed: The features of the step before, (B, D); (B, 0) without input feeding.
    """

    state: State
    fed: Tensor

    def rows(self, chosen: Tensor) -> "Carry":
        """Return what some rows carry, by their numbers."""
        return Carry([tuple(part[chosen] for part in layer) for layer in self.state], self.fed[chosen])


class SourceEncoder(nn.Module):
    """Reads sources in one direction or in both, each with a stack of layers of its own.

    Two directions have half of the units each; their features and states stand side by side, so that all
    sizes are those of one direction.

    Raises:
        ConfigError: If two directions cannot share the units.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        if config.hidden_size % directions:
            raise ConfigError(f"model.hidden_size = {config.hidden_size}: two directions need an even number")
        own = replace(config, hidden_size=config.hidden_size // directions)
        self.stacks = nn.ModuleList(make_encoder(own) for _ in range(directions))

    def forward(
        self, tokens: Tensor, lengths: Tensor, *, embedding: Tensor, seed: int, precision: torch.dtype
    ) -> tuple[Tensor, State]:
        """Read sources.

        Args:
            tokens: (S, B), padded at the beginning.
            lengths: (B,), at least 1 each.
            embedding: (V, E).
            seed: Decides the dropout masks; the next number decides those of the second direction.
            precision: Of the matrix products.

        Returns:
            Features (S, B, H) and the state after the last token.
        """
        steps, rows = tokens.shape
        places = torch.arange(steps, device=tokens.device).unsqueeze(1)
        first = steps - lengths
        # Where each step of the second direction reads; applied twice it is undone.
        mirrored = torch.where(places < first, places, steps - 1 + first - places)  # (S, B)
        features, states = [], []
        for number, stack in enumerate(self.stacks):
            encoder = cast(Encoder, stack)
            found, state = encoder(
                tokens.gather(0, mirrored) if number else tokens,
                encoder.initial_state(rows),
                places == first,
                embedding=embedding,
                seed=seed + number,
                precision=precision,
            )
            found = found.float()
            features.append(found.gather(0, mirrored.unsqueeze(2).expand_as(found)) if number else found)
            states.append(state)
        return torch.cat(features, 2), [
            tuple(torch.cat(parts, 1) for parts in zip(*layers, strict=True))
            for layers in zip(*states, strict=True)
        ]


class TranslationModel(nn.Module):
    """Predicts each token of a target from its source and the tokens before it.

    Args:
        config: Cell and sizes; H of encoder and decoder alike.
        options: Attention and input feeding.
        source_size: Tokens of the source vocabulary.
        target_size: Tokens of the target vocabulary.

    Raises:
        ConfigError: If the configuration asks for what a translator cannot have.
    """

    def __init__(
        self, config: ModelConfig, options: TranslateConfig, source_size: int, target_size: int
    ) -> None:
        super().__init__()
        _check(config)
        self.source_embedding = make_embedding(replace(config, tied=False), source_size)
        shared = options.shared_vocab
        self.target_embedding = self.source_embedding if shared else make_embedding(config, target_size)
        embedded, hidden = self.source_embedding.embedding_dim, config.hidden_size
        size = config.embedding_size if config.tied else hidden
        self.fed_size = size if options.input_feeding else 0
        layers = replace(config, tied=False, embedding_size=embedded)
        self.encoder = SourceEncoder(layers)
        own = self.target_embedding.embedding_dim + self.fed_size
        self.decoder = make_encoder(replace(layers, embedding_size=own, embedding_dropout=0.0))
        self.attention = make_attention(options.attention, hidden)
        self.combine = nn.Linear(hidden if self.attention is None else 2 * hidden, size)
        self.head = cast(FullSoftmax, make_head(config, size, self.target_embedding))
        self.dropout, self.locked = config.dropout, config.locked_dropout

    def read(
        self, source: Tensor, lengths: Tensor, *, seed: int = 0, precision: torch.dtype = torch.float32
    ) -> tuple[Memory, Carry]:
        """Read sources (S, B), padded at the beginning; return what the decoder looks at and begins with."""
        features, state = self.encoder(
            source, lengths, embedding=self.source_embedding.weight, seed=seed, precision=precision
        )
        values = features.transpose(0, 1)  # (S, B, H) -> (B, S, H)
        places = torch.arange(len(source), device=source.device)
        mask = places >= (len(source) - lengths).unsqueeze(1)  # (B, S)
        memory = (
            Memory(values, values, mask) if self.attention is None else self.attention.memory(values, mask)
        )
        return memory, Carry(state, values.new_zeros(len(values), self.fed_size))

    def forward(
        self,
        source: Tensor,
        lengths: Tensor,
        inputs: Tensor,
        *,
        teacher_forcing: float = 1.0,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return the features (T, B, D) from which the targets are predicted.

        Args:
            source: (S, B), padded at the beginning.
            lengths: Of the sources, (B,).
            inputs: The token before each target, (T, B).
            teacher_forcing: Share of the inputs that are as given; the others are what the model finds
                likeliest there (scheduled sampling, Bengio et al. 2015).
            seed: Decides dropout, and which inputs are as given.
            precision: Of the recurrent layers' matrix products.
        """
        memory, carry = self.read(source, lengths, seed=seed, precision=precision)
        if self.fed_size or teacher_forcing < 1:
            return self._steps(memory, carry, inputs, teacher_forcing, seed, precision)
        found, _ = self.decoder(
            inputs,
            carry.state,
            torch.zeros_like(inputs, dtype=torch.bool),
            embedding=self.target_embedding.weight,
            seed=seed + 2,
            precision=precision,
        )
        return self._features(found, memory, seed)[0]

    def _steps(
        self,
        memory: Memory,
        carry: Carry,
        inputs: Tensor,
        teacher_forcing: float,
        seed: int,
        precision: torch.dtype,
    ) -> Tensor:
        draws = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(seed))
        given = (draws < teacher_forcing).to(inputs.device)
        features: list[Tensor] = []
        for step, tokens in enumerate(inputs):
            if step and teacher_forcing < 1:
                with torch.no_grad():
                    likeliest = self.log_probs(features[-1]).argmax(1)
                tokens = torch.where(given[step], tokens, likeliest)
            found, _, carry = self.step(tokens, memory, carry, seed=seed, precision=precision)
            features.append(found)
        return torch.stack(features)

    def step(
        self,
        tokens: Tensor,
        memory: Memory,
        carry: Carry,
        *,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor, Carry]:
        """Take one step of the decoder; while training all steps of a seed share their dropout masks.

        Args:
            tokens: (B,).
            memory: As `read` returned it.
            carry: As `read` or the step before returned it.
            seed: Decides the dropout masks.
            precision: Of the recurrent layers' matrix products.

        Returns:
            Features (B, D), the weights of attention (B, S), (B, 0) where there is none, and the next carry.
        """
        embedded = functional.embedding(tokens, self.target_embedding.weight)  # (B,) -> (B, E)
        rows = torch.arange(len(tokens), device=tokens.device).unsqueeze(0)  # (1, B)
        found, state = self.decoder(
            rows,
            carry.state,
            torch.zeros_like(rows, dtype=torch.bool),
            embedding=torch.cat([embedded, carry.fed], 1),
            seed=seed + 2,
            precision=precision,
        )
        (features,), weights = self._features(found, memory, seed)
        return features, weights[:, 0], Carry(state, features if self.fed_size else carry.fed)

    def _features(self, found: Tensor, memory: Memory, seed: int) -> tuple[Tensor, Tensor]:
        """Turn what the decoder's layers found, (T, B, H), to features (T, B, D), with weights (B, T, S)."""
        queries = found.float().transpose(0, 1)
        weights = queries.new_zeros(*queries.shape[:2], 0)
        if self.attention is not None:
            contexts, weights = self.attention(queries, memory)
            queries = torch.cat([queries, contexts], 2)
        features = self.combine(queries).tanh().transpose(0, 1).contiguous()  # (B, T, 2H) -> (T, B, D)
        share = self.dropout if self.training else 0.0
        return drop(features, dropout_mask(seed, _FEATURES_SITE, share, locked=self.locked)), weights

    def log_probs(self, features: Tensor) -> Tensor:
        """Return the logarithms of the probabilities of all tokens, (..., D) -> (..., V)."""
        return functional.linear(features, self.head.weight, self.head.bias).log_softmax(-1)

    def mean_loss(
        self, features: Tensor, targets: Tensor, *, smoothing: float = 0.0, precision: torch.dtype
    ) -> Tensor:
        """Return the mean cross-entropy in nats over the targets that are not IGNORED; see `Head`."""
        return self.head.mean_loss(features, targets, smoothing=smoothing, precision=precision)

    def losses(self, features: Tensor, targets: Tensor, *, precision: torch.dtype) -> Tensor:
        """Return the cross-entropy of each target in nats, (T, B); 0 where it is IGNORED."""
        return self.head.losses(features, targets, precision=precision)

    def parameter_count(self) -> int:
        """Count the trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def _check(config: ModelConfig) -> None:
    if config.cell not in GATES:
        raise ConfigError(
            f"model.cell {config.cell}: a translator needs a recurrent state; use {', '.join(GATES)}"
        )
    if config.softmax != "full":
        raise ConfigError(
            f"model.softmax {config.softmax}: a translator ranks all tokens each step; use full"
        )

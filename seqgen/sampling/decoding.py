"""What computes the logits that a sampler draws from: compiled code, or torch on one of its devices."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqgen.artifacts import Artifact
from seqgen.errors import ArtifactError
from seqgen.kernels.constraint import FREE, Constraint
from seqgen.kernels.copying import ANY_COPY, CopyLimit
from seqgen.kernels.decode import NO_PAST, Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.kernels.draw_state import NO_TOKENS, DrawState
from seqgen.kernels.layout import Floats
from seqgen.kernels.mixing import NO_MIX, NgramMix


class State(Protocol):
    """Where the sequences of a batch stand; only the decoder that made it knows the rest."""

    @property
    def draws(self) -> DrawState:
        """Where they stand in what is drawn."""


class SequenceDecoder(Protocol):
    """A trained network, ready to draw tokens; `seqgen.kernels.decode.Decoder` tells what the methods do.

    Attributes:
        vocab: V.
        batch_size: With how many sequences at once it comes to its speed.
    """

    vocab: int
    batch_size: int

    def divide(self, sequences: int, threads: int) -> tuple[int, int]:
        """Return in how many parts a batch is drawn at the same time, and how many threads share each."""

    def start(
        self,
        sequences: Sequence[int],
        prompt: NDArray[np.integer[Any]] = NO_TOKENS,
        *,
        copying: CopyLimit = ANY_COPY,
        mixing: NgramMix = NO_MIX,
    ) -> State:
        """Return the state of new sequences, which start from EOS and have all read the same prompt."""

    def draw(
        self,
        state: Any,
        rule: DrawRule,
        count: int,
        *,
        constraint: Constraint = FREE,
        past: NDArray[np.int64] = NO_PAST,
        copying: CopyLimit = ANY_COPY,
        mixing: NgramMix = NO_MIX,
        threads: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Let every live sequence go on for `count` tokens, or to its EOS."""

    def read(
        self, state: Any, tokens: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Let the one sequence of a state go on with tokens that are given."""

    def logits(self, state: Any) -> Floats:
        """Consume the pending tokens and return the logits of what follows, (B, V)."""

    def follow(self, state: Any, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> None:
        """Let each row go on from where another one's network stands, with a pending token."""


def load_decoder(artifact: Artifact, *, exact: bool = False, device: str | None = None) -> SequenceDecoder:
    """Load the network of a model.

    Args:
        artifact: The model.
        exact: Compute with float32 weights, as trained, instead of weights rounded to int8.
        device: Of torch, which always takes float32 weights; None takes compiled code.

    Raises:
        ArtifactError: If the weights do not fit the configuration or the vocabulary.
    """
    try:
        if device is not None:
            from seqgen.sampling.torch_decoder import load_torch_decoder

            return load_torch_decoder(artifact, device)
        model = artifact.config.model
        decoder = Decoder(artifact.weights(), cell=model.cell, exact=exact, context=model.context)
    except (KeyError, ValueError) as error:
        raise ArtifactError(f"{artifact.path}: weights that do not fit: {error}; train again") from error
    if decoder.vocab != len(artifact.tokenizer.tokens):
        raise ArtifactError(
            f"{artifact.path}: weights for {decoder.vocab} tokens, but a vocabulary of "
            f"{len(artifact.tokenizer.tokens)}; train again"
        )
    return decoder

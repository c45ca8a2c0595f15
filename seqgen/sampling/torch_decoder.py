"""The network of a sampler in torch, on any of its devices; compiled code draws.

All rows of a batch share each product. The logits are copied to the memory of the host, where
`seqgen.kernels.draw_loop` draws from them: the same logits give the same tokens.

Sizes: B sequences, H features, V tokens.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.artifacts import Artifact
from seqgen.kernels.constraint import FREE, Constraint
from seqgen.kernels.copying import ANY_COPY, CopyLimit
from seqgen.kernels.decode import NO_PAST
from seqgen.kernels.draw import DrawRule
from seqgen.kernels.draw_loop import draw_given
from seqgen.kernels.draw_state import (
    EOS,
    NO_TOKENS,
    Chunk,
    DrawState,
    Terms,
    divide_draws,
    make_chunk,
    make_terms,
    start_draws,
)
from seqgen.kernels.layout import Floats
from seqgen.kernels.mixing import NO_MIX, NgramMix
from seqgen.networks.encoders import State
from seqgen.networks.tasks import LanguageModel
from seqgen.networks.weights import with_weights
from seqgen.runtime import choose_device

BATCH_SIZE = 256
LOGITS_A_THREAD = 32_768  # with fewer logits, waking another thread takes longer than it saves


@dataclass
class TorchState:
    """Where each of B sequences stands.

    Attributes:
        draws: In what is drawn, its pending token among that.
        network: The network's state, of the sequences in `rows`.
        rows: Their numbers in the batch, ascending.
    """

    draws: DrawState
    network: State
    rows: NDArray[np.intp]


class TorchDecoder:
    """A trained network, ready to draw tokens; has the methods of `seqgen.kernels.decode.Decoder`.

    Args:
        model: In evaluation mode, on its device.
    """

    batch_size = BATCH_SIZE

    def __init__(self, model: LanguageModel) -> None:
        self._model, self._device = model, model.embedding.weight.device
        self.vocab = model.embedding.num_embeddings

    def divide(self, sequences: int, threads: int) -> tuple[int, int]:
        """Return in how many parts a batch is drawn, and how many threads share each of them."""
        return 1, threads

    @torch.inference_mode()
    def start(
        self,
        sequences: Sequence[int],
        prompt: NDArray[np.integer[Any]] = NO_TOKENS,
        *,
        copying: CopyLimit = ANY_COPY,
        mixing: NgramMix = NO_MIX,
    ) -> TorchState:
        """Return the state of new sequences, which start from EOS and have all read the same prompt.

        Raises:
            ValueError: If a token is not in the vocabulary.
        """
        tokens = np.asarray(prompt, np.int64)
        draws = start_draws(sequences, tokens, vocab=self.vocab, copying=copying, mixing=mixing)
        network = self._model.initial_state(1)
        for token in np.append(EOS, tokens)[:-1]:
            _, network = self._consume(network, token[None])
        batch = len(sequences)
        return TorchState(draws, _take(network, np.zeros(batch, np.intp)), np.arange(batch))

    def draw(
        self,
        state: TorchState,
        rule: DrawRule,
        count: int,
        *,
        constraint: Constraint = FREE,
        past: NDArray[np.int64] = NO_PAST,
        copying: CopyLimit = ANY_COPY,
        mixing: NgramMix = NO_MIX,
        threads: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Let every live sequence go on; arguments, results and errors are those of `Decoder.draw`."""
        _leave_ended(state)
        chunk, live = make_chunk(state.draws, past, count), state.draws.live
        parts = max(1, min(threads, len(state.rows) * self.vocab // LOGITS_A_THREAD))
        shares = [
            (rows, draws, make_terms(rule, constraint, copying, mixing), chunk.of(rows))
            for rows, draws in divide_draws(state.draws, parts)
        ]
        with ThreadPoolExecutor(parts) as pool:
            for step in range(count):
                if live.any():
                    logits = self.logits(state)
                    draw = partial(_draw_share, logits, step)
                    list(map(draw, shares) if parts == 1 else pool.map(draw, shares))
        return chunk.drawn()

    @torch.inference_mode()
    def read(
        self, state: TorchState, tokens: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Let the one sequence of a state go on with tokens that are given; see `Decoder.read`.

        Raises:
            FloatingPointError: If the network's output is not finite.
        """
        logprobs, ranks = np.zeros(len(tokens)), np.zeros(len(tokens), np.int64)
        for step, token in enumerate(np.asarray(tokens, np.int64)):
            logits = self.logits(state)[0].astype(np.float64)
            logprobs[step] = logits[token] - np.logaddexp.reduce(logits)
            ranks[step] = 1 + (logits > logits[token]).sum()
            state.draws.token[:] = token
        if not np.isfinite(logprobs).all():
            raise FloatingPointError("the network's output is not finite")
        return logprobs, ranks

    @torch.inference_mode()
    def logits(self, state: TorchState) -> Floats:
        """Consume the pending tokens and return the logits of what follows, (B, V)."""
        features, state.network = self._consume(state.network, state.draws.token[state.rows])
        found: Floats = self._model.logits(features).cpu().numpy()
        if len(found) == len(state.draws.live):
            return found
        logits = np.zeros((len(state.draws.live), self.vocab), np.float32)
        logits[state.rows] = found
        return logits

    @torch.inference_mode()
    def follow(self, state: TorchState, parents: NDArray[np.int64], tokens: NDArray[np.int64]) -> None:
        """Let each row go on from where another one's network stands, with a pending token, both (B,)."""
        state.network = _take(state.network, parents)
        state.draws.token[:] = tokens

    def _consume(self, network: State, tokens: NDArray[np.int64]) -> tuple[Tensor, State]:
        """Feed a token to each row; returns features (B, H) and the network's state."""
        inputs = torch.from_numpy(tokens).to(self._device).unsqueeze(0)  # -> (1, B)
        features, network = self._model(inputs, network, inputs == EOS)
        return features[0], network


def _draw_share(logits: Floats, step: int, share: tuple[slice, DrawState, Terms, Chunk]) -> None:
    rows, draws, terms, chunk = share
    draw_given(draws, logits[rows], terms, chunk, step)


@torch.inference_mode()
def _leave_ended(state: TorchState) -> None:
    """Compute no longer what has ended, once that is at least half of all."""
    live = np.flatnonzero(state.draws.live[state.rows])
    if 2 * len(live) <= len(state.rows):
        state.network, state.rows = _take(state.network, live), state.rows[live]


def _take(network: State, rows: NDArray[np.integer[Any]]) -> State:
    """Return the state of some rows."""
    return [tuple(part[torch.from_numpy(rows).to(part.device)] for part in layer) for layer in network]


def load_torch_decoder(artifact: Artifact, device: str) -> TorchDecoder:
    """Load the network of a model.

    Raises:
        ConfigError: If the device is not there.
        ValueError: If the weights do not fit the configuration or the vocabulary.
    """
    model = LanguageModel(artifact.config.model, len(artifact.tokenizer.tokens))
    return TorchDecoder(with_weights(model, artifact.weights()).to(choose_device(device)))

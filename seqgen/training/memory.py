"""How much memory a training takes on a CPU, told before it starts.

What the process holds already is read from the system; what comes is counted tensor by tensor. The counts are
compared with measured peaks in benchmarks/training.
"""

import sys

import torch

from seqgen.config import Config, ModelConfig
from seqgen.kernels.recurrent import choose_precision
from seqgen.networks.tasks import LanguageModel
from seqgen.training.teaching import expected_bytes

_GATES = {"lstm": 4, "gru": 3, "rnn": 1, "window": 1, "bow": 1}
_PLACES_ONE_BY_ONE = {"window"}
_WITH_CONTEXT = {"window", "bow"}
_BLOCK = 32
_HALF, _FLOAT, _ID = 2, 4, 8
_LOGITS_AT_ONCE = 1 << 27
_VALIDATION_TOKENS = 64 * 128
"""Tokens that a validation reads at once."""
_COUNTED_TOKEN = 90
"""What a token takes while n-grams of up to nine are counted, as measured on tinyshakespeare."""
_LIBRARIES = 180e6
"""What torch and numba take when they first compute: code, pools, threads' memory."""


def process_bytes() -> int:
    """Return the peak of this process's resident memory so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def least_memory() -> int:
    """Return the bytes that this process will have at its peak if it trains anything at all on a CPU."""
    return process_bytes() + int(_LIBRARIES)


def memory_needed(
    config: Config, *, vocab_size: int, rows: int, steps: int, tokens: int = 0, held: int | None = None
) -> int:
    """Return the bytes that this process will have at its peak if it trains on a CPU.

    Args:
        config: The complete configuration.
        vocab_size: V.
        rows: B.
        steps: T.
        tokens: Of the training part, which n-gram smoothing counts and teachers predict.
        held: Bytes at the peak before models were tried out, whose memory serves again; now if not given.
    """
    with torch.device("meta"):
        parameters = LanguageModel(config.model, vocab_size).parameter_count()
    counted = tokens * _COUNTED_TOKEN if config.training.ngram_smoothing else 0
    taught = expected_bytes(tokens, vocab_size) if config.training.teachers else 0
    own = training_bytes(
        config,
        vocab_size=vocab_size,
        parameters=parameters,
        rows=rows,
        steps=steps,
        precision=choose_precision(torch.device("cpu"), config.training.precision),
    )
    present = process_bytes()
    return max(present, (present if held is None else held) + counted + taught + own)


def training_bytes(
    config: Config, *, vocab_size: int, parameters: int, rows: int, steps: int, precision: torch.dtype
) -> int:
    """Return the bytes that a training adds to its process at its peak.

    Args:
        config: The complete configuration.
        vocab_size: V.
        parameters: How many numbers are trained.
        rows: B.
        steps: T.
        precision: What GEMMs multiply.
    """
    settings = config.training
    moments = {"adamw": 2, "muon": 2, "sgd": 1 if settings.momentum else 0, "nt-asgd": 0}[settings.optimizer]
    averages = settings.average != "none" or settings.optimizer == "nt-asgd"
    kept = 1 + moments + averages
    # What is kept, its last good state, a checkpoint as one piece on its way to disk; gradients; operands
    # made of the weights, and products on their way to be gradients.
    by_parameter = _FLOAT * (3 * kept + 1 + 2)
    activations = _activation_bytes(config.model, vocab_size, rows, steps, precision)
    return int(_LIBRARIES + parameters * by_parameter + activations)


def _activation_bytes(
    model: ModelConfig, vocab_size: int, rows: int, steps: int, precision: torch.dtype
) -> int:
    size = precision.itemsize
    full = -(-model.hidden_size // _BLOCK) * _BLOCK
    gates = _GATES[model.cell]
    sums = 4 if gates > 1 else 1
    # Gates, the state consumed, what is saved for the way back, and what is passed on.
    wide = gates + 2 + (model.cell == "lstm") + (model.dropout > 0)
    # What products on the way back lay out, as measured; features and their gradients up and down.
    passing = sums * full + 4 * model.hidden_size
    # Buffers of training and validation are both kept; in float32 half of the latter are ones of the former.
    read = rows * steps * size + _VALIDATION_TOKENS * _HALF
    packed = 2 * gates * full * (full + max(full, model.embedding_size))
    logits = sum(
        min(tokens * vocab_size * size, _LOGITS_AT_ONCE) for tokens in (rows * steps, _VALIDATION_TOKENS)
    )
    return (
        read * (model.layers * full * wide + passing)
        + size * packed
        + logits
        + _context_bytes(model, vocab_size, rows * steps + _VALIDATION_TOKENS)
    )


def _context_bytes(model: ModelConfig, vocab_size: int, tokens: int) -> int:
    """Return what windows of tokens take on their way into the first layer."""
    if model.cell not in _WITH_CONTEXT:
        return 0
    places = model.context if model.cell in _PLACES_ONE_BY_ONE else 1
    windows = tokens * model.context * (4 * _ID + _FLOAT)  # tokens, documents, rows to look up; shares
    if 2 * vocab_size <= tokens:
        return windows + 3 * _FLOAT * places * vocab_size * model.hidden_size
    return windows + 4 * _FLOAT * tokens * model.context * model.embedding_size


def in_words(size: int) -> str:
    """Return bytes as people read them, such as "1.2 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"

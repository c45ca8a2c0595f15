"""Models side by side on one split: what they took, what they reached and how far they overfit."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from seqgen.artifacts import Artifact
from seqgen.config import Config
from seqgen.data.index import TokenIndex
from seqgen.data.kneser_ney import ORDERS, count_ngrams
from seqgen.errors import ConfigError
from seqgen.evaluation import Score, evaluate, restore_model, total_score, units_of
from seqgen.evaluation.ngram import ngram_losses
from seqgen.kernels.recurrent import choose_precision
from seqgen.networks.tasks import LanguageModel
from seqgen.runtime import choose_device
from seqgen.training.loop import VALIDATION_TOKENS, Corpus, fit_batch
from seqgen.training.memory import training_bytes

GAP_PROTOCOL = "chunks:1024"
LARGEST_HIDDEN = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One model of a comparison.

    Attributes:
        name: Of the model.
        cell: Its encoder.
        parameters: How many numbers it learned, or n-grams it stored.
        tokens_per_second: In training, validations not counted; None where it was never validated.
        minutes: How long it was trained.
        unit: What bits are counted per: chars, notes, or tokens where neither is known.
        bits: Per unit of the validation part, state carried.
        gap_bits: How much fewer bits it takes on as much of the training part, both with the faster protocol
            of training.
        memory_bytes: What its training takes, estimated; of n-grams, what they take.
        curve: Seconds of training and validation bits per token.
    """

    name: str
    cell: str
    parameters: int
    tokens_per_second: float | None
    minutes: float
    unit: str
    bits: float
    gap_bits: float
    memory_bytes: int
    curve: list[tuple[float, float]]

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def compare_model(artifact: Artifact, index: Corpus) -> Compared:
    """Score a model on the validation part of an index in its own vocabulary.

    Raises:
        ConfigError: If there is no validation part to score on.
    """
    if not len(index.tokens("valid")):
        raise ConfigError("the corpus has no validation part to compare on; give it a share with --split")
    config, history = artifact.config, artifact.history()
    model = restore_model(artifact, config.training.device)
    score = evaluate(
        model,
        index.tokens("valid"),
        index.documents("valid"),
        units=units_of(index.counts("valid")),
    )
    seconds = float(history[-1]["seconds"]) if history else 0.0
    unit, bits = next(iter(score.bits.items()), ("tokens", _bits(score)))
    rows, steps = fit_batch(
        len(index.tokens("train")), batch_size=config.training.batch_size, bptt=config.training.bptt
    )
    return Compared(
        name=artifact.path.resolve().name,
        cell=config.model.cell,
        parameters=model.parameter_count(),
        tokens_per_second=history[-1]["step"] * rows * steps / seconds if seconds else None,
        minutes=seconds / 60,
        unit=unit,
        bits=bits,
        gap_bits=_quick_bits(model, index, "valid") - _quick_bits(model, index, "train"),
        memory_bytes=training_bytes(
            config,
            vocab_size=len(index.tokenizer.tokens),
            parameters=model.parameter_count(),
            rows=rows,
            steps=steps,
            precision=choose_precision(
                torch.device(choose_device(config.training.device)), config.training.precision
            ),
        ),
        curve=_curve(history),
    )


def compare_ngrams(index: TokenIndex, order: int | None = None) -> Compared:
    """Count the n-grams of the training part and score them on the validation part.

    Args:
        index: The index.
        order: Tokens of the longest n-grams; by the level if not given.

    Raises:
        ConfigError: If there is no validation part to score on.
    """
    if not len(index.tokens("valid")):
        raise ConfigError("the corpus has no validation part to compare on; give it a share with --split")
    begin = time.perf_counter()
    order = order or ORDERS[index.tokenizer.level]
    text = index.tokens("train"), index.documents("train")
    model = count_ngrams(*text, order=order, vocab_size=len(index.tokenizer.tokens))
    seconds = time.perf_counter() - begin
    probs = model.probabilities(index.tokens("valid"), index.documents("valid"))
    score = total_score(ngram_losses(probs), protocol=f"ngram:{order}", units=units_of(index.counts("valid")))
    unit, bits = next(iter(score.bits.items()), ("tokens", _bits(score)))
    documents = index.documents("train").clip(max=VALIDATION_TOKENS)
    learnt = model.probabilities(index.tokens("train")[:VALIDATION_TOKENS], documents)
    return Compared(
        name=f"ngram:{order}",
        cell="ngram",
        parameters=model.size,
        tokens_per_second=len(text[0]) / seconds,
        minutes=seconds / 60,
        unit=unit,
        bits=bits,
        gap_bits=float(np.log2(learnt).mean() - np.log2(probs[:VALIDATION_TOKENS]).mean()),
        memory_bytes=model.nbytes,
        curve=[(seconds, _bits(score))],
    )


def _bits(score: Score) -> float:
    """Return bits per token."""
    return score.loss_nats / math.log(2)


def _quick_bits(model: LanguageModel, index: Corpus, part: str) -> float:
    """Return bits per token of the beginning of a part."""
    documents = index.documents(part)
    documents = documents.clip(max=VALIDATION_TOKENS)
    return _bits(evaluate(model, index.tokens(part)[:VALIDATION_TOKENS], documents, protocol=GAP_PROTOCOL))


def _curve(history: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    return [
        (float(record["seconds"]), float(record["valid_loss_nats"]) / math.log(2))
        for record in history
        if record["valid_loss_nats"] is not None
    ]


def with_parameters(config: Config, vocab_size: int, parameters: int) -> Config:
    """Return a configuration whose hidden size gives a model about so many parameters.

    Raises:
        ConfigError: If even one unit a layer takes more.
    """
    low, high = 1, LARGEST_HIDDEN
    if count_parameters(config, vocab_size, low) > parameters:
        raise ConfigError(
            f"--parameters {parameters:,}: too few for {config.model.cell}, whose embedding and output layer "
            "alone take more; lower --embedding-size or allow more"
        )
    while high - low > 1:
        middle = (low + high) // 2
        if count_parameters(config, vocab_size, middle) <= parameters:
            low = middle
        else:
            high = middle
    nearest = min((low, high), key=lambda size: abs(count_parameters(config, vocab_size, size) - parameters))
    return replace(config, model=replace(config.model, hidden_size=nearest))


def count_parameters(config: Config, vocab_size: int, hidden_size: int) -> int:
    """Count what a model of some hidden size would learn, without making it."""
    with torch.device("meta"):
        return LanguageModel(replace(config.model, hidden_size=hidden_size), vocab_size).parameter_count()

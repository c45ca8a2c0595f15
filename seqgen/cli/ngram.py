"""The options of `seqgen evaluate` that bring in an n-gram model of the training part."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from seqgen.data.index import TokenIndex
    from seqgen.evaluation.losses import Losses

AUTO = "auto"

Ngram = Annotated[bool, typer.Option("--ngram", help="Score an unbounded n-gram model beside it.")]
MixNgram = Annotated[
    str | None,
    typer.Option(
        metavar="W", help="Give the n-gram model this share of each prediction; auto: as suits validation."
    ),
]
NgramOrder = Annotated[
    int | None, typer.Option(metavar="N", help="Let it be Kneser-Ney of this order instead of unbounded.")
]


@dataclass(frozen=True, kw_only=True)
class NgramOptions:
    """The options as they were given.

    Raises:
        ConfigError: If the share is none, or the order.
    """

    ngram: bool
    mix_ngram: str | None
    ngram_order: int | None = None

    def __post_init__(self) -> None:
        if self.mix_ngram != AUTO:
            parse_share(self.mix_ngram)
        if self.ngram_order is not None and self.ngram_order < 1:
            raise ConfigError(f"--ngram-order {self.ngram_order}: at least 1 token")
        if self.ngram_order is not None and not self.wanted:
            raise ConfigError(f"--ngram-order {self.ngram_order}: of what? give --ngram or --mix-ngram too")

    @property
    def wanted(self) -> bool:
        """Whether an n-gram model is needed at all."""
        return self.ngram or self.mix_ngram is not None

    @property
    def share(self) -> float | None:
        """The share that was given; None if it is to be chosen, or none is mixed in."""
        return None if self.mix_ngram == AUTO else parse_share(self.mix_ngram)

    @property
    def protocol(self) -> str:
        """What a score of the n-gram model is named."""
        return "ngram" if self.ngram_order is None else f"ngram:{self.ngram_order}"


def parse_share(text: str | None) -> float | None:
    """Return the share that `--mix-ngram` gives in figures, if it is given.

    Raises:
        ConfigError: If it is none.
    """
    if text is None:
        return None
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0 <= share <= 1:
        raise ConfigError(f"--mix-ngram {text}: expected a share from 0 to 1, or {AUTO}")
    return share


def choose_share(
    own: "TokenIndex", order: int | None, losses: "Iterable[Losses]", *, by_half: bool
) -> tuple[float, str]:
    """Choose the share of the n-gram model under which validation text is likeliest, and tell it.

    Args:
        own: The index of the model's own corpus.
        order: Of the n-grams; None if unbounded.
        losses: Of the network on the validation part.
        by_half: Let the first half of it decide, as the part is to be scored itself.

    Returns:
        The share, and what it was chosen on, for people to read.
    """
    from seqgen.data.ngrams import best_share
    from seqgen.evaluation.losses import gather

    count = int(own.counts("valid")["tokens"])
    if not count:
        raise CorpusError(f"--mix-ngram {AUTO}: there is no validation part to choose on; give a share")
    used = max(count // 2, 1) if by_half else count
    where = "the first half of valid" if by_half else "valid"
    probabilities = read_with_ngrams(own, own, "valid", order)
    share = best_share(gather(losses, count)[:used], probabilities[:used])
    notice(f"--mix-ngram {AUTO}: {share:g}, the best for {where}")
    if by_half:
        notice("chosen on half of the part that is scored here; --part test gives the fair score")
    return share, where


def read_with_ngrams(
    own: "TokenIndex", scored: "TokenIndex", part: str, order: int | None = None
) -> "NDArray[np.float64]":
    """Return what the n-gram model of an index gives every token of a part of another, or of the same."""
    if order is not None:
        from seqgen.data.kneser_ney import count_ngrams

        size = len(own.tokenizer.tokens)
        counted = count_ngrams(own.tokens("train"), own.documents("train"), order=order, vocab_size=size)
        return counted.probabilities(scored.tokens(part), scored.documents(part))
    from seqgen.data.ngrams import NgramModel
    from seqgen.data.suffixes import ensure_suffixes
    from seqgen.evaluation.ngram import ngram_probabilities
    from seqgen.kernels.jit import telling_of_compilation

    with telling_of_compilation(lambda: notice("compiling the n-gram model (first run on this machine)")):
        model = NgramModel(ensure_suffixes(own, notify=notice), len(own.tokenizer.tokens))
        return ngram_probabilities(model, own, scored, part)

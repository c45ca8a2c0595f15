"""What sampling looks up in a corpus: how much of it would be copied, and what an n-gram model of it says."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqgen.data.index import TokenIndex
from seqgen.data.ngrams import NgramModel, best_share
from seqgen.data.suffixes import SuffixArray, Tokens, ensure_suffixes
from seqgen.errors import ConfigError, CorpusError
from seqgen.kernels.copying import ANY_COPY, CopyLimit, read_only
from seqgen.kernels.mixing import NO_MIX, NgramMix
from seqgen.sampling.events import Ended, Event, in_order

SHARE_TOKENS = 20_000
"""How much of a validation part decides about a share, from its beginning."""


@dataclass(frozen=True)
class Lookups:
    """What is looked up in a corpus while sampling.

    Attributes:
        copying: How much of it may be copied.
        mixing: An n-gram model of it that is mixed in.
        index_hash: The sha256 of the index that is searched; empty if none is.
    """

    copying: CopyLimit = ANY_COPY
    mixing: NgramMix = NO_MIX
    index_hash: str = ""

    def complete(
        self, events: Iterable[Event], *, notify: Callable[[str], None] = lambda message: None
    ) -> Iterator[Event]:
        """Pass on samples that have to obey a constraint, without those that ended before they did.

        A sample is left out if at some place all that the constraint allows would copy too much; those after
        it move up.

        Args:
            events: Of the samples.
            notify: Called with one line if some are left out.

        Raises:
            ConfigError: If none is left.
        """
        if not self.copying.longest:
            yield from events
            return
        made = left_out = 0
        held: list[Event] = []
        for event in in_order(events):
            held.append(event._replace(sequence=made))
            if not isinstance(event, Ended):
                continue
            if event.reason == "copy":
                left_out += 1
            else:
                made += 1
                yield from held
            held = []
        option = f"--max-copy {self.copying.longest}: "
        wall = "all that the constraint allows would somewhere copy more"
        if left_out and not made:
            raise ConfigError(f"{option}in every sample {wall}; allow more or try another --seed")
        if left_out:
            notify(f"{option}{left_out} of {made + left_out} samples left out, for {wall}")


NO_LOOKUPS = Lookups()


def suited_share(
    index: TokenIndex,
    read: Callable[[Tokens], NDArray[np.floating]],
    *,
    notify: Callable[[str], None] = lambda message: None,
) -> float:
    """Return the share of an index's n-gram model under which its validation part is likeliest.

    Args:
        index: In the vocabulary of the model.
        read: Returns the log-probabilities, in nats, that the network gives the tokens of a stream, (N,).
        notify: Called with one line if the suffix array has to be made.

    Raises:
        ConfigError: If there is no validation part.
        CorpusError: If the training part is empty.
    """
    tokens, documents = index.tokens("valid")[:SHARE_TOKENS], index.documents("valid")
    if not len(tokens):
        raise ConfigError(f"--mix-ngram auto: {index.path} has no validation part to choose on; give a share")
    documents = np.append(documents[documents < len(tokens)], len(tokens))
    model = NgramModel(_suffixes(index, notify), len(index.tokenizer.tokens))
    return best_share(-read(tokens), model.cross_fitted(tokens, documents))


def open_lookups(
    index: TokenIndex,
    *,
    max_copy: int | None = None,
    mix_ngram: float | None = None,
    notify: Callable[[str], None] = lambda message: None,
) -> Lookups:
    """Make the training part of an index ready for what is asked of it while sampling.

    Args:
        index: In the vocabulary of the model. Its suffix array is made if it has none.
        max_copy: How many of its tokens may be copied in a row.
        mix_ngram: The share of its n-gram model, whose weights are fitted on the validation part.
        notify: Called with one line if the suffix array has to be made.

    Raises:
        CorpusError: If the training part is empty.
    """
    if not max_copy and not mix_ngram:
        return NO_LOOKUPS
    suffixes = _suffixes(index, notify)
    text, order = read_only(suffixes.text), read_only(suffixes.order)
    copying, mixing = CopyLimit(text, order, max_copy or 0), NO_MIX._replace(text=text, order=order)
    if mix_ngram:
        model = NgramModel(suffixes, len(index.tokenizer.tokens))
        if index.counts("valid")["tokens"]:
            model = model.fitted(index.tokens("valid"), index.documents("valid"))
        mixing = model.mix(mix_ngram)
    return Lookups(copying, mixing, index.content_hash)


def _suffixes(index: TokenIndex, notify: Callable[[str], None]) -> SuffixArray:
    if not index.counts("train")["tokens"]:
        raise CorpusError(f"{index.path}: its training part is empty; there is nothing to look up")
    return ensure_suffixes(index, notify=notify)

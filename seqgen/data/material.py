"""A corpus as it is about to be encoded: divided into parts, text and music alike."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seqgen.config import VocabConfig
from seqgen.data.building import Notify, build_text_tokenizer, check_options, trimmed_vocab
from seqgen.data.copies import CopiedTunes
from seqgen.data.corpus import Corpus
from seqgen.data.encoding import block_encoder
from seqgen.data.merges import learn_merges, merged_names
from seqgen.data.notes import NoteTokenizer
from seqgen.data.split import PartBlock, SplitPlan, plan_split, split_blocks
from seqgen.data.tokenizers import Tokenizer, make_tokenizer
from seqgen.data.tunes import SplitTune, Tunes, choose_encoding, read_tunes, split_tunes
from seqgen.data.vocab import Vocab
from seqgen.data.writer import Stretch, text_stretches, tune_stretches
from seqgen.errors import TokenError
from seqgen.music.preparing import parse_preparation

PARAMETERS = ("grid", "velocities", "programs", "tempos", "pedals", "chords")
"""What of the configuration of a vocabulary decides a note encoding."""


class Material(Protocol):
    """What vocabularies are built from and indexes are made of."""

    @property
    def how(self) -> str:
        """How it is divided: `given`, `hash` or `position`."""

    @property
    def documents(self) -> int:
        """How many documents there are before any is cut."""

    def build_tokenizer(
        self, config: VocabConfig, level: str, *, origin: Mapping[str, Any], notify: Notify
    ) -> Tokenizer:
        """Build the vocabulary of the training part."""

    def stretches(self, tokenizer: Tokenizer, dtype: DTypeLike) -> Iterable[Stretch]:
        """Encode all of it."""


class TextMaterial:
    """A text corpus, read in constant memory, once to divide it and once for every use."""

    def __init__(self, corpus: Corpus, shares: Sequence[float]) -> None:
        self._corpus = corpus
        self._shares = shares

    @cached_property
    def _plan(self) -> SplitPlan:
        return plan_split(self._corpus, self._shares)

    @property
    def how(self) -> str:
        """How it is divided: `given`, `hash` or `position`."""
        return self._plan.how

    @property
    def documents(self) -> int:
        """How many documents there are before any is cut."""
        return self._plan.documents

    def _blocks(self) -> Iterator[PartBlock]:
        return split_blocks(self._corpus, self._plan)

    def build_tokenizer(
        self, config: VocabConfig, level: str, *, origin: Mapping[str, Any], notify: Notify
    ) -> Tokenizer:
        """Build the vocabulary of the training part.

        Raises:
            ConfigError: If an option makes no sense at this level.
            TokenError: If no vocabulary of that size comes out of it.
        """
        check_options(config, level)
        return build_text_tokenizer(
            self._blocks, config, level, size=self._corpus.size, origin=origin, notify=notify
        )

    def stretches(self, tokenizer: Tokenizer, dtype: DTypeLike) -> Iterable[Stretch]:
        """Encode all of it."""
        size = self._corpus.size
        return text_stretches(self._blocks(), block_encoder(tokenizer, dtype, size=size), size=size)


class MusicMaterial:
    """A corpus of music; its tunes are parsed once and held in memory as symbol numbers."""

    def __init__(
        self,
        corpus: Corpus,
        shares: Sequence[float],
        tokenizer: Tokenizer | None,
        vocab: VocabConfig,
        notify: Notify,
    ) -> None:
        self._corpus = corpus
        self._shares = shares
        self._given = tokenizer
        self._wanted = vocab.notes
        asked = {name: getattr(vocab, name) for name in PARAMETERS}
        self._parameters = {name: value for name, value in asked.items() if value is not None}
        self._notify = notify
        config = corpus.config
        self._preparation, self._variation = parse_preparation(config.transpose, config.stretch, config.parts)

    @cached_property
    def _tunes(self) -> Tunes:
        read = partial(read_tunes, self._corpus, preparation=self._preparation, notify=self._notify)
        if isinstance(self._given, NoteTokenizer):
            return read(self._given.encoding)
        encoding = choose_encoding(
            self._corpus, self._wanted, self._parameters, preparation=self._preparation
        )
        if self._wanted == "auto":
            why = "single-line tunes" if encoding.name == "melody" else "several parts, or played"
            self._notify(f"note encoding {encoding.name} ({why}); --notes chooses")
        return read(encoding)

    @cached_property
    def _split(self) -> tuple[str, Iterable[SplitTune]]:
        how, tunes = split_tunes(self._tunes, self._shares)
        if not self._variation or all(tune.part for tune in tunes):
            return how, tunes
        copied = CopiedTunes(self._tunes, tunes, self._variation)
        self._notify(copied.summary())
        return how, copied

    @property
    def how(self) -> str:
        """How it is divided: `given`, `hash` or `position`."""
        return self._split[0]

    @property
    def documents(self) -> int:
        """How many tunes there are before any is cut."""
        return len(self._tunes.documents)

    def build_tokenizer(
        self, config: VocabConfig, level: str, *, origin: Mapping[str, Any], notify: Notify
    ) -> Tokenizer:
        """Build the vocabulary of the training part.

        Raises:
            ConfigError: If an option makes no sense for music.
            TokenError: If the training part is empty.
        """
        check_options(config, level)
        train = self._train()
        names = list(self._tunes.symbols)  # those of copies are among them by now
        totals = np.zeros(len(names), dtype=np.int64)
        for symbols in train:
            totals += np.bincount(symbols, minlength=len(names))
        counts = Counter({name: int(total) for name, total in zip(names, totals, strict=True) if total})
        if not counts:
            raise TokenError("the training part is empty; give it a larger share with --split")
        encoding = self._tunes.encoding
        options = {"notes": encoding.name, "parameters": encoding.parameters()}
        vocab = trimmed_vocab(level, counts, config, options=options, origin=origin)
        return make_tokenizer(self._with_merges(vocab, config.merges) if config.merges else vocab)

    def _train(self) -> Iterator[NDArray[np.uint32]]:
        return (tune.symbols for tune in self._split[1] if tune.part == 0)

    def _with_merges(self, vocab: Vocab, wanted: int) -> Vocab:
        """Learn merges from the training part, and count what it holds of all tokens."""
        ids_of = NoteTokenizer(vocab).single_ids(self._tunes.symbols)
        begins_bar = np.array([name.startswith("Bar") for name in vocab.tokens])
        train = (ids_of[symbols] for symbols in self._train())
        merges = learn_merges(train, wanted, size=len(vocab.tokens), begins_bar=begins_bar)
        tokens = (*vocab.tokens, *merged_names(vocab.tokens, merges))
        if len(tokens) < len(vocab.tokens) + wanted:
            found = len(tokens) - len(vocab.tokens)
            self._notify(f"--merges {wanted:,}: only {found:,} pairs occur more than once")
        if not merges:
            return vocab
        vocab = replace(
            vocab, tokens=tokens, counts=(), options={**vocab.options, "merges": [list(m) for m in merges]}
        )
        tokenizer = NoteTokenizer(vocab)
        counts = np.zeros(len(tokens), dtype=np.int64)
        for symbols in self._train():
            counts += np.bincount(tokenizer.merge(ids_of[symbols]), minlength=len(tokens))
        return replace(vocab, counts=tuple(counts.tolist()))

    def stretches(self, tokenizer: Tokenizer, dtype: DTypeLike) -> Iterable[Stretch]:
        """Encode all of it."""
        if not isinstance(tokenizer, NoteTokenizer):
            raise TokenError(f"a vocabulary of level {tokenizer.level} cannot encode music")
        divided = self._split[1]
        ids_of = tokenizer.single_ids(self._tunes.symbols)
        return tune_stretches(divided, lambda symbols: tokenizer.merge(ids_of[symbols]).astype(dtype))

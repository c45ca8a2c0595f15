"""Sentence pairs for translation: read, divided by their sources, and turned into ids.

A pair belongs to a part by a hash of its source sentence, so that no source is in two parts, however many
translations it has. Letter case and white space do not make another source.
"""

import unicodedata
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.config import Config, VocabConfig
from seqgen.data.blocks import block_of
from seqgen.data.building import build_text_tokenizer
from seqgen.data.index import PARTS
from seqgen.data.readers import read_text
from seqgen.data.split import PartBlock, assign_parts
from seqgen.data.tokenizers import EOS_ID, Tokenizer
from seqgen.data.vocab import canonical_hash
from seqgen.errors import ConfigError, CorpusError

Notify = Callable[[str], None]
Ids = NDArray[np.int64]

MOST_SUBWORDS, FEWEST_SUBWORDS = 8000, 500
_CHARS_A_SUBWORD = 150
"""A vocabulary of subwords has one for so many characters of training text, within the two bounds above."""
_SPACED = ("word", "subword")
"""Levels whose tokens hold the space before them."""
_WIDE = "WF"
"""The East Asian widths of characters in text that is written without spaces."""


class Pair(NamedTuple):
    """A sentence and a translation of it."""

    source: str
    target: str


class Example(NamedTuple):
    """A pair as ids, each side ended by EOS: (S,) and (T,)."""

    source: Ids
    target: Ids


def read_pairs(files: Sequence[Path], *, encoding: str = "utf-8", notify: Notify) -> list[Pair]:
    """Read pairs from one file with a TAB between the sides, or from two files aligned line by line.

    Args:
        files: One or two; their text may be gzip-compressed.
        encoding: Of the text.
        notify: Called with one line on columns that are not used.

    Raises:
        CorpusError: With the line, if a row has too few columns or not as many as the first, if only one
            side of a pair is empty, or if two files are not of equal length.
    """
    match [(file, read_lines(file, encoding)) for file in files]:
        case [(file, lines)]:
            pairs = _columns(file, lines, notify)
        case [(first, sources), (second, targets)]:
            pairs = _aligned(first, sources, second, targets)
        case _:
            raise ConfigError(
                f"--task translate reads a file of TAB-separated pairs or two aligned ones, not {len(files)}"
            )
    if not pairs:
        raise CorpusError(f"{files[0]}: holds no pairs")
    return pairs


def read_lines(file: Path, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a text, which may be gzip-compressed, without their ends.

    Raises:
        CorpusError: If the file cannot be read as such.
    """
    text = read_text(file, encoding)
    return text.removesuffix("\n").split("\n") if text else []


def _columns(file: Path, lines: list[str], notify: Notify) -> list[Pair]:
    pairs, width = [], 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) < 2:
            raise CorpusError(f"{file}, line {number}: 1 column; a pair is a source, a TAB and its target")
        width = width or len(cells)
        if len(cells) != width:
            raise CorpusError(f"{file}, line {number}: {len(cells)} columns, where the first row has {width}")
        pairs.append(_pair(cells[0], cells[1], f"{file}, line {number}"))
    if width > 2:
        notify(f"{file}: of {width} columns the first two are read as source and target")
    return pairs


def _aligned(first: Path, sources: list[str], second: Path, targets: list[str]) -> list[Pair]:
    if len(sources) != len(targets):
        raise CorpusError(
            f"{first} has {len(sources):,} lines and {second} has {len(targets):,}; "
            "aligned files have a translation on every line"
        )
    return [
        _pair(source, target, f"{second if source.strip() else first}, line {number}")
        for number, (source, target) in enumerate(zip(sources, targets, strict=True), 1)
        if source.strip() or target.strip()
    ]


def _pair(source: str, target: str, place: str) -> Pair:
    pair = Pair(source.strip(), target.strip())
    if not all(pair):
        side = "target" if pair.source else "source"
        raise CorpusError(f"{place}: the {side} is empty; give it a text or leave the pair out")
    return pair


def source_key(source: str) -> str:
    """Return what two spellings of the same source have in common."""
    return " ".join(unicodedata.normalize("NFC", source).casefold().split())


def split_pairs(pairs: Sequence[Pair], shares: Sequence[float]) -> dict[str, list[Pair]]:
    """Divide pairs into train, valid and test by their sources."""
    digests = [zlib.crc32(source_key(pair.source).encode()) for pair in pairs]
    parts: dict[str, list[Pair]] = {part: [] for part in PARTS}
    for pair, number in zip(pairs, assign_parts(digests, shares), strict=True):
        parts[PARTS[number]].append(pair)
    return parts


def with_references(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Return every distinct source with all its translations."""
    references: dict[str, list[str]] = {}
    for pair in pairs:
        references.setdefault(pair.source, []).append(pair.target)
    return references


def encode_sentence(tokenizer: Tokenizer, sentence: str) -> Ids:
    """Return the ids of a sentence and EOS, (S,).

    At levels whose tokens hold the space before them the sentence gets one in front, so that its first word
    is the token that it is elsewhere; not where it is of a script that is written without spaces.
    """
    text = sentence.strip()
    if tokenizer.level in _SPACED and text and unicodedata.east_asian_width(text[0]) not in _WIDE:
        text = " " + text
    return np.append(tokenizer.encode(text).astype(np.int64), EOS_ID)


def decode_sentence(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """Return the sentence of ids; its line ends are spaces, so that a sentence is a line."""
    return " ".join(str(tokenizer.decode(ids)).splitlines()).strip()


@dataclass(frozen=True)
class PairCorpus:
    """Pairs divided into parts, with the tokenizers of both sides.

    Attributes:
        target_tokenizer: The same object as `tokenizer` where the vocabulary is shared.
        corpus_hash: sha256 over all pairs in their order.
    """

    parts: dict[str, list[Pair]]
    tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    corpus_hash: str

    @property
    def content_hash(self) -> str:
        """sha256 over the pairs and both vocabularies."""
        tokenizers = [self.tokenizer.content_hash, self.target_tokenizer.content_hash]
        return canonical_hash([self.corpus_hash, *tokenizers])

    def examples(self, part: str) -> list[Example]:
        """Return the pairs of a part as ids."""
        return [
            Example(
                encode_sentence(self.tokenizer, pair.source),
                encode_sentence(self.target_tokenizer, pair.target),
            )
            for pair in self.parts[part]
        ]


def load_pairs(
    files: Sequence[Path],
    config: Config,
    *,
    given: Mapping[str, Sequence[Path]] = {},
    tokenizers: tuple[Tokenizer, Tokenizer] | None = None,
    notify: Notify,
) -> PairCorpus:
    """Read pairs, divide them and build the vocabularies that are not given.

    Args:
        files: One file of pairs, or two aligned ones.
        config: How to read and divide them, and what tokens are.
        given: The files of other parts, by name; where there are any, all of `files` is for training.
        tokenizers: Of both sides.
        notify: Called with one line on each choice made for the user.

    Raises:
        CorpusError: If the pairs cannot be read, or none is left to train on.
        ConfigError: If an option makes no sense at its level.
    """
    encoding = config.corpus.encoding
    pairs = read_pairs(files, encoding=encoding, notify=notify)
    apart = {name: own for name, own in given.items() if own}
    parts = split_pairs(pairs, (1.0, 0.0, 0.0) if apart else config.index.split)
    parts |= {name: read_pairs(own, encoding=encoding, notify=notify) for name, own in apart.items()}
    if not parts["train"]:
        raise CorpusError(f"{files[0]}: no pair falls into the training part; give it a larger --split share")
    digest = canonical_hash([[list(pair) for pair in part] for part in parts.values()])
    chosen = tokenizers or _build_tokenizers(parts["train"], config, digest, notify)
    return PairCorpus(parts, *chosen, digest)


def repeated_targets(parts: dict[str, list[Pair]], part: str) -> int:
    """Count the pairs of a part whose target is one of training: those take no translating, only recall."""
    known = {pair.target for pair in parts["train"]}
    return sum(pair.target in known for pair in parts[part])


def repeated_sources(parts: dict[str, list[Pair]], part: str) -> int:
    """Count the pairs of a part whose source is one of training; 0 where pairs were divided by source."""
    known = {source_key(pair.source) for pair in parts["train"]}
    return sum(source_key(pair.source) in known for pair in parts[part])


def _build_tokenizers(
    pairs: list[Pair], config: Config, digest: str, notify: Notify
) -> tuple[Tokenizer, Tokenizer]:
    options = config.translate
    sides = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    own = config.vocab
    if options.shared_vocab:
        if options.target_level not in ("auto", own.level) or options.target_max_size is not None:
            raise ConfigError(
                "--shared-vocab: source and target have one vocabulary; leave out the target's options"
            )
        shared = _build_tokenizer(sides[0] + sides[1], own, digest, "source and target", notify)
        return shared, shared
    target = VocabConfig(
        level=options.target_level if options.target_level != "auto" else own.level,
        normalize=own.normalize,
        lowercase=own.lowercase,
        min_count=own.min_count,
        max_size=options.target_max_size or own.max_size,
        subword=own.subword,
    )
    return (
        _build_tokenizer(sides[0], own, digest, "source", notify),
        _build_tokenizer(sides[1], target, digest, "target", notify),
    )


def _build_tokenizer(
    sentences: list[str], config: VocabConfig, digest: str, side: str, notify: Notify
) -> Tokenizer:
    level = sentence_level(sentences) if config.level == "auto" else config.level
    if level == "note":
        raise ConfigError("--level note: translation is of text; choose char, byte, word or subword")
    texts = [text if unicodedata.east_asian_width(text[0]) in _WIDE else " " + text for text in sentences]
    block = _one_block(texts if level in _SPACED else sentences)
    size = config.max_size
    if level == "subword" and size is None:
        size = _suited_size(sum(map(len, sentences)))
    settled: dict[str, Any] = {name: getattr(config, name) for name in ("normalize", "lowercase", "subword")}
    if level in ("char", "word"):
        settled["min_count"] = config.min_count
    tokenizer = build_text_tokenizer(
        lambda: iter([block]),
        VocabConfig(level=level, max_size=size if level != "byte" else None, **settled),  # type: ignore[arg-type]
        level,
        size=len(block.data),
        origin={"corpus_hash": digest, "side": side},
        notify=lambda message: notify(f"{side}: {message}"),
    )
    notify(f"{side}: {len(tokenizer.tokens):,} tokens at level {tokenizer.level}")
    return tokenizer


def sentence_level(sentences: Sequence[str]) -> str:
    """Return what suits sentences that no level was given for: characters where words are not spaced."""
    spaced = sum(" " in sentence for sentence in sentences)
    wide = sum(unicodedata.east_asian_width(sentence[0]) in _WIDE for sentence in sentences)
    return "char" if wide > spaced else "subword"


def _suited_size(chars: int) -> int:
    return min(MOST_SUBWORDS, max(FEWEST_SUBWORDS, chars // _CHARS_A_SUBWORD))


def _one_block(texts: Iterable[str]) -> PartBlock:
    """Return sentences as documents of the training part."""
    block = block_of(text.encode() for text in texts)
    count = len(block.starts)
    whole = np.ones(count, dtype=bool)
    return PartBlock(block.data, block.starts, block.ends, np.zeros(count, dtype=np.uint8), whole, whole)


def aligned(sequences: Sequence[Ids], *, fill: int, at_end: bool = False) -> Ids:
    """Return sequences side by side, time first, as (longest, B): all begin, or `at_end` end, together."""
    longest = max(map(len, sequences))
    array = np.full((longest, len(sequences)), fill, dtype=np.int64)
    for row, ids in enumerate(sequences):
        array[longest - len(ids) if at_end else 0 :, row][: len(ids)] = ids
    return array


def lengths_of(sequences: Iterable[Ids]) -> Ids:
    """Return how long each sequence is, (B,)."""
    return np.fromiter(map(len, sequences), dtype=np.int64)

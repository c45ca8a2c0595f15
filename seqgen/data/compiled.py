"""The compiled twins of the tokenizers, for corpora large enough to be worth loading a compiler for.

Each gives exactly what `encode` of its tokenizer gives, document by document, from bytes and without the
interpreter in between; threads can share the work.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seqgen.data.blocks import Offsets
from seqgen.data.encoding import Encoded
from seqgen.data.normalization import active_characters
from seqgen.data.split import PartBlock
from seqgen.data.tokenizers import UNK_ID, ByteTokenizer, CharTokenizer, prepare
from seqgen.data.words import APOSTROPHES, HAN, REPEATED, WordTokenizer, word_class
from seqgen.kernels import text as kernels

_CODE_POINTS = 0x110000
_FIRST_SLOTS = 1 << 16


class CompiledChars:
    """Characters to ids."""

    def __init__(self, tokenizer: CharTokenizer, dtype: DTypeLike) -> None:
        self._table = tokenizer.table.astype(dtype)
        self._options = tokenizer.vocab.options

    def __call__(self, block: PartBlock) -> Encoded:
        """Encode every piece."""
        block = prepare_block(block, self._options)
        out, lengths = _room(block, self._table.dtype)
        data = _bytes(block)
        filled = kernels.char_ids(data, block.starts, block.ends, block.closes, self._table, out, lengths)
        return Encoded(out[:filled], lengths)


class CompiledBytes:
    """Bytes to ids."""

    def __init__(self, tokenizer: ByteTokenizer, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)

    def __call__(self, block: PartBlock) -> Encoded:
        """Encode every piece."""
        out, lengths = _room(block, self._dtype)
        filled = kernels.byte_ids(_bytes(block), block.starts, block.ends, block.closes, out, lengths)
        return Encoded(out[:filled], lengths)


class CompiledWords:
    """Words to ids, by a hash table over the vocabulary."""

    def __init__(self, tokenizer: WordTokenizer, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._options = tokenizer.vocab.options
        self._classes = character_classes(tokenizer.scheme)
        words = [b"" if i <= UNK_ID else token.encode() for i, token in enumerate(tokenizer.tokens)]
        edges = np.cumsum([0, *map(len, words)], dtype=np.int64)
        text = np.frombuffer(b"".join(words), dtype=np.uint8)
        self._words = (*_empty_slots(4 * len(words)), text, edges[:-1].copy(), edges[1:].copy())
        kernels.fill_slots(*self._words)

    def __call__(self, block: PartBlock) -> Encoded:
        """Encode every piece."""
        words, lengths = _find_words(prepare_block(block, self._options), self._classes)
        out = np.empty(len(words[1]), self._dtype)
        kernels.word_ids(*words, *self._words, out)
        return Encoded(out, lengths)


def count_chars(block: PartBlock, options: Mapping[str, Any]) -> Counter[str]:
    """Count the characters of all pieces."""
    block = prepare_block(block, options)
    counts = np.zeros(_CODE_POINTS, dtype=np.int64)
    kernels.count_chars(_bytes(block), block.starts, block.ends, counts)
    return Counter({chr(point): int(counts[point]) for point in np.flatnonzero(counts)})


def count_words(block: PartBlock, options: Mapping[str, Any]) -> Counter[str]:
    """Count the word tokens of all pieces."""
    block = prepare_block(block, options)._replace(closes=np.zeros(len(block.starts), dtype=bool))
    words, _ = _find_words(block, character_classes(options["words"]))
    size = _FIRST_SLOTS
    while True:
        starts, ends, counts = (np.empty(size, dtype=np.int64) for _ in range(3))
        found = kernels.distinct_words(*words, *_empty_slots(size), starts, ends, counts)
        if found >= 0:
            break
        size *= 8
    places = zip(starts[:found].tolist(), ends[:found].tolist(), counts[:found].tolist(), strict=True)
    return Counter({block.data[start:end].decode(): count for start, end, count in places})


def prepare_block(block: PartBlock, options: Mapping[str, Any]) -> PartBlock:
    """Lowercase and normalise a block, as `prepare` does a text, touching only what has to change."""
    if block.data.isascii():
        return block._replace(data=block.data.lower()) if options.get("lowercase") else block
    normal = options.get("normalize") != "nfc" or not kernels.holds_marked(_bytes(block), active_characters())
    if normal and not options.get("lowercase"):
        return block
    edges = zip(block.starts.tolist(), block.ends.tolist(), strict=True)
    texts = [prepare(block.data[start:end].decode(), options).encode() for start, end in edges]
    places = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return block._replace(data=b"".join(texts), starts=places[:-1], ends=places[1:])


@lru_cache(maxsize=2)
def character_classes(scheme: str) -> NDArray[np.uint8]:
    """Return the class of every code point, taken from the very patterns that `cut_words` uses."""
    classes = np.full(_CODE_POINTS, kernels.MARK, dtype=np.uint8)
    every = "".join(map(chr, range(_CODE_POINTS)))
    sets = {r"\S": kernels.WORD, r"\s": kernels.BLANK}
    if scheme == "words":
        sets = {f"[{word_class()}]": kernels.WORD, f"[{HAN}]": kernels.SINGLE, r"\s": kernels.BLANK}
        sets |= {f"[{APOSTROPHES}]": kernels.APOSTROPHE, f"[{re.escape(REPEATED)}]": kernels.REPEATED}
    for pattern, kind in sets.items():
        for match in re.finditer(f"{pattern}+", every):
            classes[match.start() : match.end()] = kind
    classes[ord("\n")], classes[ord(" ")] = kernels.NEWLINE, kernels.SPACE
    return classes


def _bytes(block: PartBlock) -> NDArray[np.uint8]:
    return np.frombuffer(block.data, dtype=np.uint8)


def _room(block: PartBlock, dtype: np.dtype[Any]) -> tuple[NDArray[Any], Offsets]:
    return np.empty(len(block.data) + len(block.starts), dtype), np.empty(len(block.starts), np.int64)


def _find_words(block: PartBlock, classes: NDArray[np.uint8]) -> tuple[tuple[NDArray[Any], ...], Offsets]:
    """Return the bytes of a block, starts, ends and hashes of its tokens, and the tokens of every piece."""
    data = _bytes(block)
    room = len(data) + len(block.starts)
    starts, ends = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    hashes, lengths = np.empty(room, dtype=np.uint64), np.empty(len(block.starts), dtype=np.int64)
    pieces = (block.starts, block.ends, block.closes)
    found = kernels.find_words(data, *pieces, classes, starts, ends, hashes, lengths)
    return (data, starts[:found], ends[:found], hashes[:found]), lengths


def _empty_slots(wanted: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the keys and the slots of an empty hash table."""
    size = 1 << max(wanted - 1, 1).bit_length()
    return np.empty(size, dtype=np.uint64), np.full(size, -1, dtype=np.int32)

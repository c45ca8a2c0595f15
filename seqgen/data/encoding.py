"""Blocks of text to token ids, in parallel where that pays."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seqgen.data.blocks import Offsets
from seqgen.data.split import PartBlock
from seqgen.data.tokenizers import EOS_ID, ByteTokenizer, CharTokenizer, Tokenizer
from seqgen.data.words import WordTokenizer
from seqgen.runtime import cpu_count

WORTH_COMPILING = 4_000_000
"""Bytes from which a compiled tokenizer makes up for the time it takes to load."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Encoded(NamedTuple):
    """The ids of all pieces of a block, one after the other, and how many each piece has, EOS included."""

    ids: NDArray[np.unsignedinteger]
    lengths: Offsets


BlockEncoder = Callable[[PartBlock], Encoded]


def block_encoder(tokenizer: Tokenizer, dtype: DTypeLike, *, size: int) -> BlockEncoder:
    """Return what encodes the blocks of a corpus.

    Args:
        tokenizer: A text tokenizer.
        dtype: The type of the ids.
        size: Bytes of the corpus.
    """
    if size >= WORTH_COMPILING:
        from seqgen.data.compiled import CompiledBytes, CompiledChars, CompiledWords

        if isinstance(tokenizer, CharTokenizer):
            return CompiledChars(tokenizer, dtype)
        if isinstance(tokenizer, ByteTokenizer):
            return CompiledBytes(tokenizer, dtype)
        if isinstance(tokenizer, WordTokenizer):
            return CompiledWords(tokenizer, dtype)
    return lambda block: encode_pieces(block, tokenizer, dtype)


def encode_pieces(block: PartBlock, tokenizer: Tokenizer, dtype: DTypeLike) -> Encoded:
    """Encode every piece by itself."""
    end = np.array([EOS_ID], dtype=dtype)
    ids: list[NDArray[Any]] = []
    lengths = []
    for text, closes in zip(piece_texts(block), block.closes.tolist(), strict=True):
        tokens = tokenizer.encode(text)
        ids.append(tokens.astype(dtype))
        if closes:
            ids.append(end)
        lengths.append(len(tokens) + closes)
    return Encoded(np.concatenate([np.zeros(0, dtype), *ids]), np.array(lengths, dtype=np.int64))


def piece_texts(block: PartBlock) -> Iterator[str]:
    """Yield the text of every piece."""
    edges = zip(block.starts.tolist(), block.ends.tolist(), strict=True)
    return (block.data[start:end].decode() for start, end in edges)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, size: int
) -> Iterator[tuple[Item, Result]]:
    """Apply a function that leaves the interpreter to others, and yield items and results in order.

    Only a few items are in memory at any time; where the corpus is small, nothing is started.
    """
    workers = cpu_count()
    if size < WORTH_COMPILING or workers == 1:
        yield from ((item, function(item)) for item in items)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > workers:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()

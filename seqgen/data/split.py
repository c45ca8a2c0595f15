"""Which text is for training, which for validation, which for the test.

A document belongs to a part by a hash of its content, so equal documents never lie on both sides. Where there
are too few documents to give every requested part one, each document is cut at the character where its share
ends instead. A corpus that comes in parts keeps them.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from seqgen.data.blocks import BLOCK_BYTES, Block, Offsets, char_offset, piece_chars, pieces
from seqgen.data.corpus import Corpus
from seqgen.data.index import PARTS
from seqgen.data.readers import UnreadableError
from seqgen.data.sources import Source
from seqgen.errors import CorpusError


@dataclass(frozen=True)
class SplitPlan:
    """How a corpus is divided.

    Attributes:
        how: `hash`, `position` or `given`.
        documents: How many documents there are before any is cut.
        parts: The number of the part of every document, where whole documents are assigned.
        edges: Where each document is cut, in characters, (documents, 4), where position decides:
            part p is from edge p to edge p + 1.
    """

    how: str
    documents: int
    parts: bytearray = field(default_factory=bytearray, repr=False)
    edges: NDArray[np.int64] | None = field(default=None, repr=False)


class PartBlock(NamedTuple):
    """A block of which every piece belongs to one part.

    `opens` tells which pieces begin a document of their part, `closes` which end the document they are of:
    those are followed by EOS.
    """

    data: bytes
    starts: Offsets
    ends: Offsets
    parts: NDArray[np.uint8]
    opens: NDArray[np.bool_]
    closes: NDArray[np.bool_]

    def of_part(self, part: int) -> "PartBlock | None":
        """Return the pieces of one part alone, if there are any."""
        mine = self.parts == part
        if mine.all():
            return self
        if not mine.any():
            return None
        return PartBlock(self.data, *(array[mine] for array in self[1:]))


def plan_split(corpus: Corpus, shares: Sequence[float]) -> SplitPlan:
    """Read a text corpus once, checking its encoding, and decide how to divide it.

    Raises:
        CorpusError: If something cannot be read and may not be skipped, or no document is left.
    """
    scan = _Scan(shares)
    for source in list(corpus.sources):
        try:
            scan.read(source, corpus)
        except UnreadableError as error:
            corpus.drop(source, error)
    documents = len(scan.parts)
    corpus.require_content(documents)
    if corpus.has_given_parts:
        return SplitPlan("given", documents, scan.parts)
    if not scan.missing:
        return SplitPlan("hash", documents, scan.parts)
    edges = np.array([cut_edges(length, shares) for length in scan.lengths], dtype=np.int64)
    return SplitPlan("position", documents, edges=edges)


class _Scan:
    """What one pass over the corpus gathers; a source that fails midway leaves no trace."""

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = shares
        self.missing = {part for part, share in enumerate(shares) if share > 0}
        """The numbers of the requested parts that no document belongs to so far."""
        self.parts = bytearray()
        self.lengths = array("q")

    def read(self, source: Source, corpus: Corpus) -> None:
        parts, lengths, missing = bytearray(), array("q"), set(self.missing)
        digest = length = 0
        for block in corpus.blocks(source):
            digests = _digests(block, digest)
            # Lengths only matter while some part may have to be cut out of the documents.
            counts = _lengths(block, length) if missing else [0] * len(digests)
            digest, length = (0, 0) if block.closes else (digests.pop(), counts.pop())
            assigned = _assign(digests, source, self.shares)
            missing -= set(assigned)
            parts += assigned
            lengths = lengths + array("q", counts) if missing else array("q")
        self.parts += parts
        self.missing = missing
        self.lengths = self.lengths + lengths if missing else array("q")


def _digests(block: Block, carried: int) -> list[int]:
    """Return the CRC-32 of every piece; the first goes on from what was carried over."""
    if block.begins:
        return [crc32(piece) for piece in pieces(block)]
    first, *others = pieces(block)
    return [crc32(first, carried), *map(crc32, others)]


def _lengths(block: Block, carried: int) -> list[int]:
    """Return the characters of every piece; the first goes on from what was carried over."""
    counts: list[int] = piece_chars(block.data, block.starts, block.ends).tolist()
    counts[0] += carried
    return counts


def _assign(digests: list[int], source: Source, shares: Sequence[float]) -> bytes:
    if source.part:
        return PARTS.index(source.part).to_bytes() * len(digests)
    return assign_parts(digests, shares)


def assign_parts(digests: Sequence[int], shares: Sequence[float]) -> bytes:
    """Return the number of the part of documents by the 32-bit hashes of their content."""
    # Multiplying spreads the hashes of short documents, which differ in few bits, over the whole range.
    places = np.array(digests, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32) / 2**32
    bounds = np.cumsum(shares)[:-1] / sum(shares)
    return np.searchsorted(bounds, places, side="right").astype(np.uint8).tobytes()


def cut_edges(length: int, shares: Sequence[float]) -> list[int]:
    """Return where a document of that length is cut: part p lies from edge p to edge p + 1."""
    total = sum(shares)
    return [int(length * sum(shares[:part]) / total) for part in range(len(shares))] + [length]


def split_blocks(corpus: Corpus, plan: SplitPlan) -> Iterator[PartBlock]:
    """Read a corpus again, with every piece assigned to its part."""
    return _gathered(_split_blocks(corpus, plan))


def _split_blocks(corpus: Corpus, plan: SplitPlan) -> Iterator[PartBlock]:
    document = 0  # the number of the document that the next piece is of
    passed = 0  # characters of it that were in former blocks
    for block in corpus.blocks_again():
        if plan.edges is None:
            yield _assigned(block, plan.parts, document)
        else:
            sizes = piece_chars(block.data, block.starts, block.ends).tolist()
            yield _cut(block, plan.edges[document : document + len(sizes)].tolist(), sizes, passed)
            inside = 0 if block.begins or len(sizes) > 1 else passed
            passed = 0 if block.closes else inside + sizes[-1]
        document += len(block.starts) - (not block.closes)


def _gathered(blocks: Iterable[PartBlock]) -> Iterator[PartBlock]:
    """Join blocks of many small files, because every block costs a little time of its own."""
    waiting: list[PartBlock] = []
    size = 0
    for block in blocks:
        if size + len(block.data) > BLOCK_BYTES and waiting:
            yield _join(waiting)
            waiting, size = [], 0
        waiting.append(block)
        size += len(block.data)
    if waiting:
        yield _join(waiting)


def _join(blocks: list[PartBlock]) -> PartBlock:
    if len(blocks) == 1:
        return blocks[0]
    shifts = np.cumsum([0, *(len(block.data) for block in blocks)])
    return PartBlock(
        b"".join(block.data for block in blocks),
        np.concatenate([block.starts + shift for block, shift in zip(blocks, shifts, strict=False)]),
        np.concatenate([block.ends + shift for block, shift in zip(blocks, shifts, strict=False)]),
        *(np.concatenate(arrays) for arrays in zip(*(block[3:] for block in blocks), strict=True)),
    )


def _assigned(block: Block, parts: bytearray, document: int) -> PartBlock:
    count = len(block.starts)
    opens, closes = np.ones(count, dtype=bool), np.ones(count, dtype=bool)
    opens[0], closes[-1] = block.begins, block.closes
    numbers = np.frombuffer(parts[document : document + count], dtype=np.uint8)
    if len(numbers) < count:
        raise CorpusError("the corpus changed while it was read; try again")
    return PartBlock(block.data, block.starts, block.ends, numbers, opens, closes)


def _cut(block: Block, edges: list[list[int]], sizes: list[int], passed: int) -> PartBlock:
    """Cut every piece where the shares of its document end.

    Args:
        block: The pieces.
        edges: For each piece, where its document is cut, in characters.
        sizes: For each piece, its characters.
        passed: Characters of the first document that came before this block.
    """
    rows: list[tuple[int, int, int, bool, bool]] = []
    last = len(sizes) - 1
    for number, (start, end) in enumerate(zip(block.starts.tolist(), block.ends.tolist(), strict=True)):
        before = passed if number == 0 else 0
        size, whole = sizes[number], edges[number][-1]
        closing = number < last or block.closes
        for part, (edge, next_edge) in enumerate(pairwise(edges[number])):
            low, high = max(edge - before, 0), min(next_edge - before, size)
            # An empty rest of a document still closes it, in the part that its last character is in.
            if low < high or (closing and size == 0 and edge < next_edge == before):
                data = block.data[start:end] if low > 0 or high < size else b""
                first = start + char_offset(data, low) if low else start
                final = start + char_offset(data, high) if high < size else end
                rows.append((first, final, part, before + low == edge, closing and before + high == whole))
    starts, ends, parts, opens, closes = zip(*rows, strict=True) if rows else ((),) * 5
    return PartBlock(
        block.data,
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        np.array(parts, dtype=np.uint8),
        np.array(opens, dtype=bool),
        np.array(closes, dtype=bool),
    )

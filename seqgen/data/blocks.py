"""Text as blocks of UTF-8 bytes that hold documents, or stretches of one.

A corpus of any size passes through here a few megabytes at a time. A block is cut only where tokens end for
certain: after a line end, else before a space, else where no character combines with the one before it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.data.normalization import is_inert

BLOCK_BYTES = 1 << 21
_SEARCHED_BYTES = 4096

Offsets = NDArray[np.int64]

_BLANK_LINES = re.compile(rb"\n(?:[ \t]*\n)+")
_LEADING_BLANK_LINES = re.compile(rb"(?:[ \t]*\n)+")
_TRAILING_LINE_END = re.compile(rb"(?:\n|\A)[ \t]*\Z")


class Block(NamedTuple):
    """A stretch of a source. Piece i is `data[starts[i]:ends[i]]`; what lies between pieces is no content.

    Every piece is a whole document, save that the first may go on from the block before, and the last may
    go on in the block after.
    """

    data: bytes
    starts: Offsets
    ends: Offsets
    begins: bool = True
    """Whether the first piece begins its document."""
    closes: bool = True
    """Whether the last piece ends its document."""


def block_of(documents: Iterable[bytes]) -> Block:
    """Return whole documents as one block."""
    documents = list(documents)
    edges = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return Block(b"".join(documents), edges[:-1], edges[1:])


def cut_documents(chunks: Iterable[bytes], documents: str) -> Iterator[Block]:
    """Cut a text into documents.

    Args:
        chunks: The text as UTF-8.
        documents: `files` (all of it is one), `lines`, or `paragraphs` (parted by blank lines).
            A line or paragraph does not hold the line end that closes it; an empty one is no document.
    """
    find, best_cut = _DOCUMENTS[documents]
    inside = False  # a document, because the block before ended in the midst of it
    for data, last in _cut_safely(chunks, best_cut):
        starts, ends, closes = find(data, inside, last)
        keep = ends > starts
        if inside:
            keep[0] = True  # even an empty rest closes its document
        if keep.any():
            yield Block(data, starts[keep], ends[keep], begins=not inside, closes=closes)
            inside = not closes


def _cut_safely(chunks: Iterable[bytes], best_cut: Callable[[bytes], int]) -> Iterator[tuple[bytes, bool]]:
    """Join chunks and cut them anew at good places; the last stretch is marked, and never empty."""
    ready = held = b""
    for chunk in chunks:
        held += chunk
        if len(held) < BLOCK_BYTES:
            continue
        cut = best_cut(held)
        if cut:
            if ready:
                yield ready, False
            ready, held = held[:cut], held[cut:]
    if ready:
        yield ready, not held
    if held:
        yield held, True


def _after_line(data: bytes) -> int:
    place = data.rfind(b"\n")
    return place + 1 if place >= 0 else _between_words(data)


def _after_blank_line(data: bytes) -> int:
    place = data.rfind(b"\n\n")
    if place >= 0:
        return place + 2
    place = data.rfind(b"\n")  # not after it: a blank line may follow
    return place if place > 0 else _between_words(data)


def _between_words(data: bytes) -> int:
    place = data.rfind(b" ")
    return place if place > 0 else _before_inert(data)


def _before_inert(data: bytes) -> int:
    """Return the place of the last character that combines with nothing before it, or 0."""
    for place in range(len(data) - 1, max(len(data) - _SEARCHED_BYTES, 0), -1):
        if data[place] & 0xC0 != 0x80:  # a character begins here; the last one may be cut short
            char = data[place : place + 4].decode("utf-8", "ignore")[:1]
            if char and is_inert(char):
                return place
    return 0


def _whole(data: bytes, inside: bool, last: bool) -> tuple[Offsets, Offsets, bool]:
    return np.array([0]), np.array([len(data)]), last


def _lines(data: bytes, inside: bool, last: bool) -> tuple[Offsets, Offsets, bool]:
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))
    closed = data.endswith(b"\n")
    starts = np.concatenate([np.zeros(1, np.int64), ends + 1])
    return (starts[:-1], ends, True) if closed else (starts, np.append(ends, len(data)), last)


def _paragraphs(data: bytes, inside: bool, last: bool) -> tuple[Offsets, Offsets, bool]:
    gaps = [match.span() for match in _BLANK_LINES.finditer(data)]
    leading = None if inside else _LEADING_BLANK_LINES.match(data)
    if leading:
        gaps = [leading.span(), *(gap for gap in gaps if gap[0] >= leading.end())]
    trailing = _TRAILING_LINE_END.search(data) if last else None
    if trailing:
        gaps.append((max(trailing.start(), gaps[-1][1] if gaps else 0), trailing.end()))
    closed = bool(gaps) and gaps[-1][1] == len(data)
    edges = [0, *(edge for gap in gaps for edge in gap)] + ([] if closed else [len(data)])
    starts, ends = np.array(edges[: len(edges) // 2 * 2], dtype=np.int64).reshape(-1, 2).T
    return starts, ends, closed or last


_DOCUMENTS = {
    "files": (_whole, _after_line),
    "lines": (_lines, _after_line),
    "paragraphs": (_paragraphs, _after_blank_line),
}


def char_count(data: bytes) -> int:
    """Count the characters of valid UTF-8."""
    if data.isascii():
        return len(data)
    return int(np.count_nonzero(leading_bytes(data)))


def leading_bytes(data: bytes) -> NDArray[np.bool_]:
    """Tell which bytes of UTF-8 begin a character."""
    # As signed numbers, the bytes that continue a character are the least 64.
    begins: NDArray[np.bool_] = np.frombuffer(data, dtype=np.int8) >= -64
    return begins


def piece_chars(data: bytes, starts: Offsets, ends: Offsets) -> Offsets:
    """Count the characters of every piece `data[starts[i]:ends[i]]` of valid UTF-8."""
    if data.isascii():
        return ends - starts
    if len(starts) == 1:
        return np.array([char_count(data[starts[0] : ends[0]])])
    passed: Offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(leading_bytes(data))])
    counts: Offsets = passed[ends] - passed[starts]
    return counts


def char_offset(data: bytes, chars: int) -> int:
    """Return the byte offset at which `chars` characters of valid UTF-8 have passed."""
    if data.isascii():
        return min(chars, len(data))
    begins = np.flatnonzero(leading_bytes(data))
    return int(begins[chars]) if chars < len(begins) else len(data)


def pieces(block: Block) -> Iterator[bytes]:
    """Yield the content of every piece."""
    edges = zip(block.starts.tolist(), block.ends.tolist(), strict=True)
    return (block.data[start:end] for start, end in edges)

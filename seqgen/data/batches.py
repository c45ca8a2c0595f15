"""Batches of a token stream, time first. Every token of a part is a target exactly once an epoch.

For training, row b of batch k+1 continues row b of batch k, so hidden state may carry over (truncated
backpropagation through time). For evaluation, the protocol decides where state begins anew.
The input at each step is the token before the target; before the first token of a document it is EOS.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.errors import ConfigError

EOS = 0
IGNORED = -1
"""The target where nothing is predicted: padding, and tokens that only warm up the state."""

Tokens = NDArray[np.unsignedinteger]
Integers = NDArray[np.int64]


class Batch(NamedTuple):
    """One step's worth of a stream; every array is (T, B)."""

    inputs: Integers
    targets: Integers
    resets: NDArray[np.bool_]
    positions: Integers
    """Where each target stands in the stream; IGNORED at padding."""


def _gather(
    tokens: Tokens, positions: Integers, charged: NDArray[np.bool_], fresh: NDArray[np.bool_]
) -> Batch:
    inputs = np.where(positions > 0, tokens[np.maximum(positions - 1, 0)].astype(np.int64), EOS)
    targets = np.where(charged, tokens[positions].astype(np.int64), IGNORED)
    return Batch(inputs, targets, (inputs == EOS) | fresh, positions)


class TrainingBatches:
    """The batches of one epoch, as B rows that each read a contiguous piece of the stream.

    The stream is rotated by `offset` tokens before it is cut, so that the cuts fall elsewhere each epoch.
    """

    def __init__(self, tokens: Tokens, *, batch_size: int, bptt: int, offset: int = 0) -> None:
        if not len(tokens):
            raise ValueError("an empty stream has no batches")
        self.tokens = tokens
        self.rows = batch_size
        self.row_length = -(-len(tokens) // batch_size)
        self.offset = offset % len(tokens)
        windows = -(-self.row_length // bptt)
        # Cuts are spread evenly: a last window of a few tokens would make a step of pure noise.
        self.cuts = np.linspace(0, self.row_length, windows + 1).round().astype(int)

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        steps = np.arange(self.cuts[index], self.cuts[index + 1])
        places = steps[:, None] + np.arange(self.rows) * self.row_length  # (T, B), before the rotation
        inside = places < len(self.tokens)
        positions = np.where(inside, (places + self.offset) % len(self.tokens), IGNORED)
        return _gather(self.tokens, positions, inside, np.zeros_like(inside))


@dataclass(frozen=True)
class Segment:
    """A stretch of the stream read from zero state.

    [begin, start) only warms the state up, [start, stop) is charged.
    """

    begin: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.begin


def segments(documents: Integers, protocol: str) -> list[Segment]:
    """Cut a part for evaluation; each token is charged once.

    Args:
        documents: Start offsets of the documents and the end of the stream, (N + 1,).
        protocol: `carried`: state carried through each document. `windows:N`: a fresh state every N tokens
            of a document. `chunks:N`: close to `carried` and much faster: documents are read in pieces of
            N tokens side by side, each after a warm-up of N/4 tokens that is not charged.

    Raises:
        ConfigError: If the protocol is none of these.
    """
    name, _, size = protocol.partition(":")
    spans = [(int(a), int(b)) for a, b in pairwise(documents) if b > a]
    if protocol == "carried":
        return [Segment(a, a, b) for a, b in spans]
    if name not in ("windows", "chunks") or not size.isdigit() or int(size) < 1:
        raise ConfigError(f"protocol {protocol}: choose carried, windows:N or chunks:N, such as windows:256")
    step = int(size)
    warm_up = step // 4 if name == "chunks" else 0
    return [
        Segment(max(a, start - warm_up), start, min(start + step, b))
        for a, b in spans
        for start in range(a, b, step)
    ]


def evaluation_batches(
    tokens: Tokens, parts: Sequence[Segment], *, max_rows: int = 64, steps: int = 128
) -> Iterator[Batch]:
    """Read segments side by side, each from zero state; rows are filled evenly, longest segment first.

    Args:
        tokens: The stream.
        parts: What to read, from `segments`.
        max_rows: Most rows B of a batch.
        steps: Most steps T of a batch.
    """
    rows = [_Row(row) for row in _pack(parts, max_rows)]
    length = max((row.length for row in rows), default=0)
    for first in range(0, length, steps):
        columns = [row.take(min(steps, length - first)) for row in rows]
        positions, charged, fresh = (np.stack(arrays, axis=1) for arrays in zip(*columns, strict=True))
        yield _gather(tokens, positions, charged, fresh)


def _pack(parts: Sequence[Segment], max_rows: int) -> list[list[Segment]]:
    heap: list[tuple[int, int]] = [(0, row) for row in range(min(max_rows, len(parts)))]
    rows: list[list[Segment]] = [[] for _ in heap]
    for segment in sorted(parts, key=len, reverse=True):
        filled, row = heapq.heappop(heap)
        rows[row].append(segment)
        heapq.heappush(heap, (filled + len(segment), row))
    return rows


class _Row:
    """A row of evaluation: the segments it reads one after the other, and where it stands in them."""

    def __init__(self, parts: list[Segment]) -> None:
        self.parts = parts
        self.length = sum(len(segment) for segment in parts)
        self.current = 0
        self.done = 0

    def take(self, count: int) -> tuple[Integers, NDArray[np.bool_], NDArray[np.bool_]]:
        """Read on: positions (IGNORED past the end), whether each is charged, whether state begins anew."""
        positions = np.full(count, IGNORED, dtype=np.int64)
        charged = np.zeros(count, dtype=bool)
        fresh = np.zeros(count, dtype=bool)
        filled = 0
        while filled < count and self.current < len(self.parts):
            segment = self.parts[self.current]
            size = min(count - filled, len(segment) - self.done)
            here = np.arange(size) + segment.begin + self.done
            positions[filled : filled + size] = here
            charged[filled : filled + size] = here >= segment.start
            fresh[filled] = self.done == 0
            filled += size
            self.done += size
            if self.done == len(segment):
                self.current, self.done = self.current + 1, 0
        return positions, charged, fresh

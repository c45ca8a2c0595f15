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
HALVED = 0.05
"""Share of training windows that are half as long as usual, where lengths are random."""
JITTER = 5 / 70
"""Standard deviation of random lengths, as a share of the usual one."""

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

    Args:
        tokens: The stream, (N,), such as a memory map; only what a batch holds is read.
        batch_size: Rows B.
        bptt: Steps T of a batch at most, or on average where they are drawn.
        offset: Where the first row begins.
        random: Draws the lengths of the batches; None makes them even. See `_random_cuts`.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        batch_size: int,
        bptt: int,
        offset: int = 0,
        random: np.random.Generator | None = None,
    ) -> None:
        if not len(tokens):
            raise ValueError("an empty stream has no batches")
        self.tokens = tokens
        self.rows = batch_size
        self.row_length = -(-len(tokens) // batch_size)
        self.offset = offset % len(tokens)
        windows = -(-self.row_length // bptt)
        if random is None:
            # Cuts are spread evenly: a last window of a few tokens would make a step of pure noise.
            self.cuts = np.linspace(0, self.row_length, windows + 1).round().astype(int)
        else:
            self.cuts = _random_cuts(self.row_length, windows, random)

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        count = len(self.tokens)
        steps = np.arange(self.cuts[index] - 1, self.cuts[index + 1])
        places = steps[:, None] + np.arange(self.rows) * self.row_length  # (T + 1, B), before the rotation
        read = self.tokens.take(places + self.offset, mode="wrap")
        inputs, targets = read[:-1].astype(np.int64), read[1:].astype(np.int64)
        positions = places[1:] + self.offset
        positions[positions >= count] -= count
        inputs[positions == 0] = EOS
        outside = places[1:] >= count
        if outside.any():
            inputs[outside], targets[outside], positions[outside] = EOS, IGNORED, IGNORED
        return Batch(inputs, targets, inputs == EOS, positions)

    def relative_length(self, index: int) -> float:
        """Return the steps of a batch as a share of the mean."""
        return float(self.cuts[index + 1] - self.cuts[index]) * len(self) / self.row_length


def _random_cuts(length: int, windows: int, random: np.random.Generator) -> Integers:
    """Cut a row at random lengths (Merity et al. 2018), so that no token is always the last of its window.

    As there, a window is half as long as usual with probability 0.05, and all vary normally, by 5 of 70
    tokens. Unlike there, lengths are scaled to make as many windows each epoch, none of them empty.

    Args:
        length: Tokens of a row.
        windows: How many to cut it into, at most `length`.
        random: Decides the lengths.
    """
    means = np.where(random.random(windows) < HALVED, 0.5, 1.0)
    ends = np.cumsum(np.maximum(means + random.normal(0.0, JITTER, windows), 0.0))
    spread = np.append(0.0, ends / ends[-1]) * (length - windows)
    cuts: Integers = spread.round().astype(np.int64) + np.arange(windows + 1)
    return cuts


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

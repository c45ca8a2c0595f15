"""Counting and writing the parts of an index, in constant memory."""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seqgen.data.blocks import piece_chars
from seqgen.data.encoding import BlockEncoder, Encoded, in_threads
from seqgen.data.index import COUNTS, PARTS
from seqgen.data.split import PartBlock
from seqgen.data.tokenizers import EOS_ID
from seqgen.data.tunes import SplitTune


@dataclass(frozen=True, slots=True)
class Stretch:
    """Encoded pieces of one part, in order.

    Attributes:
        opens: Which of them begin a document of the part.
    """

    part: int
    encoded: Encoded
    opens: NDArray[np.bool_]
    chars: int = 0
    bytes: int = 0
    notes: int = 0
    titles: tuple[str, ...] = ()
    """Those of the documents that begin here, where documents have titles."""


class PartCounter:
    """Counts what comes by of one part."""

    def __init__(self, unk_id: int | None) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        self._unk_id = unk_id

    def add(self, stretch: Stretch) -> None:
        """Take the next stretch of the part."""
        ids = stretch.encoded.ids
        self.counts["tokens"] += len(ids)
        self.counts["documents"] += int(np.count_nonzero(stretch.opens))
        self.counts["chars"] += stretch.chars
        self.counts["bytes"] += stretch.bytes
        self.counts["notes"] += stretch.notes
        if self._unk_id is not None:
            self.counts["unknown"] += int(np.count_nonzero(ids == self._unk_id))


class PartWriter(PartCounter):
    """Writes the ids and document offsets of one part, and counts them."""

    def __init__(self, folder: Path, part: str, dtype: DTypeLike, unk_id: int | None) -> None:
        super().__init__(unk_id)
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._ids = (folder / f"{part}.ids").open("wb")
        self._documents = (folder / f"{part}.documents").open("wb")
        self._titles = (folder / f"{part}.titles").open("w", encoding="utf-8")
        self._thread = ThreadPoolExecutor(1)
        self._write: Future[int] | None = None

    def add(self, stretch: Stretch) -> None:
        """Write the next stretch of the part."""
        lengths = stretch.encoded.lengths
        starts = self.counts["tokens"] + np.cumsum(lengths) - lengths
        self._wait()  # one stretch is written while the next is made, and no more are held
        data = stretch.encoded.ids.astype(self._dtype, copy=False).data
        self._write = self._thread.submit(self._ids.write, data)
        self._documents.write(starts[stretch.opens].astype("<i8").data)
        self._titles.writelines(f"{json.dumps(title)}\n" for title in stretch.titles)
        super().add(stretch)

    def _wait(self) -> None:
        if self._write is not None:
            self._write.result()

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
                self._documents.write(np.array([self.counts["tokens"]], dtype="<i8").data)
        finally:
            self._thread.shutdown()
            self._ids.close()
            self._documents.close()
            self._titles.close()


def text_stretches(blocks: Iterable[PartBlock], encode: BlockEncoder, *, size: int) -> Iterable[Stretch]:
    """Encode blocks of text and sort their pieces by part.

    Args:
        blocks: The corpus.
        encode: What encodes a block.
        size: Bytes of the corpus, which decides whether threads pay.
    """
    for _, stretches in in_threads(lambda block: _sort(block, encode(block)), blocks, size=size):
        yield from stretches


def _sort(block: PartBlock, encoded: Encoded) -> list[Stretch]:
    chars = piece_chars(block.data, block.starts, block.ends)
    sizes = block.ends - block.starts
    present = np.flatnonzero(np.bincount(block.parts, minlength=1)).tolist()
    if len(present) == 1:
        return [Stretch(present[0], encoded, block.opens, int(chars.sum()), int(sizes.sum()))]
    owners = np.repeat(block.parts, encoded.lengths)
    stretches = []
    for part in present:
        mine = block.parts == part
        own = Encoded(encoded.ids[owners == part], encoded.lengths[mine])
        stretches.append(
            Stretch(part, own, block.opens[mine], int(chars[mine].sum()), int(sizes[mine].sum()))
        )
    return stretches


def tune_stretches(
    tunes: Iterable[SplitTune], encode: Callable[[NDArray[np.uint32]], NDArray[np.unsignedinteger]]
) -> Iterable[Stretch]:
    """Encode tunes.

    Args:
        tunes: Pieces of tunes as symbol numbers.
        encode: Returns the ids of symbols.
    """
    for tune in tunes:
        ids = encode(tune.symbols)
        if tune.closes:
            ids = np.append(ids, ids.dtype.type(EOS_ID))
        encoded = Encoded(ids, np.array([len(ids)]))
        titles = (tune.title,) if tune.opens else ()
        yield Stretch(tune.part, encoded, np.array([tune.opens]), notes=tune.notes, titles=titles)


def count_parts(stretches: Iterable[Stretch], unk_id: int | None) -> dict[str, dict[str, int]]:
    """Return the counts of every part without writing anything."""
    counters = [PartCounter(unk_id) for _ in PARTS]
    return _feed(stretches, counters)


def write_parts(
    folder: Path, stretches: Iterable[Stretch], dtype: DTypeLike, unk_id: int | None
) -> dict[str, dict[str, int]]:
    """Write the files of every part and return their counts."""
    with ExitStack() as stack:
        writers = [stack.enter_context(PartWriter(folder, part, dtype, unk_id)) for part in PARTS]
        return _feed(stretches, writers)


def _feed(stretches: Iterable[Stretch], counters: Sequence[PartCounter]) -> dict[str, dict[str, int]]:
    for stretch in stretches:
        counters[stretch.part].add(stretch)
    return {part: counter.counts for part, counter in zip(PARTS, counters, strict=True)}

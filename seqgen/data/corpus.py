"""A corpus: its files, what of them was not read and why, and a hash of all that they hold."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from seqgen.config import CorpusConfig
from seqgen.data.blocks import Block
from seqgen.data.catalogue import Manifest
from seqgen.data.readers import UnreadableError, read_blocks
from seqgen.data.sources import MUSIC_KINDS, TABLE_KINDS, Skipped, Source, find_sources
from seqgen.data.vocab import canonical_hash
from seqgen.errors import ConfigError, CorpusError
from seqgen.files import file_hash, replacing
from seqgen.runtime import cpu_count

NO_MUSIC = "holds no music that seqgen reads"
"""Why a text, such as a README, is left out of a corpus of music."""


@dataclass
class Corpus:
    """What the user named, found and ready to be read.

    Attributes:
        names: As the user gave them.
        modality: `text` or `music`: what the files are read as.
        skipped: Everything that was not read, in the order it was met.
    """

    names: list[str]
    sources: list[Source]
    manifests: list[Manifest]
    config: CorpusConfig
    modality: str
    skipped: list[Skipped] = field(default_factory=list)

    @cached_property
    def content_hash(self) -> str:
        """sha256 over the content and kind of every file, in order; names and dates do not matter."""
        with ThreadPoolExecutor(cpu_count()) as pool:
            hashes = list(pool.map(_source_hash, self.sources))
        kinds = [[source.kind, source.part] for source in self.sources]
        return canonical_hash([[*kind, digest] for kind, digest in zip(kinds, hashes, strict=True)])

    @cached_property
    def size(self) -> int:
        """Bytes of all files as they lie on disk."""
        return sum(source.path.stat().st_size for source in self.sources)

    @property
    def has_given_parts(self) -> bool:
        """Whether the corpus itself says what belongs to train, valid and test."""
        return any(source.part for source in self.sources)

    def skip(self, skipped: Skipped, *, expected: bool = False) -> None:
        """Note that something is left out.

        Args:
            skipped: What, where and why.
            expected: A file of another modality, which a folder may well hold.

        Raises:
            CorpusError: If `--on-error` says that this is to fail.
        """
        lenient = self.config.on_error == "skip" or (
            self.config.on_error == "auto" and (expected or self.modality == "music")
        )
        if not lenient:
            raise CorpusError(str(skipped))
        self.skipped.append(skipped)

    def blocks(self, source: Source) -> Iterator[Block]:
        """Read a source as text for the first time, noting what is left out.

        Raises:
            UnreadableError: If the file as a whole cannot be read.
        """
        return read_blocks(source, self.config, on_skip=self.skip)

    def blocks_again(self) -> Iterator[Block]:
        """Read all sources as text once more, after `drop` took the unreadable ones away.

        Raises:
            CorpusError: If a file that could be read before cannot be read now.
        """
        for source in self.sources:
            try:
                yield from read_blocks(source, self.config, on_skip=lambda skipped: None, checked=True)
            except UnreadableError as error:
                raise CorpusError(f"{source.name}: {error.reason}, though it could be read before") from error

    def drop(self, source: Source, error: UnreadableError) -> None:
        """Take an unreadable source away, or fail if `--on-error` says so."""
        expected = self.modality == "text" and source.kind in MUSIC_KINDS
        self.skip(Skipped(source.name, error.reason, error.place), expected=expected)
        self.sources = [other for other in self.sources if other is not source]

    def report(self) -> dict[str, Any]:
        """Return what was read and what was not, as plain values."""
        kinds = sorted({source.kind for source in self.sources})
        return {
            "corpus": self.names,
            "modality": self.modality,
            "files": {kind: sum(source.kind == kind for source in self.sources) for kind in kinds},
            "skipped": [
                {"name": item.name, "place": item.place, "reason": item.reason} for item in self.skipped
            ],
        }

    def require_content(self, documents: int) -> None:
        """Refuse a corpus in which no document is left.

        Raises:
            CorpusError: Naming the first thing that was not read.
        """
        if not documents and [item.name for item in self.skipped] == self.names:
            raise CorpusError(str(self.skipped[0]))
        if not documents:
            why = f": {self.skipped[0]}" if self.skipped else ": every document in it is empty"
            raise CorpusError(f"{', '.join(self.names)}: nothing to read is left{why}")


def _source_hash(source: Source) -> str:
    try:
        return file_hash(source.path)
    except OSError as error:
        return f"unreadable: {error.strerror}"  # the reader will say so


def open_corpus(names: Sequence[str], config: CorpusConfig, *, level: str = "auto") -> Corpus:
    """Find a corpus and decide what it is read as.

    Args:
        names: Files, folders, globs, `-`, or names of the catalogue.
        config: How its files are read.
        level: `note` reads music, another level text; `auto` takes music where half of the files hold it.

    Raises:
        CorpusError: If there is nothing to read.
        ConfigError: If a column is given and no file has columns.
    """
    found = find_sources(names)
    music = sum(source.kind in MUSIC_KINDS for source in found.sources)
    if level == "auto":
        modality = "music" if 2 * music >= len(found.sources) else "text"  # a book of tunes has a README
    else:
        modality = "music" if level == "note" else "text"
    if config.column is not None and not any(source.kind in TABLE_KINDS for source in found.sources):
        raise ConfigError(f"--column {config.column}: no file of the corpus is a .csv, .tsv or .jsonl")
    corpus = Corpus(list(names), found.sources, found.manifests, config, modality)
    for skipped in found.skipped:
        corpus.skip(skipped, expected=True)
    if modality == "music":
        _keep_music(corpus)
    return corpus


def _keep_music(corpus: Corpus) -> None:
    for source in list(corpus.sources):
        if source.kind not in MUSIC_KINDS:
            corpus.drop(source, UnreadableError(NO_MUSIC))
        elif source.packed:
            corpus.drop(source, UnreadableError("compressed; unpack it to read its music"))
    corpus.require_content(len(corpus.sources))


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write what was read and what was not as JSON."""
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    with replacing(path) as aside:
        aside.write_bytes(text.encode("utf-8", "backslashreplace"))  # file names need not be UTF-8


def summarize(skipped: Iterable[Skipped], *, shown: int = 5) -> list[str]:
    """Return a few lines on what was not read, and how much more there is."""
    skipped = list(skipped)
    lines = [f"not read: {item}" for item in skipped[:shown]]
    if len(skipped) > shown:
        lines.append(f"not read: {len(skipped) - shown} more ({len(skipped)} in all); see the corpus report")
    return lines

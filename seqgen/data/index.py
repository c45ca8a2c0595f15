"""The token index of a corpus: one memory-mapped stream of ids a part, as training reads it.

    DIR/
      index.json           what is indexed, with which vocabulary and split; written last: the commit mark
      vocab.json           the vocabulary
      train.ids            token ids, little-endian, in the smallest unsigned type that holds the vocabulary
      train.documents      int64 little-endian start offset of every document, and the end of the stream
      train.titles         a JSON string a line: the titles of the documents, where they are tunes; else empty
      valid.ids ...        the same for the other parts
      corpus-report.json   what was read, what was not and why

A stream is the documents one after the other, each followed by EOS unless it was cut there by the split.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import Tokenizer, load_tokenizer
from seqgen.errors import ArtifactError, TokenError
from seqgen.files import unreadable

FORMAT = 1
KIND = "seqgen index"
METADATA = "index.json"
VOCAB = "vocab.json"
REPORT = "corpus-report.json"
PARTS = ("train", "valid", "test")
COUNTS = ("tokens", "documents", "chars", "bytes", "notes", "unknown")
"""What is counted in each part. Tokens include EOS; chars and bytes (UTF-8) are those of the text as read."""


@dataclass(frozen=True)
class TokenIndex:
    """An index on disk.

    Attributes:
        path: The directory.
        record: The content of `index.json`.
    """

    path: Path
    record: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> "TokenIndex":
        """Open an index directory.

        Raises:
            ArtifactError: If it is no index, incomplete, damaged or of a newer format.
        """
        record = _read_metadata(path / METADATA)
        index = cls(path, record)
        for part in PARTS:
            _check_size(path / f"{part}.ids", index.counts(part)["tokens"] * index.dtype.itemsize)
            _check_size(path / f"{part}.documents", (index.counts(part)["documents"] + 1) * 8)
        _ = index.tokenizer
        return index

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The type of the stored ids."""
        dtype: np.dtype[np.unsignedinteger] = np.dtype(self.record["dtype"])
        return dtype

    @property
    def config(self) -> Mapping[str, Any]:
        """The `corpus`, `vocab` and `index` configuration that the index was made with, as plain values."""
        config: Mapping[str, Any] = self.record["config"]
        return config

    @property
    def content_hash(self) -> str:
        """Equal for indexes of the same corpus, vocabulary and split."""
        return str(self.record["content_hash"])

    @property
    def corpus_hash(self) -> str:
        """sha256 over the content of every file of the corpus."""
        return str(self.record["corpus_hash"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that made the ids.

        Raises:
            ArtifactError: If it is damaged, or not the one that the index was made with.
        """
        try:
            tokenizer = load_tokenizer(self.path / VOCAB)
        except TokenError as error:
            raise ArtifactError(f"{self.path}: its vocabulary is damaged; make the index again") from error
        if tokenizer.content_hash != self.record["vocab_hash"]:
            raise ArtifactError(f"{self.path / VOCAB}: not the one of this index; make the index again")
        return tokenizer

    def tokens(self, part: str) -> NDArray[np.unsignedinteger]:
        """Return the ids of a part, (N,), mapped into memory and read-only."""
        return _map(self.path / f"{part}.ids", self.dtype)

    def documents(self, part: str) -> NDArray[np.int64]:
        """Return the start offset of every document of a part and the end of its stream, (documents + 1,)."""
        return _map(self.path / f"{part}.documents", np.dtype("<i8"))

    def titles(self, part: str) -> list[str]:
        """Return the title of every document of a part; an empty list where documents have none."""
        path = self.path / f"{part}.titles"
        if not path.is_file():
            return []
        return [str(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]

    def counts(self, part: str) -> dict[str, int]:
        """Return how many of each of `COUNTS` a part has."""
        counts: dict[str, int] = self.record["parts"][part]
        return counts


def is_index(path: Path) -> bool:
    """Tell whether a path is an index directory."""
    return (path / METADATA).is_file()


def _map(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:
        return np.zeros(0, dtype=dtype)  # an empty file cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r")


def _read_metadata(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        making = f"`seqgen index CORPUS --vocab PATH -o {path.parent}` makes one"
        raise ArtifactError(unreadable(path, error, otherwise=making)) from error
    except ValueError as error:
        raise ArtifactError(f"{path}: damaged ({error}); make the index again") from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise ArtifactError(f"{path}: not the metadata of an index")
    if not isinstance(record.get("format"), int) or record["format"] > FORMAT:
        raise ArtifactError(
            f"{path}: format {record.get('format')}, this seqgen reads up to {FORMAT}; upgrade seqgen"
        )
    return record


def _check_size(path: Path, expected_bytes: int) -> None:
    if not path.is_file():
        raise ArtifactError(f"{path}: missing; make the index again")
    found = path.stat().st_size
    if found != expected_bytes:
        raise ArtifactError(f"{path}: {found} bytes instead of {expected_bytes}; make the index again")

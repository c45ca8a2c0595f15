"""From what the user names to a list of files in a fixed order, each of a known kind.

A name is a file, a folder, a glob, `-` for standard input, or an entry of the catalogue. Order is natural
(tune2 before tune10) within a folder or glob, and as given between names. Nothing is left out silently:
what a folder holds and cannot be read is returned with its reason.
"""

import glob
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqgen.data.catalogue import Manifest, find_manifest, manifest_files
from seqgen.errors import CorpusError
from seqgen.files import missing
from seqgen.music.frames import holds_frames
from seqgen.music.read import ABC_SUFFIXES, FRAME_SUFFIXES, MIDI_SUFFIXES, MUSIC_SUFFIXES, SCORE_SUFFIXES

STDIN = "-"
TABLE_KINDS = ("csv", "tsv", "jsonl")
MUSIC_KINDS = ("abc", "midi", "score")
_TABLE_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_PLAIN_SUFFIXES = frozenset({".txt", ".text", ".md", ".tokens", ".raw"})
_NO_CORPUS = {"index.json": "an index", "artifact.yaml": "a model"}
"""Folders with such a file are results of seqgen."""
_SNIFFED_BYTES = 8192
_ABC_TUNE = re.compile(rb"^X:\s*[0-9].*^K:", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Skipped:
    """Something that was not read: what, where in it, and why."""

    name: str
    reason: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.place}: {self.reason}" if self.place else f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Source:
    """One file of a corpus.

    Attributes:
        kind: `text`, `abc`, `midi`, `score`, `csv`, `tsv`, `jsonl` or `topics` (a Python module of texts).
        name: How messages call it.
        packed: Whether it is gzip-compressed.
        part: The part it belongs to where the corpus says so, else None.
    """

    path: Path
    kind: str
    name: str
    packed: bool = False
    part: str | None = None
    keep: Any = field(default=None, repr=False, compare=False)
    """Something that must outlive the source, such as the temporary copy of standard input."""


@dataclass(frozen=True)
class Found:
    """The files of a corpus, what cannot be read, and the catalogue entries it names."""

    sources: list[Source]
    skipped: list[Skipped]
    manifests: list[Manifest]


def find_sources(names: Sequence[str]) -> Found:
    """Find the files of a corpus.

    Raises:
        CorpusError: If a name stands for nothing, or nothing at all is left to read.
    """
    found = Found([], [], [])
    seen: set[object] = set()
    for name in names:
        for item in _resolve(name, found):
            mark = item if isinstance(item, Skipped) else item.path.resolve()
            if mark in seen:
                continue
            seen.add(mark)
            if isinstance(item, Skipped):
                found.skipped.append(item)
            else:
                found.sources.append(item)
    if not found.sources:
        raise CorpusError(_nothing(names, found.skipped))
    return found


def _nothing(names: Sequence[str], skipped: Sequence[Skipped]) -> str:
    where = ", ".join(names) or "corpus"
    if not skipped:
        return f"{where}: no file in it; give a folder with files, or a name that `seqgen corpus list` shows"
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return f"{where}: nothing readable: {skipped[0]}{more}"


def _resolve(name: str, found: Found) -> Iterator[Source | Skipped]:
    if name == STDIN:
        yield _spool_stdin()
        return
    manifest = find_manifest(name)
    if manifest is not None:
        found.manifests.append(manifest)
        for path, part in manifest_files(manifest):
            kind = manifest.reader or kind_of(path)
            yield Source(path, kind, str(path), packed=path.suffix == ".gz", part=part)
        return
    if not name:
        raise CorpusError("an empty name is no corpus; name files, or . for the folder you are in")
    path = Path(name)
    if path.is_dir():
        for mark, what in _NO_CORPUS.items():
            if (path / mark).is_file():
                raise CorpusError(f"{name}: holds {what}, not a corpus; name the files it was made from")
        yield from _walk(path)
    elif path.exists():
        yield examine(path, named=True)
    elif glob.has_magic(name):
        # Path.glob takes no absolute pattern.
        paths = (Path(match) for match in glob.glob(name, recursive=True))  # noqa: PTH207
        matches = sorted(paths, key=natural_key)
        if not matches:
            raise CorpusError(f"{name}: no file matches")
        for match in matches:
            if match.is_dir():
                yield from _walk(match)
            else:
                yield examine(match)
    else:
        known = "`seqgen corpus list` shows the corpora known by name"
        raise CorpusError(missing(path, what="file, folder or corpus", otherwise=known))


def _walk(folder: Path) -> Iterator[Source | Skipped]:
    try:
        entries = sorted(folder.iterdir(), key=natural_key)
    except OSError as error:
        yield Skipped(str(folder), f"cannot be opened ({error.strerror})")
        return
    for entry in entries:
        if entry.name.startswith("."):
            yield Skipped(str(entry), "hidden, not read")
        elif entry.is_dir() and entry.is_symlink():
            yield Skipped(str(entry), "a link to a folder, not followed")
        elif entry.is_dir():
            yield from _walk(entry)
        else:
            yield examine(entry)


def natural_key(path: Path) -> list[list[tuple[int, int | str]]]:
    """Return a sorting key under which tune2 stands before tune10 and case does not matter."""
    return [
        [(0, int(run)) if run.isascii() and run.isdigit() else (1, run) for run in _runs(name)]
        for part in path.parts
        for name in (part.casefold(), part)
    ]


def _runs(name: str) -> list[str]:
    return [run for run in re.split(r"([0-9]+)", name) if run]


def kind_of(path: Path) -> str:
    """Tell the kind of a file by its suffix, looking inside where the suffix says too little."""
    suffix = _suffix(path)
    if suffix in ABC_SUFFIXES:
        return "abc"
    if suffix in MIDI_SUFFIXES:
        return "midi"
    if suffix == ".xml":
        return "score" if re.search(rb"<(score-|opus)", _head(path).replace(b"\0", b"")) else "text"
    if suffix in SCORE_SUFFIXES or (suffix in FRAME_SUFFIXES and holds_frames(_head(path))):
        return "score"
    return _TABLE_SUFFIXES.get(suffix, "text")


def _suffix(path: Path) -> str:
    return (Path(path.stem) if path.suffix == ".gz" else path).suffix.lower()


def _head(path: Path) -> bytes:
    import gzip

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return bytes(file.read(_SNIFFED_BYTES))
    except (OSError, EOFError):
        return b""  # the reader will say what is wrong with it


def examine(path: Path, *, named: bool = False) -> Source | Skipped:
    """Return a file as a source, or the reason why it is none.

    Raises:
        CorpusError: If the user named this very file and it cannot be a source.
    """
    if not path.is_file():
        skipped = Skipped(str(path), "not a regular file; a pipe is read as -")
    elif path.stat().st_size == 0:
        skipped = Skipped(str(path), "the file is empty")
    elif _is_binary(path):
        skipped = Skipped(str(path), "binary, neither text nor music that seqgen reads")
    else:
        return Source(path, kind_of(path), str(path), packed=path.suffix == ".gz")
    if named:
        raise CorpusError(f"{skipped}; give another file")
    return skipped


def _is_binary(path: Path) -> bool:
    """Tell whether a file that may hold anything looks like no text, as git does: by a NUL byte."""
    suffix = _suffix(path)
    if suffix in MUSIC_SUFFIXES or suffix in _TABLE_SUFFIXES or suffix in _PLAIN_SUFFIXES:
        return False
    head = _head(path)
    return b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))


def _spool_stdin() -> Source:
    """Copy standard input to a temporary file, because a corpus is read more than once."""
    first = sys.stdin.buffer.read(_SNIFFED_BYTES)
    suffix = ".mid" if first.startswith(b"MThd") else ".abc" if _ABC_TUNE.search(first) else ".txt"
    spool = tempfile.NamedTemporaryFile(prefix="seqgen-stdin-", suffix=suffix)  # noqa: SIM115  (kept by the source)
    spool.write(first)
    while chunk := sys.stdin.buffer.read(1 << 20):
        spool.write(chunk)
    spool.flush()
    path = Path(spool.name)
    if not first:
        raise CorpusError("standard input is empty; pipe a text into it")
    return Source(path, kind_of(path), "standard input", keep=spool)

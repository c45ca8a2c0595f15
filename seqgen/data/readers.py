"""From a file to blocks of documents in UTF-8.

Text is read as Python reads it: a byte order mark is dropped and every line end becomes one newline. All
other characters, NUL included, are kept.
"""

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from seqgen.config import CorpusConfig
from seqgen.data.blocks import Block, block_of, cut_documents
from seqgen.data.sources import TABLE_KINDS, Skipped, Source
from seqgen.data.tables import table_cells
from seqgen.errors import ConfigError, CorpusError
from seqgen.files import unreadable

_CHUNK_BYTES = 1 << 20
_BATCH_BYTES = 1 << 21
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

OnSkip = Callable[[Skipped], None]
"""Called with what is left out; raises where that is not allowed."""


class UnreadableError(Exception):
    """A whole file cannot be read; turned into a `Skipped` or a `CorpusError` by the corpus."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


def read_blocks(
    source: Source, config: CorpusConfig, *, on_skip: OnSkip, checked: bool = False
) -> Iterator[Block]:
    """Read a source as text.

    Args:
        source: Any source but `midi`, and but packed scores.
        config: How to read it.
        on_skip: Called for rows that are left out of a table.
        checked: The source was read before, so its encoding need not be checked again.

    Raises:
        UnreadableError: If the file as a whole cannot be read.
        ConfigError: If the column or the encoding does not exist.
    """
    try:
        yield from _read(source, config, on_skip, checked)
    except (EOFError, zlib.error) as error:
        raise UnreadableError("the gzip data is damaged or cut short") from error
    except gzip.BadGzipFile as error:
        raise UnreadableError("not gzip data, in spite of its name") from error
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror or error})") from error


def _read(source: Source, config: CorpusConfig, on_skip: OnSkip, checked: bool) -> Iterator[Block]:
    if source.kind == "abc" and not source.packed:
        yield from _batches(tune.encode() for tune in _tunes(source.path))
    elif source.kind == "topics":
        yield from _batches(topic.encode() for topic in _topics(source.path))
    elif source.kind in TABLE_KINDS:
        with open_bytes(source) as file:
            lines = (chunk.decode() for chunk in utf8_chunks(file, config.encoding))
            yield from _batches(cell.encode() for cell in table_cells(lines, source, config.column, on_skip))
    elif source.kind == "midi" or source.path.suffix.lower() == ".mxl":
        raise UnreadableError("holds no text; it is read at --level note")
    else:
        with open_bytes(source) as file:
            yield from cut_documents(utf8_chunks(file, config.encoding, checked=checked), config.documents)


def open_bytes(source: Source) -> IO[bytes]:
    """Open a source, unpacking gzip on the way."""
    return gzip.open(source.path) if source.packed else source.path.open("rb")  # type: ignore[return-value]


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return a whole text file, which may be gzip-compressed.

    Raises:
        CorpusError: If it cannot be read as such.
        ConfigError: If the encoding does not exist.
    """
    try:
        with open_bytes(Source(path, "text", str(path), packed=path.suffix == ".gz")) as file:
            return b"".join(utf8_chunks(file, encoding)).decode()
    except UnreadableError as error:
        raise CorpusError(str(Skipped(str(path), error.reason, error.place))) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusError(f"{path}: the gzip data is damaged or cut short") from error
    except OSError as error:
        raise CorpusError(unreadable(path, error)) from error


def _batches(documents: Iterator[bytes]) -> Iterator[Block]:
    batch: list[bytes] = []
    size = 0
    for document in documents:
        if document:
            batch.append(document)
            size += len(document)
        if size >= _BATCH_BYTES:
            yield block_of(batch)
            batch, size = [], 0
    if batch:
        yield block_of(batch)


def utf8_chunks(file: IO[bytes], encoding: str, *, checked: bool = False) -> Iterator[bytes]:
    """Read a text file as UTF-8 with uniform line ends and no byte order mark.

    Args:
        file: The raw bytes.
        encoding: Their encoding.
        checked: They are known to be valid, so UTF-8 is passed on without looking; chunks may then end
            inside a character.

    Raises:
        UnreadableError: With the byte offset, at the first byte that is not of this encoding.
    """
    chunks = _as_utf8(file, encoding, checked)
    held = b""
    for number, chunk in enumerate(chunks):
        data = held + chunk
        if number == 0:
            data = data.removeprefix(codecs.BOM_UTF8)
        held = b""
        if b"\r" in data:
            if data.endswith(b"\r"):  # its newline may open the next chunk
                data, held = data[:-1], b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield data
    if held:
        yield b"\n"


def _as_utf8(file: IO[bytes], encoding: str, checked: bool) -> Iterator[bytes]:
    try:
        codec = codecs.lookup(encoding)
    except LookupError:
        raise ConfigError(f"--encoding {encoding}: unknown; try utf-8, latin-1, cp1252 or utf-16") from None
    if codec.name == "utf-8":
        yield from _raw_chunks(file) if checked else _valid_chunks(file)
        return
    decoder = codec.incrementaldecoder("strict")
    done = 0
    last = False
    while not last:
        raw = file.read(_CHUNK_BYTES)
        last = not raw
        pending = len(decoder.getstate()[0])
        try:
            yield decoder.decode(raw, last).encode("utf-8")
        except UnicodeError as error:
            place = done - pending + getattr(error, "start", 0)
            raise UnreadableError(f"not {encoding}", f"byte {place}") from error
        done += len(raw)


def _raw_chunks(file: IO[bytes]) -> Iterator[bytes]:
    while raw := file.read(_CHUNK_BYTES):
        yield raw


def _valid_chunks(file: IO[bytes]) -> Iterator[bytes]:
    held = b""
    done = 0
    last = False
    while not last:
        raw = file.read(_CHUNK_BYTES)
        last = not raw
        data = held + raw
        if not data.isascii():
            try:
                _, used = codecs.utf_8_decode(data, "strict", last)
            except UnicodeDecodeError as error:
                raise UnreadableError(_why_not_utf8(data, done), f"byte {done + error.start}") from error
            data, held = data[:used], data[used:]
        else:
            held = b""
        done += len(data)
        yield data


def _why_not_utf8(data: bytes, done: int) -> str:
    mark = _MARKS.get(data[:2]) if done == 0 else None
    if mark:
        return f"not UTF-8 but {mark}; give --encoding {mark}"
    return "not UTF-8; give its --encoding (such as latin-1 or cp1252), or --on-error skip"


def _tunes(path: Path) -> Iterator[str]:
    from seqgen.music.read import split_music

    try:
        units = split_music(path)
    except CorpusError as error:
        raise UnreadableError(str(error).removeprefix(f"{path}: ")) from error
    return (unit.text.rstrip("\n") + "\n" for unit in units)


def _topics(path: Path) -> Iterator[str]:
    """Read the texts of a module that consists of one dict of strings, without running it."""
    import ast

    tree = ast.parse(path.read_text(encoding="utf-8"))
    values = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for value in values:
        if isinstance(value, ast.Dict):
            topics: dict[str, str] = ast.literal_eval(value)
            yield from (topics[name] for name in sorted(topics))
            return
    raise UnreadableError("holds no topics")

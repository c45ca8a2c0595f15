"""The suffix array of an index's training part: every place of it in the order of what follows there.

    DIR/
      train.suffixes    starts of the suffixes in lexicographic order, little-endian, int32 or int64
      suffixes.json     of which index, of which type, sha256; written last: the commit mark

It finds any sequence of tokens, of any length, in time logarithmic in the corpus. Documents have edges: where
the split cut one off without EOS and another follows, the suffixes are those of the text with an EOS there.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.data.index import TokenIndex
from seqgen.data.tokenizers import EOS_ID
from seqgen.files import file_hash, replacing

FORMAT = 1
KIND = "seqgen suffixes"
METADATA = "suffixes.json"
SUFFIXES = "train.suffixes"

Tokens = NDArray[np.unsignedinteger]
Places = NDArray[np.int64]

_CHUNK = 1 << 24


@dataclass(frozen=True)
class SuffixArray:
    """A text and the order of its suffixes.

    Attributes:
        text: Token ids, (N,).
        order: Where each suffix begins, least suffix first, (N,).
        added: The places in `text` of EOS that the stream of the index does not have, ascending.
    """

    text: Tokens
    order: NDArray[np.signedinteger]
    added: Places

    def stream_places(self, places: Places) -> Places:
        """Turn places in the text into places in the stream of the index."""
        return places - np.searchsorted(self.added, places)


def close_documents(tokens: Tokens, documents: Places) -> tuple[Tokens, Places]:
    """Put an EOS where a document ends without one and another follows.

    Returns:
        The text, which is `tokens` itself where nothing is missing, and the places in it of what was added.
    """
    ends = np.unique(documents[1:-1])
    ends = ends[(ends > 0) & (ends < len(tokens))]
    cut = ends[tokens[ends - 1] != EOS_ID]
    if not len(cut):
        return tokens, np.zeros(0, dtype=np.int64)
    return np.insert(tokens, cut, EOS_ID), cut + np.arange(len(cut))


def sort_suffixes(text: Tokens) -> NDArray[np.signedinteger]:
    """Return the starts of all suffixes in lexicographic order, by libdivsufsort (Mori 2015).

    It sorts bytes. A text of at most 256 distinct tokens is one of bytes; else tokens are written as 2 or 4
    bytes, most significant first, and suffixes that begin within a token are left out. While it works it
    takes 5 bytes a token, or 10, or 20.
    """
    from pydivsufsort import divsufsort

    if not len(text):
        return np.zeros(0, dtype="<i4")
    data = _as_bytes(text)
    width = len(data) // len(text)
    order = divsufsort(data)
    if width > 1:
        order = _whole_tokens(order, width, len(text))
    smallest = "<i4" if len(text) <= np.iinfo(np.int32).max else "<i8"
    starts: NDArray[np.signedinteger] = order.astype(smallest, copy=False)
    return starts


def _as_bytes(text: Tokens) -> NDArray[np.uint8]:
    """Write tokens as bytes whose order is theirs."""
    if text.dtype == np.uint8:
        return np.array(text)
    chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
    largest = max(int(chunk.max()) for chunk in chunks)
    used = np.zeros(largest + 1, dtype=bool)
    for chunk in chunks:
        used[chunk] = True
    ranks = np.cumsum(used) - 1
    if ranks[-1] < 256:
        return np.concatenate([ranks.astype(np.uint8)[chunk] for chunk in chunks])
    return text.astype(">u2" if largest < 1 << 16 else ">u4").view(np.uint8)


def _whole_tokens(order: NDArray[Any], width: int, count: int) -> NDArray[Any]:
    """Keep the suffixes that begin with a token, without room for both."""
    filled = 0
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        whole = chunk[chunk % width == 0] // width
        order[filled : filled + len(whole)] = whole
        filled += len(whole)
    return order[:count]


def ensure_suffixes(
    index: TokenIndex, *, notify: Callable[[str], None] = lambda message: None
) -> SuffixArray:
    """Return the suffix array of an index, made and written if it has none that is whole and its own.

    Args:
        index: The index.
        notify: Called with one line if it has to be made.
    """
    text, added = close_documents(index.tokens("train"), index.documents("train"))
    if not _is_current(index, len(text)):
        notify(f"sorting the suffixes of {len(text):,} tokens, which are kept in {index.path}")
        _write(index, sort_suffixes(text))
    record = json.loads((index.path / METADATA).read_text(encoding="utf-8"))
    dtype = np.dtype(record["dtype"])
    path = index.path / SUFFIXES
    order = np.memmap(path, dtype=dtype, mode="r") if len(text) else np.zeros(0, dtype=dtype)
    return SuffixArray(np.asarray(text), np.asarray(order), added)


def _is_current(index: TokenIndex, count: int) -> bool:
    try:
        record = json.loads((index.path / METADATA).read_text(encoding="utf-8"))
        return bool(
            record["kind"] == KIND
            and record["format"] == FORMAT
            and record["index"] == _identity(index)
            and (index.path / SUFFIXES).stat().st_size == count * np.dtype(record["dtype"]).itemsize
            and file_hash(index.path / SUFFIXES) == record["sha256"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False  # none yet, or damaged: it is made again


def _identity(index: TokenIndex) -> str:
    return str(index.record.get("key"))


def _write(index: TokenIndex, order: NDArray[np.signedinteger]) -> None:
    (index.path / METADATA).unlink(missing_ok=True)
    with replacing(index.path / SUFFIXES) as aside, aside.open("wb") as file:
        file.write(order.data)
    record = {
        "kind": KIND,
        "format": FORMAT,
        "index": _identity(index),
        "dtype": order.dtype.newbyteorder("<").str,
        "sha256": sha256(order.data).hexdigest(),
    }
    with replacing(index.path / METADATA) as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

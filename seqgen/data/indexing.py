"""Building an index from a corpus, or finding the one that was built before."""

import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from seqgen.config import Config, to_plain
from seqgen.data.index import FORMAT, KIND, METADATA, PARTS, VOCAB, TokenIndex, is_index
from seqgen.data.tokenizers import Tokenizer, byte_vocab, char_vocab, make_tokenizer
from seqgen.data.vocab import canonical_hash
from seqgen.errors import CorpusError
from seqgen.files import file_hash
from seqgen.runtime import cache_dir

Notify = Callable[[str], None]


def ensure_index(
    corpus: Sequence[str],
    config: Config,
    *,
    tokenizer: Tokenizer | None = None,
    cache: Path | None = None,
    notify: Notify = lambda message: None,
) -> TokenIndex:
    """Return the index of a corpus, building vocabulary and index where they are not in the cache.

    Args:
        corpus: Paths, `-`, a name of the catalogue, or one index directory.
        config: The `corpus`, `vocab` and `index` sections are used.
        tokenizer: Use this one instead of building a vocabulary.
        cache: Where indexes are kept.
        notify: Called with one line for all that the user may want to know.

    Raises:
        CorpusError: If nothing can be read.
    """
    if len(corpus) == 1 and is_index(Path(corpus[0])):
        return TokenIndex.open(Path(corpus[0]))
    files = [Path(name) for name in corpus]
    for file in files:
        if not file.is_file():
            raise CorpusError(f"{file}: no such file")
    corpus_hash = canonical_hash([file_hash(file) for file in files])
    plain = to_plain(config)
    settings = {name: plain[name] for name in ("corpus", "vocab", "index")}
    key = canonical_hash([FORMAT, corpus_hash, settings, tokenizer and tokenizer.content_hash])
    path = (cache or cache_dir("indexes")) / key[:32]
    if not is_index(path):
        parts = _split([file.read_text(encoding="utf-8") for file in files], config)
        if tokenizer is None:
            options = {"normalize": config.vocab.normalize, "lowercase": config.vocab.lowercase}
            text = "".join(unicodedata.normalize("NFC", text) for text, _ in parts["train"])
            vocab = char_vocab(Counter(text), options=options)
            vocab = byte_vocab() if config.vocab.level == "byte" else vocab
            tokenizer = make_tokenizer(vocab)
        _write(path, parts, tokenizer, settings, corpus_hash, key)
    return TokenIndex.open(path)


def _split(texts: list[str], config: Config) -> dict[str, list[tuple[str, bool]]]:
    shares = np.cumsum(config.index.split) / sum(config.index.split)
    parts: dict[str, list[tuple[str, bool]]] = {part: [] for part in PARTS}
    for text in texts:
        place = crc32(text.encode()) / 2**32
        parts[PARTS[int(np.searchsorted(shares, place, side="right"))]].append((text, True))
    if all(parts[part] or not share for part, share in zip(PARTS, config.index.split, strict=True)):
        return parts
    parts = {part: [] for part in PARTS}
    for text in texts:
        cuts = [0, *(int(len(text) * share) for share in shares)]
        for part, start, stop in zip(PARTS, cuts[:-1], cuts[1:], strict=True):
            if start < stop:
                parts[part].append((text[start:stop], stop == len(text)))
    return parts


def _write(
    path: Path,
    parts: dict[str, list[tuple[str, bool]]],
    tokenizer: Tokenizer,
    settings: dict[str, Any],
    corpus_hash: str,
    key: str,
) -> None:
    dtype = np.min_scalar_type(len(tokenizer.tokens) - 1)
    aside = path.with_name(path.name + ".part")
    aside.mkdir(parents=True, exist_ok=True)
    counts = {}
    for part, documents in parts.items():
        pieces = [tokenizer.encode(text) for text, _ in documents]
        streams = [
            np.append(ids, np.uint32(0)) if whole else ids
            for ids, (_, whole) in zip(pieces, documents, strict=True)
        ]
        stream = np.concatenate([np.zeros(0, np.uint32), *streams]).astype(dtype)
        stream.tofile(aside / f"{part}.ids")
        np.cumsum([0, *map(len, streams)]).astype("<i8").tofile(aside / f"{part}.documents")
        counts[part] = {
            "tokens": len(stream),
            "documents": len(documents),
            "chars": sum(len(text) for text, _ in documents),
            "bytes": sum(len(text.encode()) for text, _ in documents),
            "notes": 0,
            "unknown": sum(int((ids == 1).sum()) for ids in pieces) if tokenizer.unk_id else 0,
        }
    tokenizer.save(aside / VOCAB)
    record = {
        "kind": KIND,
        "format": FORMAT,
        "content_hash": key,
        "corpus_hash": corpus_hash,
        "vocab_hash": tokenizer.content_hash,
        "dtype": dtype.newbyteorder("<").str,
        "config": settings,
        "parts": counts,
    }
    (aside / METADATA).write_text(json.dumps(record, indent=1))
    shutil.rmtree(path, ignore_errors=True)
    aside.rename(path)

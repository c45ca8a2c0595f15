"""From a corpus to its vocabulary and its index, or to those that were made before.

Both are kept in the cache by content: a corpus that did not change is hashed, but neither read nor parsed
again, wherever it lies and however old its files are.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from seqgen.config import Config, CorpusConfig, VocabConfig, to_plain
from seqgen.data.catalogue import manifest_terms
from seqgen.data.corpus import Corpus, open_corpus, summarize, write_report
from seqgen.data.index import FORMAT, KIND, METADATA, PARTS, REPORT, VOCAB, TokenIndex, is_index
from seqgen.data.material import Material, MusicMaterial, TextMaterial
from seqgen.data.provenance import code_hash
from seqgen.data.tokenizers import EOS_ID, UNK_ID, Tokenizer, load_tokenizer, make_tokenizer
from seqgen.data.vocab import canonical_hash
from seqgen.data.writer import Stretch, count_parts, write_parts
from seqgen.errors import ArtifactError, ConfigError, TokenError
from seqgen.runtime import cache_dir

Notify = Callable[[str], None]
Counts = dict[str, dict[str, int]]

MOST_UNKNOWN = 0.25
"""Share of unknown tokens from which a vocabulary is taken to be one of another corpus."""


@dataclass(frozen=True)
class VocabSummary:
    """A vocabulary as just built, with what it makes of its corpus.

    Attributes:
        counts: For every part its tokens, documents, chars, bytes, notes and unknown tokens.
        how: How the corpus is divided: `given`, `hash` or `position`.
    """

    tokenizer: Tokenizer
    counts: Counts
    documents: int
    how: str


def ensure_index(
    corpus: Sequence[str],
    config: Config,
    *,
    tokenizer: Tokenizer | None = None,
    path: Path | None = None,
    cache: Path | None = None,
    notify: Notify = lambda message: None,
    check: Callable[[str], None] = lambda modality: None,
) -> TokenIndex:
    """Return the index of a corpus, building vocabulary and index where they were not built before.

    Args:
        corpus: Files, folders, globs, `-`, names of the catalogue, or one index directory.
        config: Its `corpus`, `vocab` and `index` sections are used.
        tokenizer: Use this one instead of building a vocabulary.
        path: Where the index is to be; in the cache if None.
        cache: The cache, if not the user's own.
        notify: Called with one line for all that the user may want to know.
        check: Called with the modality, `text` or `music`, before the corpus is read.

    Raises:
        CorpusError: If the corpus cannot be read.
        ConfigError: If an option does not fit it.
        TokenError: If the tokenizer does not fit it.
        ArtifactError: If an index directory is damaged.
    """
    if len(corpus) == 1 and is_index(Path(corpus[0])):
        given = _given_index(Path(corpus[0]), config, tokenizer)
        check(given.tokenizer.modality)
        return given
    if path is not None:
        _check_place(path)
    job = _Job(corpus, config, tokenizer, cache, notify)
    check(job.corpus.modality)
    tokenizer = job.ensure_tokenizer()
    content_hash = job.content_hash(tokenizer)
    key = canonical_hash([content_hash, _code_hash()])
    place = path or job.cache / "indexes" / key[:32]
    found = _open_if_current(place, key)
    if found is None:
        job.write_index(place, tokenizer, {"content_hash": content_hash, "key": key})
        return TokenIndex.open(place)
    if tokenizer.vocab.origin.get("corpus") != job.corpus_hash:  # of its own corpus that was told in training
        job.check_unknown({part: found.counts(part) for part in PARTS}, tokenizer)
    if path is not None:
        notify(f"{path}: the corpus has not changed, the index is as it was")
    return found


def build_vocab(
    corpus: Sequence[str], config: Config, *, notify: Notify = lambda message: None
) -> VocabSummary:
    """Build the vocabulary of a corpus and count what it makes of each part.

    Raises:
        CorpusError: If the corpus cannot be read.
        ConfigError: If an option does not fit it.
        TokenError: If no vocabulary comes out of it.
    """
    job = _Job(corpus, config, None, None, notify)
    tokenizer = job.build_tokenizer()
    seen = np.zeros(len(tokenizer.tokens), dtype=np.int64)

    def noting() -> Iterator[Stretch]:
        for stretch in job.material.stretches(tokenizer, np.uint32):
            if stretch.part == 0:
                seen[:] += np.bincount(stretch.encoded.ids, minlength=len(seen))
            yield stretch

    counts = count_parts(noting(), tokenizer.unk_id)
    if not tokenizer.counts:
        seen[EOS_ID] = 0  # no level counts the ends of documents
        tokenizer = make_tokenizer(replace(tokenizer.vocab, counts=tuple(seen.tolist())))
    job.tell_skipped()
    return VocabSummary(tokenizer, counts, job.material.documents, job.material.how)


class _Job:
    """One corpus on its way to an index."""

    def __init__(
        self,
        names: Sequence[str],
        config: Config,
        tokenizer: Tokenizer | None,
        cache: Path | None,
        notify: Notify,
    ) -> None:
        wanted = config.vocab.level
        if tokenizer is not None and wanted not in ("auto", tokenizer.level):
            raise TokenError(f"the vocabulary is of level {tokenizer.level}, not {wanted}")
        self.notify = notify
        self.cache = cache or cache_dir()
        self.config = config
        self.corpus = open_corpus(names, config.corpus, level=tokenizer.level if tokenizer else wanted)
        self.corpus_hash = self.corpus.content_hash  # before anything unreadable is taken away
        self.level = tokenizer.level if tokenizer else _level(self.corpus, config.vocab)
        self.given = tokenizer
        if self.corpus.modality == "text":
            _check_text(config.corpus)
        self.shares = config.index.split
        self.material = self._material()
        if wanted == "auto" and tokenizer is None:
            notify(f"level {self.level}, as {_most_files(self.corpus)}; --level chooses")
        for manifest in self.corpus.manifests:
            for line in (manifest_terms(manifest) or "").splitlines():
                notify(f"{manifest.name}: {line}")

    def _material(self) -> Material:
        if self.corpus.modality == "text":
            return TextMaterial(self.corpus, self.shares)
        return MusicMaterial(self.corpus, self.shares, self.given, self.config.vocab, self.notify)

    def ensure_tokenizer(self) -> Tokenizer:
        """Return the vocabulary given, or made before from the same corpus, or made now."""
        if self.given is not None:
            return self.given
        place = self.cache / "vocabs" / f"{self._vocab_key()[:32]}.json"
        if place.is_file():
            try:
                return load_tokenizer(place)
            except TokenError:
                pass  # damaged: made again below
        tokenizer = self.build_tokenizer()
        tokenizer.save(place)
        return tokenizer

    def build_tokenizer(self) -> Tokenizer:
        """Build the vocabulary of the training part."""
        if self.material.how == "given" and self.shares != Config().index.split:
            self.notify("the corpus comes in parts of its own; --split is not used")
        origin = {"corpus": self.corpus_hash, "split": list(self.shares)}
        return self.material.build_tokenizer(self.config.vocab, self.level, origin=origin, notify=self.notify)

    def _vocab_key(self) -> str:
        vocab = asdict(self.config.vocab) | {"level": self.level}
        return canonical_hash([*self._material_key(), vocab, _code_hash()])

    def content_hash(self, tokenizer: Tokenizer) -> str:
        """Return a hash of all that decides what is in the index."""
        return canonical_hash([*self._material_key(), tokenizer.content_hash])

    def _material_key(self) -> list[Any]:
        return [FORMAT, self.corpus_hash, asdict(self.config.corpus), list(self.shares)]

    def write_index(self, place: Path, tokenizer: Tokenizer, hashes: dict[str, str]) -> None:
        """Write the index aside and put it in place, with the hashes it is known by."""
        dtype = np.min_scalar_type(len(tokenizer.tokens) - 1)
        with _aside(place) as folder:
            stretches = self.material.stretches(tokenizer, dtype)
            counts = write_parts(folder, stretches, dtype, tokenizer.unk_id)
            self.check_unknown(counts, tokenizer)
            tokenizer.save(folder / VOCAB)
            write_report(self.corpus.report() | {"documents": self.material.documents}, folder / REPORT)
            record = {
                "kind": KIND,
                "format": FORMAT,
                **hashes,
                "corpus_hash": self.corpus_hash,
                "vocab_hash": tokenizer.content_hash,
                "dtype": dtype.newbyteorder("<").str,
                "split": self.material.how,
                "config": self._resolved_config(tokenizer),
                "parts": counts,
            }
            (folder / METADATA).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            _publish(folder, place)
        self.tell_skipped()
        self._tell_split(counts)

    def _resolved_config(self, tokenizer: Tokenizer) -> dict[str, Any]:
        options = tokenizer.vocab.options
        known = {
            key: options[key] for key in ("normalize", "lowercase", "subword", "notes") if key in options
        }
        plain = to_plain(self.config)
        plain["vocab"] |= {"level": tokenizer.level, **known}
        return {name: plain[name] for name in ("corpus", "vocab", "index")}

    def check_unknown(self, counts: Counts, tokenizer: Tokenizer) -> None:
        """Say how many tokens a vocabulary lacks.

        Raises:
            TokenError: If a given one lacks so many that it must be another corpus's.
        """
        tokens = sum(part["tokens"] for part in counts.values())
        unknown = sum(part["unknown"] for part in counts.values())
        share = unknown / max(tokens, 1)
        verb = "is" if unknown == 1 else "are"
        told = f"{unknown:,} of {tokens:,} tokens ({share:.1%}) {verb} not in the vocabulary"
        if self.given is not None and share > MOST_UNKNOWN:
            raise TokenError(
                f"{', '.join(self.corpus.names)}: {told}; it was made from another corpus: take a model of "
                "this one, or a vocabulary (`seqgen vocab`)"
            )
        if unknown:
            self.notify(f"{told} and read as {tokenizer.tokens[UNK_ID]}")

    def tell_skipped(self) -> None:
        """Say what was not read."""
        for line in summarize(self.corpus.skipped):
            self.notify(line)

    def _tell_split(self, counts: Counts) -> None:
        if self.material.how == "position" and self.material.documents > 1:
            self.notify(
                f"{self.material.documents} documents are too few to divide: each is cut where its share ends"
            )
        for part, share in zip(counts, self.shares, strict=True):
            if share and not counts[part]["tokens"] and self.material.how != "given":
                self.notify(f"the {part} part is empty; the corpus is too small for a share of {share:g}")


def _code_hash() -> str:
    """Return a hash of the code that makes indexes: what older code made is made again."""
    return code_hash("data", "music", "kernels/text.py")


def _level(corpus: Corpus, config: VocabConfig) -> str:
    if config.level != "auto":
        return config.level
    return "note" if corpus.modality == "music" else "char"


def _check_text(config: CorpusConfig) -> None:
    """Refuse what is done to music alone.

    Raises:
        ConfigError: Naming the option.
    """
    for option in ("parts", "transpose", "stretch"):
        if getattr(config, option) != getattr(CorpusConfig(), option):
            raise ConfigError(f"--{option} is for corpora of music, and this one is read as text")


def _most_files(corpus: Corpus) -> str:
    return "the files hold music" if corpus.modality == "music" else "the corpus is text"


def _given_index(path: Path, config: Config, tokenizer: Tokenizer | None) -> TokenIndex:
    index = TokenIndex.open(path)
    level = index.tokenizer.level
    if config.vocab.level not in ("auto", level):
        raise ConfigError(f"{path}: an index of level {level}, not {config.vocab.level}")
    if tokenizer is not None and tokenizer.content_hash != index.tokenizer.content_hash:
        raise TokenError(f"{path}: made with another vocabulary; name the corpus itself instead")
    return index


def _open_if_current(path: Path, key: str) -> TokenIndex | None:
    if not is_index(path):
        return None
    try:
        index = TokenIndex.open(path)
    except ArtifactError:
        return None  # cut short or damaged: it is made again
    return index if index.record.get("key") == key else None


def _check_place(path: Path) -> None:
    """Refuse to write over what is no index.

    Raises:
        ConfigError: If the path is a file, or a folder with other things in it.
    """
    if path.exists() and not is_index(path) and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"{path}: exists and is not an index; choose another -o")


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` to write to, which is gone afterwards."""
    folder = path.with_name(f".{path.name}.{os.getpid()}.part")
    folder.mkdir(parents=True)
    try:
        yield folder
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say where it is full
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, path: Path) -> None:
    """Move the files of an index to their place; without its metadata, which comes last, it is none."""
    path.mkdir(parents=True, exist_ok=True)
    (path / METADATA).unlink(missing_ok=True)
    for file in sorted(folder.iterdir(), key=lambda file: file.name == METADATA):
        file.replace(path / file.name)

"""The vocabulary: what each id stands for, as one JSON file.

Its content hash covers all that decides how a text becomes ids and back, and nothing else: two vocabularies
of equal hash are interchangeable, and ids made with another hash mean something else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from seqgen.errors import TokenError
from seqgen.files import replacing, unreadable

FORMAT = 1
KIND = "seqgen vocabulary"
EOS = "<eos>"
UNK = "<unk>"


@dataclass(frozen=True, kw_only=True)
class Vocab:
    """A vocabulary as it is stored.

    Attributes:
        level: `char`, `byte`, `word`, `subword` or `note`.
        modality: `text` or `music`.
        tokens: The display form of every id; id 0 is `<eos>`.
        counts: How often each was seen in the training part, or empty where it was not counted.
        options: What else decides the encoding, such as normalisation.
        origin: The corpus it was made from: its hash, documents, tokens, share of unknown tokens.
    """

    level: str
    modality: str
    tokens: tuple[str, ...]
    counts: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tokens or self.tokens[0] != EOS:
            raise ValueError(f"the first token of a vocabulary is {EOS}")
        if self.counts and len(self.counts) != len(self.tokens):
            raise ValueError("a vocabulary has as many counts as tokens, or none")

    @cached_property
    def content_hash(self) -> str:
        """sha256 in hex over level, modality, options and tokens as canonical JSON."""
        return canonical_hash(self._identity())

    def _identity(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "modality": self.modality,
            "options": dict(self.options),
            "tokens": list(self.tokens),
        }

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON, whole or not at all."""
        record = {
            "kind": KIND,
            "format": FORMAT,
            **self._identity(),
            "counts": list(self.counts),
            "origin": dict(self.origin),
            "sha256": self.content_hash,
        }
        with replacing(path) as aside:
            aside.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")


def load_vocab(path: Path) -> Vocab:
    """Read a vocabulary.

    Raises:
        TokenError: If the file is missing, is no vocabulary, is of a newer format or was changed.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        making = f"`seqgen vocab CORPUS -o {path}` makes one"
        raise TokenError(unreadable(path, error, otherwise=making)) from error
    except ValueError as error:
        raise TokenError(f"{path}: not a vocabulary ({error}); make one with `seqgen vocab`") from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise TokenError(f"{path}: not a vocabulary; make one with `seqgen vocab`")
    if not isinstance(record.get("format"), int) or record["format"] > FORMAT:
        raise TokenError(
            f"{path}: format {record.get('format')}, this seqgen reads up to {FORMAT}; upgrade seqgen"
        )
    try:
        vocab = Vocab(
            level=record["level"],
            modality=record["modality"],
            tokens=tuple(record["tokens"]),
            counts=tuple(record["counts"]),
            options=record["options"],
            origin=record["origin"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TokenError(f"{path}: damaged ({error}); make it again with `seqgen vocab`") from error
    if vocab.content_hash != record.get("sha256"):
        raise TokenError(f"{path}: changed since it was written; make it again with `seqgen vocab`")
    return vocab


def canonical_hash(value: Any) -> str:
    """Return the sha256, in hex, of a plain value written as JSON in one fixed way."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode("ascii")).hexdigest()

"""Between content and token ids: the contract of every tokenizer, characters and bytes.

Id 0 is `<eos>`; where a level has an `<unk>`, that is id 1. Decoding never fails: any ids make some text.
"""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqgen.data.normalization import nfc
from seqgen.data.vocab import EOS, UNK, Vocab, load_vocab
from seqgen.errors import TokenError

if TYPE_CHECKING:
    from seqgen.music.pieces import Piece

    Content = str | Piece

EOS_ID = 0
UNK_ID = 1
REPLACEMENT = "\ufffd"
"""What an unknown symbol is decoded to."""

Ids = NDArray[np.uint32]


class StreamDecoder(Protocol):
    """Turns ids into text one at a time."""

    def feed(self, token_id: int) -> str:
        """Return what can be shown once this id is known; never a part of a character."""
        ...

    def flush(self) -> str:
        """Return what is left at the end, such as the replacement of an unfinished character."""
        ...


class Tokenizer(Protocol):
    """Content to ids and back."""

    @property
    def vocab(self) -> Vocab:
        """The vocabulary as it is stored."""
        ...

    @property
    def level(self) -> str:
        """`char`, `byte`, `word`, `subword` or `note`."""
        ...

    @property
    def modality(self) -> str:
        """`text` or `music`."""
        ...

    @property
    def tokens(self) -> Sequence[str]:
        """The display form of every id."""
        ...

    @property
    def counts(self) -> Sequence[int]:
        """How often each token was seen in training; empty where it was not counted."""
        ...

    @property
    def spelled(self) -> Sequence[bytes | None]:
        """The UTF-8 that every id of a text model stands for; None for EOS and `<unk>`."""
        ...

    @property
    def eos_id(self) -> int:
        """0 at every level."""
        ...

    @property
    def unk_id(self) -> int | None:
        """1, or None where bytes stand in for unknown symbols."""
        ...

    @property
    def content_hash(self) -> str:
        """sha256 over all that decides the encoding."""
        ...

    def encode(self, content: "Content") -> Ids:
        """Return the ids of a document, without EOS."""
        ...

    def decode(self, ids: Iterable[int]) -> "Content":
        """Return the content of a sequence of ids; EOS is skipped."""
        ...

    def stream(self) -> StreamDecoder:
        """Begin to decode text id by id."""
        ...

    def save(self, path: Path) -> None:
        """Write the tokenizer as one JSON file."""
        ...


class VocabTokenizer:
    """What every tokenizer here shares: it stands on a stored vocabulary."""

    eos_id = EOS_ID
    unk_id: int | None = UNK_ID

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    @property
    def level(self) -> str:
        """`char`, `byte`, `word`, `subword` or `note`."""
        return self.vocab.level

    @property
    def modality(self) -> str:
        """`text` or `music`."""
        return self.vocab.modality

    @property
    def tokens(self) -> Sequence[str]:
        """The display form of every id."""
        return self.vocab.tokens

    @property
    def counts(self) -> Sequence[int]:
        """How often each token was seen in training; empty where it was not counted."""
        return self.vocab.counts

    @property
    def spelled(self) -> Sequence[bytes | None]:
        """The UTF-8 that every id of a text model stands for; None for EOS and `<unk>`."""
        return [None, None, *(token.encode("utf-8", "replace") for token in self.tokens[2:])]

    @property
    def content_hash(self) -> str:
        """sha256 over all that decides the encoding."""
        return self.vocab.content_hash

    def save(self, path: Path) -> None:
        """Write the tokenizer as one JSON file."""
        self.vocab.save(path)


class CharTokenizer(VocabTokenizer):
    """One id a Unicode character, after normalisation; what is not in the vocabulary is `<unk>`."""

    @cached_property
    def _surface(self) -> list[str]:
        return ["", REPLACEMENT, *self.tokens[2:]]

    @cached_property
    def table(self) -> Ids:
        """The id of every code point; the last entry stands for all beyond the largest one known."""
        points = np.array([ord(token) for token in self.tokens[2:]], dtype=np.int64)
        table = np.full(max(int(points.max(initial=0)), 127) + 2, UNK_ID, dtype=np.uint32)
        table[points] = np.arange(2, len(self.tokens), dtype=np.uint32)
        return table

    def encode(self, content: "Content") -> Ids:
        """Return the id of every character of the normalised text."""
        text = prepare(as_text(content), self.vocab.options)
        if text.isascii():
            return self.table[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]
        points = code_points(text)
        return self.table[np.minimum(points, len(self.table) - 1)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text; an `<unk>` shows as U+FFFD."""
        return "".join([self._surface[i] for i in ids])

    def stream(self) -> StreamDecoder:
        """Begin to decode id by id."""
        return TokenStream(self._surface)


class TokenStream:
    """Decodes ids that each stand for whole characters."""

    def __init__(self, surface: Sequence[str]) -> None:
        self._surface = surface

    def feed(self, token_id: int) -> str:
        """Return the text of one id."""
        return self._surface[token_id]

    def flush(self) -> str:
        """Return nothing: no character is ever unfinished here."""
        return ""


class ByteTokenizer(VocabTokenizer):
    """One id a byte of UTF-8: byte b is id b + 1. Nothing is unknown and nothing is normalised."""

    unk_id = None

    @property
    def spelled(self) -> Sequence[bytes | None]:
        """The byte of every id; None for EOS."""
        return [None, *(bytes([b]) for b in range(256))]

    def encode(self, content: "Content") -> Ids:
        """Return the ids of the UTF-8 bytes of a text; a lone surrogate counts as `?`."""
        return np.frombuffer(as_text(content).encode("utf-8", "replace"), dtype=np.uint8) + np.uint32(1)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text; bytes that are not UTF-8 show as U+FFFD."""
        return bytes([i - 1 for i in ids if i != EOS_ID]).decode("utf-8", "replace")

    def stream(self) -> StreamDecoder:
        """Begin to decode id by id; a character is returned with its last byte."""
        return ByteStream([symbol or b"" for symbol in self.spelled])


class ByteStream:
    """Decodes ids that stand for bytes, some of which only make a character together."""

    def __init__(self, surface: Sequence[bytes]) -> None:
        self._surface = surface
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token_id: int) -> str:
        """Return the characters that this id completes."""
        return self._decoder.decode(self._surface[token_id])

    def flush(self) -> str:
        """Return U+FFFD if a character was left unfinished."""
        return self._decoder.decode(b"", final=True)


def texts_of(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """Return what each id adds to the text; of EOS what was left unfinished before it."""
    stream = tokenizer.stream()
    return [stream.flush() if token == EOS_ID else stream.feed(token) for token in ids]


def ranked_vocab(level: str, counts: Mapping[str, int], *, unknown: int = 0, **fields: Any) -> Vocab:
    """Make a vocabulary of symbols, most frequent first, after `<eos>` and `<unk>`.

    Args:
        level: `char`, `word` or `note`.
        counts: How often each symbol occurs.
        unknown: How often others do.
        fields: The other fields of the vocabulary.
    """
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return Vocab(
        level=level,
        modality="music" if level == "note" else "text",
        tokens=(EOS, UNK, *ranked),
        counts=(0, unknown, *(counts[token] for token in ranked)),
        **fields,
    )


def byte_vocab() -> Vocab:
    """Make the vocabulary of the 256 bytes, which is the same for every corpus."""
    shown = [chr(b) if 32 < b < 127 else f"<0x{b:02X}>" for b in range(256)]
    return Vocab(level="byte", modality="text", tokens=(EOS, *shown))


def prepare(text: str, options: Mapping[str, Any]) -> str:
    """Lowercase and normalise a text as the options of a vocabulary say."""
    if options.get("lowercase"):
        text = text.lower()
    return nfc(text) if options.get("normalize") == "nfc" else text


def as_text(content: "Content") -> str:
    """Return content that must be text.

    Raises:
        TokenError: If it is a piece of music.
    """
    if not isinstance(content, str):
        raise TokenError("a text vocabulary cannot encode a piece of music; use one of level note")
    return content


def code_points(text: str) -> Ids:
    """Return the code points of a text, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer from its JSON file.

    Raises:
        TokenError: If the file is missing, foreign, damaged or changed.
    """
    return make_tokenizer(load_vocab(path))


def make_tokenizer(vocab: Vocab) -> Tokenizer:
    """Return the tokenizer of a stored vocabulary.

    Raises:
        TokenError: If its level is unknown here.
    """
    match vocab.level:
        case "char":
            return CharTokenizer(vocab)
        case "byte":
            return ByteTokenizer(vocab)
        case "word":
            from seqgen.data.words import WordTokenizer

            return WordTokenizer(vocab)
        case "subword":
            from seqgen.data.subwords import SubwordTokenizer

            return SubwordTokenizer(vocab)
        case "note":
            from seqgen.data.notes import NoteTokenizer

            return NoteTokenizer(vocab)
    raise TokenError(f"level {vocab.level} is unknown to this seqgen; upgrade seqgen")

"""Subwords by sentencepiece, set up so that every text comes back as it was.

Out of the box sentencepiece changes white space, loses newlines and tabs, takes U+2581 for a space and skips
long lines. Here nothing is normalised, newline and tab are symbols of their own, U+2581 is written as bytes,
as is every character that is not in the vocabulary, and training text is cut into short lines.
"""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from seqgen.data.tokenizers import ByteStream, Ids, StreamDecoder, VocabTokenizer, as_text
from seqgen.data.vocab import EOS, Vocab
from seqgen.errors import TokenError

if TYPE_CHECKING:
    from seqgen.data.tokenizers import Content

DEFAULT_SIZE = 8000
_SPACE = "\u2581"  # how sentencepiece writes a space
_FORBIDDEN = str.maketrans({_SPACE: " ", "\u2585": " ", "\0": " "})  # sentencepiece skips lines with these
_LINE_CHARS = 1000
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_UNK_PIECE = 1  # sentencepiece demands one; with byte fallback it is never used, and here it has no id
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_THREADS = 2  # fixed, because the pieces found depend on it


class SubwordTokenizer(VocabTokenizer):
    """Ids of sentencepiece pieces; characters outside the vocabulary are spelled as bytes."""

    unk_id = None

    @cached_property
    def _model(self) -> Any:
        from sentencepiece import SentencePieceProcessor

        try:
            proto = base64.b64decode(self.vocab.options["model"], validate=True)
            return SentencePieceProcessor(model_proto=proto)
        except (KeyError, ValueError, RuntimeError) as error:
            raise TokenError(f"the subword model is damaged ({error}); make the vocabulary again") from error

    @cached_property
    def _surface(self) -> list[bytes]:
        return [b"", *map(_surface_of, self.tokens[1:])]

    @property
    def spelled(self) -> Sequence[bytes | None]:
        """The bytes of every id; None for EOS."""
        return [None, *self._surface[1:]]

    @cached_property
    def _byte_ids(self) -> list[int]:
        model = self._model
        return [model.piece_to_id(f"<0x{byte:02X}>") - 1 for byte in range(256)]

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        """Match what must be spelled as bytes here, because sentencepiece would get it wrong."""
        knows_space = self._model.piece_to_id(_SPACE) != _UNK_PIECE
        return re.compile(f"({_SPACE}+)" if knows_space else f"([{_SPACE} ]+)")

    def encode(self, content: "Content") -> Ids:
        """Return the ids of a text; a lone surrogate counts as `?`."""
        text = as_text(content).encode("utf-8", "replace").decode()
        if self.vocab.options.get("lowercase"):
            text = text.lower()
        # Every other part is one that must be spelled; newlines are pieces of their own, so lines can be
        # encoded one by one, which keeps the work linear.
        parts = self._spelled.split(text)
        lines = [_LINE.findall(part) if i % 2 == 0 else [] for i, part in enumerate(parts)]
        encoded = iter(self._model.encode([line for part in lines for line in part], num_threads=_THREADS))
        ids: list[int] = []
        for i, part in enumerate(parts):
            if i % 2:
                ids.extend(self._byte_ids[byte] for byte in part.encode())
            for _ in lines[i]:
                ids.extend(piece - 1 for piece in next(encoded))
        return np.array(ids, dtype=np.uint32)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text; bytes that are not UTF-8 show as U+FFFD."""
        return b"".join([self._surface[i] for i in ids]).decode("utf-8", "replace")

    def stream(self) -> StreamDecoder:
        """Begin to decode id by id; a character is returned with its last byte."""
        return ByteStream(self._surface)


def _surface_of(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.encode()


def train_subwords(
    texts: Iterable[str], *, kind: str, size: int, lowercase: bool, origin: Mapping[str, Any] = {}
) -> Vocab:
    """Train a subword vocabulary.

    Args:
        texts: Training text; all of it is held in memory.
        kind: `unigram` or `bpe`.
        size: Tokens wanted; fewer come back where the text is too small for so many.
        lowercase: Whether texts are lowercased first.
        origin: What to note about the corpus.

    Raises:
        TokenError: If the size leaves no room for the characters of the text.
    """
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(list(_training_lines(texts, lowercase)) or ["a"]),
            model_writer=model,
            model_type=kind,
            vocab_size=size + 1,  # sentencepiece counts its <unk>
            hard_vocab_limit=False,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=["\n", "\t"],
            eos_id=0,
            unk_id=_UNK_PIECE,
            bos_id=-1,
            pad_id=-1,
            max_sentence_length=8 * _LINE_CHARS,
            num_threads=_THREADS,
            minloglevel=5,
        )
    except RuntimeError as error:
        needed = re.search(r"required_chars\. (\d+) vs (\d+)", str(error))
        if needed is None:
            raise
        raise TokenError(
            f"--max-size {size} is too small: this text needs {int(needed[2]) - 1} tokens for its characters "
            "and the bytes alone"
        ) from error
    return _vocab_of(model.getvalue(), kind, lowercase, origin)


def _vocab_of(proto: bytes, kind: str, lowercase: bool, origin: Mapping[str, Any]) -> Vocab:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_proto=proto)
    pieces = [model.id_to_piece(i) for i in range(_UNK_PIECE + 1, model.get_piece_size())]
    return Vocab(
        level="subword",
        modality="text",
        tokens=(EOS, *(piece.replace(_SPACE, " ") for piece in pieces)),
        options={"subword": kind, "lowercase": lowercase, "model": base64.b64encode(proto).decode("ascii")},
        origin=origin,
    )


def _training_lines(texts: Iterable[str], lowercase: bool) -> Iterator[str]:
    for text in texts:
        for line in (text.lower() if lowercase else text).translate(_FORBIDDEN).split("\n"):
            for start in range(0, len(line), _LINE_CHARS):
                yield line[start : start + _LINE_CHARS]

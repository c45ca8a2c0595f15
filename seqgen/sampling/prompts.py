"""Prompts: what a sample goes on from, as text or as a tune, in the tokens of the model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqgen.data.notes import NoteTokenizer
from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.music.pieces import Piece

MERGED = "tokens of this model stand for several (--merges); train one without"
"""Why rules for single tokens cannot be kept."""

_NAMED = 4  # unknown tokens that a remark names
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # how a subword vocabulary names a byte


@dataclass(frozen=True)
class Prompt:
    """A prompt in the tokens of a model.

    Attributes:
        text: As given; empty for a tune.
        ids: Its tokens, (T,).
        remarks: What the user should know about how it was read.
        names: The tokens of a tune as its note encoding has them, those included that the model lacks.
        title: Of a tune.
        rest: The tokens of a tune that follow what is drawn.
    """

    text: str
    ids: NDArray[np.int64]
    remarks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    title: str = ""
    rest: tuple[str, ...] = ()


NO_PROMPT = Prompt("", np.zeros(0, np.int64))


def text_prompt(tokenizer: Tokenizer, text: str) -> Prompt:
    """Encode a text; symbols that the vocabulary lacks are read by the rule of its level, and told."""
    ids = tokenizer.encode(text).astype(np.int64)
    return Prompt(text, ids, _unknown_remarks(tokenizer, text, ids))


def _unknown_remarks(tokenizer: Tokenizer, text: str, ids: NDArray[np.int64]) -> tuple[str, ...]:
    """Say which characters, or at word level how many words, the vocabulary lacks."""
    if tokenizer.level == "word":
        unknown = int((ids == tokenizer.unk_id).sum())
        return (
            (f"the model has never seen {unknown} of its {len(ids)} words; read as <unk>",) if unknown else ()
        )
    strange = [char for char in dict.fromkeys(text) if _is_strange(tokenizer, char)]
    shown = " ".join(char if char.isprintable() else ascii(char) for char in strange)
    rule = "read as <unk>" if tokenizer.unk_id is not None else "spelled as bytes"
    return (f"the model has never seen {shown}; {rule}",) if strange else ()


def _is_strange(tokenizer: Tokenizer, char: str) -> bool:
    """Tell whether a character has no token of its own at a level that knows characters."""
    ids = tokenizer.encode(char)
    if tokenizer.unk_id is not None:
        return tokenizer.unk_id in ids
    return tokenizer.level == "subword" and any(_BYTE.fullmatch(tokenizer.tokens[i]) for i in ids)


def tune_prompt(tokenizer: Tokenizer, path: Path, *, number: int | None = None) -> Prompt:
    """Read and encode a tune to go on from: rests at its end and a final bar line are left off.

    Args:
        tokenizer: Of a music model.
        path: A music file.
        number: Which of its tunes, from 1; without it the first.

    Raises:
        CorpusError: If the file cannot be read as music.
        ConfigError: If it has no tune of that number.
        TokenError: If the tune does not suit the model's encoding.
    """
    from seqgen.music.excerpts import open_end

    piece, remarks = read_tune(path, number=number)
    encoding = note_tokenizer(tokenizer).encoding
    written = encoding.decode(encoding.encode(piece))  # with bar lines, where a played piece has none yet
    return encode_tune(tokenizer, replace(open_end(written), title=piece.title), remarks)


def read_tune(path: Path, *, number: int | None = None) -> tuple["Piece", tuple[str, ...]]:
    """Return one tune of a file, and a remark if there are others; arguments and errors as above."""
    from seqgen.music.read import parse_unit, split_music

    units = split_music(path)
    if number is not None and not 1 <= number <= len(units):
        held = "holds one tune" if len(units) == 1 else f"holds {len(units)} tunes"
        raise ConfigError(f"--tune {number}: {path} {held}")
    several = len(units) > 1 and number is None
    remarks = (f"of {len(units)} tunes the first is used; --tune chooses",) if several else ()
    return parse_unit(units[(number or 1) - 1]), remarks


def note_tokenizer(tokenizer: Tokenizer) -> NoteTokenizer:
    """Return a tokenizer that must be of music."""
    if not isinstance(tokenizer, NoteTokenizer):
        raise ValueError("a text model reads and makes no tunes")
    return tokenizer


def encode_tune(tokenizer: Tokenizer, piece: "Piece", remarks: Sequence[str] = ()) -> Prompt:
    """Return a tune in the tokens of a model; those that the model lacks are told with their bars."""
    tokenizer = note_tokenizer(tokenizer)
    names = tokenizer.encoding.encode(piece)
    known = set(tokenizer.tokens)
    numbers = tokenizer.encoding.bar_numbers(names)
    strange = [
        f"{name} (bar {numbers[place]})" if numbers else name
        for place, name in enumerate(names)
        if name not in known
    ]
    if strange:
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        told = f"the model has never seen {', '.join(strange[:_NAMED])}{more} of {len(names)} tokens"
        remarks = [*remarks, f"{told}; read as <unk>"]
    ids = tokenizer.encode_tokens(names).astype(np.int64)
    return Prompt("", ids, tuple(remarks), tuple(names), piece.title)


def tune_prompt_from_bytes(
    tokenizer: Tokenizer, content: bytes, *, source: str, number: int | None = None
) -> Prompt:
    """Read a tune that came without a file name; its kind is seen from how it begins.

    Args:
        tokenizer: Of a music model.
        content: Of the file.
        source: What messages call it.
        number: Which of its tunes, from 1; without it the first.
    """
    with TemporaryDirectory(prefix="seqgen-") as folder:
        path = Path(folder) / f"prompt{_suffix(content)}"
        path.write_bytes(content)
        try:
            return tune_prompt(tokenizer, path, number=number)
        except (CorpusError, ConfigError) as error:
            raise type(error)(str(error).replace(str(path), source)) from error


def _suffix(content: bytes) -> str:
    if content.startswith(b"MThd"):
        return ".mid"
    if content.startswith(b"PK"):
        return ".mxl"
    if content.startswith(b"**"):
        return ".krn"
    return ".musicxml" if content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") else ".abc"

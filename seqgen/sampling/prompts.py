"""Prompts: what a sample goes on from, as text or as a tune, in the tokens of the model."""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import CorpusError

FINAL_BAR = "Bar_|]"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # how a subword vocabulary names a byte


@dataclass(frozen=True)
class Prompt:
    """A prompt in the tokens of a model.

    Attributes:
        text: As given; empty for a tune.
        ids: Its tokens, (T,).
        remarks: What the user should know about how it was read.
    """

    text: str
    ids: NDArray[np.int64]
    remarks: tuple[str, ...] = ()


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


def tune_prompt(tokenizer: Tokenizer, path: Path) -> Prompt:
    """Read and encode a tune file; of several tunes the first is taken, and a final bar line left off.

    Raises:
        CorpusError: If the file cannot be read as music.
        TokenError: If the tune does not suit the model's encoding.
    """
    from seqgen.music.read import parse_unit, split_music

    units = split_music(path)
    ids = tokenizer.encode(parse_unit(units[0])).astype(np.int64)
    remarks = [f"of {len(units)} tunes the first is used"] if len(units) > 1 else []
    if len(ids) and tokenizer.tokens[ids[-1]] == FINAL_BAR:
        ids = ids[:-1]  # with it the tune would be over
    if unknown := int((ids == tokenizer.unk_id).sum()):
        remarks.append(f"the model has never seen {unknown} of the {len(ids)} tokens; read as <unk>")
    return Prompt("", ids, tuple(remarks))


def tune_prompt_from_bytes(tokenizer: Tokenizer, content: bytes, *, source: str) -> Prompt:
    """Read a tune that came without a file name; its kind is seen from how it begins.

    Args:
        source: What messages call it.
    """
    with TemporaryDirectory(prefix="seqgen-") as folder:
        path = Path(folder) / f"prompt{_suffix(content)}"
        path.write_bytes(content)
        try:
            return tune_prompt(tokenizer, path)
        except CorpusError as error:
            raise CorpusError(str(error).replace(str(path), source)) from error


def _suffix(content: bytes) -> str:
    if content.startswith(b"MThd"):
        return ".mid"
    if content.startswith(b"PK"):
        return ".mxl"
    if content.startswith(b"**"):
        return ".krn"
    return ".musicxml" if content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") else ".abc"

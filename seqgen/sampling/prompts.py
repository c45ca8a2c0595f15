"""Prompts: what a sample goes on from, as text or as a tune, in the tokens of the model."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import CorpusError

FINAL_BAR = "Bar_|]"


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
    if tokenizer.level == "char":
        strange = [char for char in dict.fromkeys(text) if tokenizer.unk_id in tokenizer.encode(char)]
        listed = " ".join(ascii(char) if not char.isprintable() else char for char in strange)
        return (f"the model has never seen {listed}; read as <unk>",) if strange else ()
    unknown = int((ids == tokenizer.unk_id).sum())
    if unknown:
        return (f"the model has never seen {unknown} of the {len(ids)} tokens; read as <unk>",)
    return ()


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
    unknown = int((ids == tokenizer.unk_id).sum()) if tokenizer.unk_id is not None else 0
    if unknown:
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

"""What a model is given to read: a text, a tune of a file, or standard input."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seqgen.cli.console import notice
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.data.tokenizers import Tokenizer
    from seqgen.sampling.prompts import Prompt

STDIN = "-"


def read_prompt(tokenizer: "Tokenizer", given: str, tune: int | None, *, option: str) -> "Prompt":
    """Return what was given in the tokens of a model.

    Args:
        tokenizer: Of the model.
        given: A text, or for a music model the name of a file; - is standard input.
        tune: Which tune of the file.
        option: What gave it, for messages.

    Raises:
        ConfigError: If a tune is chosen for a model of text, or there is none of that number.
        CorpusError: If standard input or the file cannot be read.
    """
    from seqgen.sampling import prompts

    if tokenizer.modality == "text":
        if tune is not None:
            raise ConfigError("--tune: this model reads text; it is for models of music")
        return prompts.text_prompt(tokenizer, stdin_text(option) if given == STDIN else given)
    if given == STDIN:
        content = sys.stdin.buffer.read()
        return prompts.tune_prompt_from_bytes(tokenizer, content, source="standard input", number=tune)
    return prompts.tune_prompt(tokenizer, Path(given), number=tune)


def is_file_name(text: str) -> bool:
    """Tell whether a text happens to be the name of a file."""
    try:
        return Path(text).is_file()
    except OSError:
        return False  # too long for a name


def tell_remarks(prompt: "Prompt", option: str) -> None:
    """Say what the user should know about how a prompt was read."""
    for remark in prompt.remarks:
        notice(f"{option}: {remark}")


def stdin_text(option: str) -> str:
    """Return all of standard input.

    Raises:
        CorpusError: If it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{option} -: byte {error.start} of standard input is not UTF-8") from error


@contextmanager
def standard_input(content: bytes | None) -> Iterator[None]:
    """Let standard input be some bytes; None leaves it as it is."""
    before = sys.stdin
    if content is not None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before

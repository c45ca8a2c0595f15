"""Samples as text, token names, JSON lines and tune files: which forms a model has, and the content of each.

Several samples in one stream are told apart as a reader of that form expects: texts by an empty line (or,
where the documents of the corpus were lines, by their line ends), token names and JSON by lines, ABC by
numbered tunes. Other music files hold one tune each, so several tunes need several files.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ConfigError
from seqgen.music.forms import TUNE_FORMS, TUNE_SUFFIXES, TuneForm
from seqgen.sampling.events import Ended, Event, Sample, in_order

if TYPE_CHECKING:
    from seqgen.music.pieces import Piece

Format = TuneForm | Literal["text", "json", "tokens"]
SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    **TUNE_SUFFIXES,
    ".json": "json",
    ".jsonl": "json",
    ".tokens": "tokens",
}
FORMATS: dict[str, tuple[Format, ...]] = {
    "text": ("text", "json", "tokens"),
    "music": (*TUNE_FORMS, "json", "tokens"),
}
"""What a model of each modality can be written as."""
TUNES: tuple[Format, ...] = TUNE_FORMS
ONE_TUNE_A_FILE: tuple[TuneForm, ...] = tuple(form for form in TUNE_FORMS if form != "abc")
BINARY: tuple[Format, ...] = ("midi", "mxl", "wav", "png")


def choose_format(tokenizer: Tokenizer, wanted: str | None, output: Path | None) -> Format:
    """Return the form to write: as wanted, else by the suffix of the output, else what suits the model.

    Raises:
        ConfigError: If the model cannot be written so.
    """
    possible = FORMATS[tokenizer.modality]
    suffix = output.suffix.lower() if output else ""
    asked = wanted or SUFFIXES.get(suffix)
    if asked is None and suffix and possible[0] != "text":  # a text may be called anything
        known = ", ".join(end for end, form in SUFFIXES.items() if form in possible)
        raise ConfigError(f"-o {output}: {suffix} files are not written; use one of {known}, or say --format")
    if asked is None or (wanted is None and possible[0] == "text" and asked == "abc"):
        return natural_format(tokenizer)  # a text model may well have learned ABC as text
    for form in possible:
        if form == asked:
            return form
    option = f"--format {wanted}" if wanted else f"-o {output}"
    raise ConfigError(
        f"{option}: this model makes {tokenizer.modality}; choose --format {', '.join(possible)}"
    )


def natural_format(tokenizer: Tokenizer) -> Format:
    """Return text for text, ABC for single-line tunes, MIDI for other music."""
    if tokenizer.modality == "text":
        return "text"
    return "abc" if tokenizer.vocab.options.get("notes") == "melody" else "midi"


def text_pieces(events: Iterable[Event], *, prompt: str, documents: str) -> Iterator[tuple[Event, str]]:
    """Yield the samples as one text, piece by piece: each with its prompt, ending in a line break.

    Args:
        events: As the sampler gives them.
        prompt: What each sample begins with.
        documents: How the corpus was read; samples of `lines` stand one a line, others with a line between.
    """
    between = "" if documents == "lines" else "\n"
    begins, last = True, ""
    for event in in_order(events):
        text = event.text
        if begins:
            text, last = (between if event.sequence else "") + prompt + text, ""
        last = text[-1:] or last
        begins = isinstance(event, Ended)
        yield event, text + "\n" if begins and last != "\n" else text


def tokens_line(names: Iterable[str]) -> str:
    r"""Return the names of tokens separated by spaces; in a name, white space and backslashes are escaped.

    Python's `unicode_escape` codec reads a name back: `\n` is a line break, `\x20` a space.
    """
    return " ".join(map(_escaped, names))


def _escaped(name: str) -> str:
    return "".join(
        char.encode("unicode_escape").decode("ascii") if char == "\\" or not char.isprintable() else char
        for char in name
    ).replace(" ", "\\x20")


def json_line(sample: Sample, *, seed: int | None, content: Mapping[str, Any]) -> str:
    """Return a sample as one line of JSON.

    Args:
        sample: The sample.
        seed: Of the run, if it had one.
        content: What its tokens stand for, such as `text` or `tokens`.
    """
    record = {
        "sample": sample.sequence + 1,
        **({} if seed is None else {"seed": seed}),
        **content,
        "end": sample.reason,
        "logprob_nats": round(sample.logprob, 4),
        "ids": sample.tokens,
    }
    return json.dumps(record, ensure_ascii=False)


def make_piece(
    tokenizer: Tokenizer,
    tokens: Sequence[int],
    title: str,
    *,
    begin: Sequence[str] = (),
    end: Sequence[str] = (),
) -> "Piece":
    """Return the tune that the tokens of a music model make.

    Args:
        tokenizer: Of the model.
        tokens: What was drawn.
        title: Of the tune.
        begin: The tokens of the note encoding before them, such as those of a prompt; the model need not
            know them.
        end: Those after them.
    """
    from dataclasses import replace

    from seqgen.data.notes import NoteTokenizer

    if not isinstance(tokenizer, NoteTokenizer):
        raise ValueError("a text model makes no tunes")
    piece = tokenizer.encoding.decode([*begin, *tokenizer.decode_tokens(tokens), *end])
    return replace(piece, title=title)


def title_of(origin: str, name: str) -> str:
    """Return the title of a tune made from another: `Reel, by fiddle, seed 1`.

    Only the last to have a hand in it is named: of the same tune made once more it is
    `Reel, by fiddle, seed 2`, and of one that was drawn from nothing `fiddle, seed 2, after fiddle, seed 1`.

    Args:
        origin: The title of the other; "" if there is none.
        name: Of what made this one, such as `fiddle, seed 1`.
    """
    drawn = _DRAWN.fullmatch(origin)
    if drawn:
        return f"{name}, after {drawn[1]}"
    return f"{_MAKER.sub('', origin)}, by {name}" if origin else name


_DRAWN = re.compile(r"([^,]+, (?:seed|beam) \d+)(?:, after .*)?")
_MAKER = re.compile(r", by [^,]+, (?:seed|beam) \d+$")


def numbered(output: Path, number: int) -> Path:
    """Return the path of one of several files: tune.mid, 3 -> tune-3.mid."""
    return output.with_name(f"{output.stem}-{number}{output.suffix}")

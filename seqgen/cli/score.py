"""`seqgen score`: how much each token of a text surprises a model, or one model more than another."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from seqgen.cli.console import counted, notice
from seqgen.cli.options import Model, file_to_write
from seqgen.cli.prompts import STDIN, standard_input
from seqgen.errors import ConfigError, TokenError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.data.tokenizers import Tokenizer

_STYLES = ("", "black on grey93", "black on light_goldenrod2", "black on orange1", "bold white on red3")
_GRADES = (1.0, 4.0, 7.0, 10.0)
"""Bits from which a token has the next style."""
_FAVOURS = (
    ("black on light_pink1", "bold white on red3"),
    ("black on light_sky_blue1", "bold white on blue3"),
)
"""What is likelier under MODEL, what under the other, in a page's colours: by over one bit, by over three."""
_CLEAR_BITS = (1.0, 3.0)

_FILE = typer.Argument(metavar="FILE", help="What to read: a text or tunes, - for standard input.")
_VIEW = typer.Option("--view", help="Show the text in colour instead of JSON lines.")
_AGAINST = typer.Option(metavar="MODEL", help="A second model: which of the two more likely wrote it?")
_OUTPUT = typer.Option(
    "--output", "-o", callback=file_to_write, help="Write a coloured HTML page, such as out.html, instead."
)


class _Token(NamedTuple):
    """One token and what the models make of it; `other` is None without a second one."""

    document: int
    position: int
    token: str
    text: str
    bits: float
    rank: int
    other: float | None

    @property
    def shown(self) -> str:
        """Its text, and a line end after a document."""
        from seqgen.data.vocab import EOS

        return f"{self.text}\n" if self.token == EOS else self.text

    @property
    def difference(self) -> float:
        """How many bits more it takes the second model."""
        return 0.0 if self.other is None else self.other - self.bits

    def record(self) -> dict[str, Any]:
        """Return plain values, as they are printed."""
        plain = self._asdict() | {"bits": round(self.bits, 4)}
        del plain["other"]
        if self.other is None:
            return plain
        return plain | {"other_bits": round(self.other, 4), "difference": round(self.difference, 4)}


def score(
    model: Model,
    file: Annotated[str, _FILE] = STDIN,
    against: Annotated[Path | None, _AGAINST] = None,
    view: Annotated[bool, _VIEW] = False,
    output: Annotated[Path | None, _OUTPUT] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Use weights as trained, not rounded to int8.")
    ] = False,
) -> None:
    """Tell how much each token surprises a model, in bits.

    Reads a text or tunes. Prints a JSON line a token: document, position in it, token, text, bits, and the
    rank of the token among all, 1 for the one that the model held likeliest. With --against it also has the
    bits of the other model and the difference, above 0 where MODEL is the likelier author; a last line gives
    totals.

    Example: seqgen score models/book book.txt --view
    """
    if view and output:
        raise ConfigError("--view and -o are two ways to show the same; leave one out")
    tokens = _read(model, file, against, exact)
    if output:
        _write_page(tokens, model, against, output, "a text" if file == STDIN else Path(file).name)
    elif view:
        _show(tokens)
        print(_summary(tokens, model, against))
    else:
        for token in tokens:
            print(json.dumps(token.record(), ensure_ascii=False))
        if against:
            print(json.dumps(_totals(tokens, model, against)))


def _read(model: Path, file: str, against: Path | None, exact: bool) -> list[_Token]:
    """Let the models read, one after the other."""
    from seqgen.artifacts import load_artifact, require_task

    paths = [model] if against is None else [model, against]
    artifacts = [require_task(load_artifact(path), "lm") for path in paths]
    _check_comparable(artifacts[0], artifacts[-1])
    content = sys.stdin.buffer.read() if against and file == STDIN else None  # two models read it
    readings = []
    for artifact in artifacts:
        with standard_input(content):
            readings.append(_surprise(artifact, file, exact))
    index, bits, ranks = readings[0]
    second, other_bits, _ = readings[-1]
    if second.documents("test").tolist() != index.documents("test").tolist():
        raise ConfigError(f"--against {against}: cuts {file} into other tokens than {model}")
    other: list[float] | list[None] = other_bits if against else [None] * len(bits)
    rows = zip(_places(index), bits, ranks, other, strict=True)
    return [_Token(*place, bit, rank, another) for place, bit, rank, another in rows]


def _check_comparable(model: "Artifact", other: "Artifact") -> None:
    """Refuse a second model that would cut a text into other tokens.

    Raises:
        ConfigError: Saying how they differ and with which option to train alike.
    """
    from seqgen.artifacts import TOKENIZER

    vocab = f"--vocab {model.path / TOKENIZER}"
    for found, wanted, what, option in (
        (other.tokenizer.level, model.tokenizer.level, "level", "--level {}"),
        (other.config.corpus.documents, model.config.corpus.documents, "documents", "--documents {}"),
        (_pieces(other.tokenizer), _pieces(model.tokenizer), "pieces of its own", vocab),
    ):
        if found != wanted:
            differs = f"{what} {found}, not {wanted}" if "{}" in option else what
            raise ConfigError(
                f"--against {other.path}: cuts a text otherwise than {model.path} ({differs}); "
                f"take a model trained with {option.format(wanted)}"
            )


def _pieces(tokenizer: "Tokenizer") -> Any:
    """Return what decides where a token ends, beyond its level: learned pieces, a note encoding."""
    if tokenizer.level == "subword":
        return tokenizer.content_hash
    return {name: tokenizer.vocab.options.get(name) for name in ("notes", "parameters", "merges", "words")}


def _surprise(artifact: "Artifact", file: str, exact: bool) -> "tuple[TokenIndex, list[float], list[int]]":
    """Return the tokens of a file in the vocabulary of a model, their bits and their ranks."""
    import math
    from dataclasses import replace

    from seqgen.data.indexing import ensure_index
    from seqgen.kernels.jit import telling_of_compilation
    from seqgen.sampling.engine import Sampler

    everything = replace(artifact.config.index, split=(0.0, 0.0, 100.0))
    config = replace(artifact.config, index=everything)

    def notify(message: str) -> None:
        notice(f"{artifact.path}: {message}")

    try:
        index = ensure_index([file], config, tokenizer=artifact.tokenizer, notify=notify)
    except TokenError as error:
        raise TokenError(f"{artifact.path}: {error}") from error
    with telling_of_compilation(lambda: notice("compiling the reader (first run on this machine)")):
        logprobs, ranks = Sampler(artifact, exact=exact).read(index.tokens("test"))
    return index, (-logprobs / math.log(2)).tolist(), ranks.tolist()


def _places(index: "TokenIndex") -> Iterator[tuple[int, int, str, str]]:
    """Yield document, position, token and text of every token."""
    from itertools import pairwise

    tokens, names = index.tokens("test"), index.tokenizer.tokens
    for document, (start, stop) in enumerate(pairwise(index.documents("test").tolist())):
        ids = tokens[start:stop].tolist()
        for position, (number, text) in enumerate(zip(ids, _texts(index.tokenizer, ids), strict=True)):
            yield document, position, names[number], text


def _texts(tokenizer: "Tokenizer", ids: list[int]) -> list[str]:
    """Return what each token adds to the text; of tunes, its name."""
    from seqgen.data.tokenizers import texts_of

    if tokenizer.modality == "music":
        return [f"{tokenizer.tokens[i]} " if i else "" for i in ids]
    return texts_of(tokenizer, ids)


def _totals(tokens: list[_Token], model: Path, against: Path) -> dict[str, Any]:
    ratio = sum(token.difference for token in tokens)
    return {
        "tokens": len(tokens),
        "bits": round(sum(token.bits for token in tokens), 3),
        "other_bits": round(sum(token.other or 0.0 for token in tokens), 3),
        "difference": round(ratio, 3),
        "per_token": round(ratio / max(len(tokens), 1), 5),
        "likelier": str(model if ratio > 0 else against) if ratio else None,
    }


def _summary(tokens: list[_Token], model: Path, against: Path | None) -> str:
    count = max(len(tokens), 1)
    mean = sum(token.bits for token in tokens) / count
    if against is None:
        return f"{counted(len(tokens), 'token')}, {mean:.3f} bits per token"
    total = _totals(tokens, model, against)
    return (
        f"{counted(len(tokens), 'token')}, {mean:.3f} bits per token under {model}, "
        f"{total['other_bits'] / count:.3f} under {against}: {abs(total['difference']):,.1f} bits "
        f"({abs(total['per_token']):.3f} per token) in favour of {total['likelier'] or 'neither'}"
    )


def _show(tokens: list[_Token]) -> None:
    from itertools import groupby

    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    styled = ((token.shown, _style(token)) for token in tokens)
    runs = groupby(styled, key=lambda pair: pair[1])
    console.print(Text.assemble(*(("".join(text for text, _ in run), style) for style, run in runs)))
    console.print()


def _style(token: _Token) -> str:
    from bisect import bisect

    if token.other is None:
        return _STYLES[bisect(_GRADES, token.bits)]
    strength = bisect(_CLEAR_BITS, abs(token.difference))
    return _FAVOURS[token.difference < 0][strength - 1] if strength else ""


def _write_page(tokens: list[_Token], model: Path, against: Path | None, output: Path, name: str) -> None:
    from seqgen.files import replacing
    from seqgen.report.surprise import DEEPEST_BITS, Reading, page

    bits = [token.bits for token in tokens]
    notes = [f"{token.bits:.2f} bits, rank {token.rank}" for token in tokens]
    readings = [Reading(f"Surprisal under {model}", bits, notes, signed=False)]
    if against:
        differences = [token.difference for token in tokens]
        told = [f"{token.other:.2f} - {token.bits:.2f} = {token.difference:+.2f} bits" for token in tokens]
        heading = f"Likelier under {model} (red) or {against} (blue)"
        readings.insert(0, Reading(heading, differences, told, signed=True))
    scale = (
        f"Colours are deepest from {DEEPEST_BITS:g} bits on. Point at a token, or touch it, for its number."
    )
    remarks = [_summary(tokens, model, against), scale]
    written = page(f"Surprisal of {name}", [token.shown for token in tokens], readings, remarks=remarks)
    with replacing(output) as aside:
        aside.write_text(written, encoding="utf-8")
    notice(f"{output} is written")

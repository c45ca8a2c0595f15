"""`seqgen sample --interactive`: a prompt a line, and after each the text that goes on from it."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seqgen.cli.console import notice
from seqgen.cli.prompts import tell_remarks
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.cli.sample_run import Run

LENGTH = 200
ALONE = {"count": None, "prompt": None, "output": None, "receipt": None, "n_best": 1}
"""Options that cannot be had besides, each as it is by default."""


def check_options(given: Mapping[str, Any]) -> None:
    """Refuse options that make no sense in a conversation.

    Raises:
        ConfigError: If one is given.
    """
    for name, default in ALONE.items():
        if given[name] != default:
            flag = name.replace("_", "-")
            raise ConfigError(f"--interactive: reads prompts and shows texts one by one, without --{flag}")


def converse(run: "Run") -> None:
    """Show how each line goes on, until there are no more; an empty one goes on with the last text.

    A constraint is on each reply by itself. Turns have random numbers of their own, so that the same seed and
    lines give the same bytes. Ctrl-C at a terminal ends a turn.

    Raises:
        ConfigError: If what is sampled is not text.
    """
    from seqgen.sampling.prompts import text_prompt

    if run.form != "text":
        raise ConfigError("--interactive: shows text, and this model or --format gives something else")
    ids: list[int] = []
    for turn, line in enumerate(_lines()):
        if line:
            prompt = text_prompt(run.artifact.tokenizer, line)
            tell_remarks(prompt, "prompt")
            ids = prompt.ids.tolist()
        ids = _go_on(run, ids, turn)


def _go_on(run: "Run", ids: list[int], turn: int) -> list[int]:
    """Stream one text and return the tokens to go on from, none if the model has ended it."""
    from seqgen.sampling.outputs import text_pieces
    from seqgen.sampling.stops import Drawn

    drawn: list[int] = []
    pieces = text_pieces(run.events(ids, turn=turn), prompt="", documents="lines")
    try:
        for event, text in pieces:
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
            sys.stdout.buffer.flush()
            if isinstance(event, Drawn):
                drawn.append(event.token)
            elif event.reason == "eos":
                return []
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
    return [*ids, *drawn]


def _lines() -> Iterator[str]:
    """Yield what is typed, or the lines of standard input, without line ends."""
    if not sys.stdin.isatty():
        for number, line in enumerate(sys.stdin.buffer, start=1):
            try:
                yield line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise CorpusError(f"--interactive: line {number} of standard input is not UTF-8") from error
        return
    import readline  # noqa: F401  # makes input() edit lines and remember them

    notice("type a beginning; an empty line goes on, Ctrl-C stops a text, Ctrl-D ends")
    while True:
        try:
            yield input("> ") if sys.stdout.isatty() else input()
        except EOFError:
            print(file=sys.stderr)
            return

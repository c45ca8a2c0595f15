"""Constraints on text by name: each a tree of characters, made an automaton over the tokens of a model.

A constraint is on the whole text, the prompt included. What cannot be met, alone, with the others or within
the length, is told before anything is sampled. An expression for the whole text also says where it ends:
where it may end, that is as likely as all together that the model would go on with but may not.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import reduce
from pathlib import Path
from typing import Any

from seqgen.data.normalization import nfc
from seqgen.data.tokenizers import EOS_ID, Tokenizer
from seqgen.errors import ConfigError
from seqgen.files import unreadable
from seqgen.sampling.automata import DEAD, STATE_LIMIT, Automaton, Ints, TooLargeError, intersect
from seqgen.sampling.regular import (
    Alphabet,
    Choice,
    ExpressionError,
    ExpressionReader,
    Node,
    Repeat,
    Series,
    over_characters,
)
from seqgen.sampling.spelling import Spelling

LONGEST_WORD = 100
LONGEST_SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """What text must be like; None where nothing is asked.

    Attributes:
        regex: An expression that the whole text matches.
        line_regex: An expression that each line matches.
        lines: How many lines there are.
        max_line_length: How many characters a line has at most.
        words_from: A file of words, the only ones that appear; upper and lower case are the same.
        starts: What the text starts with.
        ends: What it ends with.
        acrostic: What the first letters of the lines spell, upper or lower case.

    Raises:
        ConfigError: If a value makes no sense.
    """

    regex: str | None = None
    line_regex: str | None = None
    lines: int | None = None
    max_line_length: int | None = None
    words_from: Path | None = None
    starts: str | None = None
    ends: str | None = None
    acrostic: str | None = None

    def __post_init__(self) -> None:
        for name in ("lines", "max_line_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{_flag(name)} {value}: at least 1")
        for name in ("regex", "line_regex", "starts", "ends", "acrostic"):
            if getattr(self, name) == "":
                raise ConfigError(f"{_flag(name)}: an empty text asks for nothing; leave it out")
        if self.acrostic is not None and any(char.isspace() for char in self.acrostic):
            raise ConfigError(f"--acrostic {self.acrostic!r}: without spaces; each letter begins a line")

    @property
    def given(self) -> list[str]:
        """The names of what is asked."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


def constrain(
    rules: TextRules, tokenizer: Tokenizer, *, prompt: str, length: int, banned: Iterable[int] = ()
) -> Automaton | None:
    """Return what may be drawn after a prompt so that the text obeys the rules; None if there are none.

    Args:
        rules: What is asked.
        tokenizer: Of the model.
        prompt: What the text begins with.
        length: How many tokens may be drawn.
        banned: Tokens that are never drawn.

    Raises:
        ConfigError: If that is impossible, naming the rule; or if an expression is wrong or too large.
    """
    if not rules.given:
        return None
    if tokenizer.modality != "text":
        raise ConfigError(f"{_flag(rules.given[0])}: this model makes music, which has no text")
    spelled = list(tokenizer.spelled)
    for token in banned:
        if token == EOS_ID:
            raise ConfigError(f"--ban <eos>: what obeys {_flag(rules.given[0])} must be able to end")
        spelled[token] = None
    text = prompt.encode("utf-8", "replace").decode()
    spelling = Spelling(spelled, text=text)
    whole: Automaton | None = None
    for count, name in enumerate(rules.given, start=1):
        one = _over_tokens(rules, name, spelling, text)
        _require_possible(one, _shown(rules, name), length)
        if whole is None:
            whole = one
            continue
        together = " and ".join(_flag(other) for other in rules.given[:count])
        with _limits_told(together):
            whole = intersect(whole, one)
        _require_possible(whole, f"{together} together", length)
    return None if whole is None else replace(whole, concludes=rules.regex is not None)


def _over_tokens(rules: TextRules, name: str, spelling: Spelling, prompt: str) -> Automaton:
    shown = _shown(rules, name)
    with _limits_told(shown):
        characters = over_characters(_TREES[name](getattr(rules, name), spelling.alphabet), spelling.alphabet)
        numbers = spelling.alphabet.numbers(prompt)
        if len(characters) and (obeyed := _longest_obedient(characters, numbers)) < len(numbers):
            raise ConfigError(
                f"--prompt: {prompt[obeyed]!r}, its character {obeyed + 1}, is against {shown}, "
                "which is on the whole text"
            )
        return spelling.over_tokens(characters.after(numbers))


def _longest_obedient(automaton: Automaton, symbols: Ints) -> int:
    """Return how many symbols may follow one another from the start."""
    state = 0
    for count, symbol in enumerate(symbols):
        state = automaton.advance(state, int(symbol))
        if state == DEAD:
            return count
    return len(symbols)


@contextmanager
def _limits_told(shown: str) -> Iterator[None]:
    """Turn what goes wrong with an automaton into an error that names its rule."""
    try:
        yield
    except ExpressionError as error:
        raise ConfigError(f"{shown}: {error}") from error
    except TooLargeError as error:
        raise ConfigError(
            f"{shown}: needs more than {STATE_LIMIT:,} states; ask for something simpler"
        ) from error


def _require_possible(automaton: Automaton, shown: str, length: int) -> None:
    if automaton.shortest is None:
        raise ConfigError(f"{shown}: there is no such text in the tokens of this model")
    if automaton.shortest > length:
        raise ConfigError(f"{shown}: takes at least {automaton.shortest} tokens, but --length is {length}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(rules: TextRules, name: str) -> str:
    value = str(getattr(rules, name))
    return f"{_flag(name)} {value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + '...'}"


def _line_regex(expression: str, alphabet: Alphabet) -> Node:
    line = ExpressionReader(alphabet, without="\n").read(expression)
    end = ExpressionReader(alphabet).literal("\n")
    return Series((Repeat(Series((line, end)), 0, None), line, Repeat(end, 0, 1)))


def _acrostic(letters: str, alphabet: Alphabet) -> Node:
    lines = "\n".join(f"(?i:{re.escape(letter)})[^\n]*" for letter in letters)
    return ExpressionReader(alphabet).read(f"{lines}\n?")


def _words_from(path: Path, alphabet: Alphabet) -> Node:
    """Return the tree of texts whose runs of letters and digits are words of a file."""
    reader = ExpressionReader(alphabet)
    word = _tree(_trie(path), reader)
    other = reader.read(r"\W")
    return Series((Repeat(Series((Repeat(word, 0, 1), other)), 0, None), Repeat(word, 0, 1)))


Trie = dict[str, "Trie"]


def _trie(path: Path) -> Trie:
    """Read words into a tree by what they begin with; the empty text marks the end of one."""
    try:
        words = set(nfc(path.read_text(encoding="utf-8")).lower().split())
    except OSError as error:
        raise ConfigError(f"--words-from {unreadable(path, error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--words-from {path}: byte {error.start} is not UTF-8") from error
    if not words:
        raise ConfigError(f"--words-from {path}: holds no words")
    root: Trie = {}
    for word in sorted(words):
        if len(word) > LONGEST_WORD:
            raise ConfigError(f"--words-from {path}: {word[:20]}... is longer than {LONGEST_WORD} characters")
        reduce(lambda below, char: below.setdefault(char, {}), word, root)[""] = {}
    return root


def _tree(trie: Trie, reader: ExpressionReader) -> Node:
    branches = [
        Series((reader.read(f"(?i:{re.escape(char)})"), _tree(below, reader)))
        for char, below in trie.items()
        if char
    ]
    rest = Choice(tuple(branches)) if branches else Series(())
    return Repeat(rest, 0, 1) if "" in trie and branches else rest


_TREES: Mapping[str, Callable[[Any, Alphabet], Node]] = {
    "regex": lambda expression, alphabet: ExpressionReader(alphabet).read(expression),
    "line_regex": _line_regex,
    "lines": lambda count, alphabet: ExpressionReader(alphabet).read(
        rf"(?:[^\n]*\n){{{count - 1}}}[^\n]+\n?"
    ),
    "max_line_length": lambda size, alphabet: ExpressionReader(alphabet).read(
        rf"(?:[^\n]{{0,{size}}}\n)*[^\n]{{0,{size}}}"
    ),
    "words_from": _words_from,
    "starts": lambda text, alphabet: ExpressionReader(alphabet).read(f"(?s:{re.escape(text)}.*)"),
    "ends": lambda text, alphabet: ExpressionReader(alphabet).read(f"(?s:.*{re.escape(text)})"),
    "acrostic": _acrostic,
}

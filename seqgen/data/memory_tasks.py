"""Memory tests: sequences, drawn at random, whose answers depend on what was read k steps before.

    adding     two numbers a step, one of them a mark: after k steps the sum of the two marked numbers, the
               first of them read k steps before (Hochreiter and Schmidhuber 1997)
    agreement  "Anna from France, who sings, speaks French.": the language, k words after the country
    copy       symbols, blanks, a mark: then the symbols again, each k steps after it was read (Hochreiter and
               Schmidhuber 1997; Arjovsky, Shah and Bengio 2016)
    reverse    symbols and a mark: then the symbols backwards, the first of them k steps after it was read

All sequences of a batch have the same k and length, so nothing is padded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import Tokenizer, make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.errors import ConfigError

Numbers = NDArray[np.generic]
Random = np.random.Generator

ALPHABET = "abcdefgh"
DISTANCES = (2, 5, 10, 20, 50, 100, 200)
CLOSE = 0.1
"""How far from the right sum an answer may be and be counted as right."""
_BLANK, _MARK, _SYMBOLS = 2, 3, 4
_FIRST_MARK = 10
"""Up to so many numbers come before the first that is marked."""


class Questions(NamedTuple):
    """Sequences of one distance, and what is asked at their ends.

    Attributes:
        inputs: (T, B) token ids, or (T, B, 2) numbers.
        answers: What is right after each of the last A steps, (A, B): token ids, or sums.
        counted: How many of the last answers lie exactly k steps after what they depend on.
    """

    inputs: Numbers
    answers: Numbers
    counted: int


@dataclass(frozen=True)
class MemoryTask:
    """A memory test.

    Attributes:
        name: Of the test.
        distances: What it is measured at unless others are given.
        chance: The share of right answers of one who remembers nothing.
        draw: Returns questions from a generator, a distance and a number of sequences.
        tokenizer: Of what is read; None where that is numbers.
        size: Of what is read at a step, where that is numbers.
        small_loss: Below which a batch is as good as learned.
    """

    name: str
    distances: tuple[int, ...]
    chance: float
    draw: Callable[[Random, int, int], Questions]
    tokenizer: Tokenizer | None = None
    size: int = 0
    small_loss: float = 0.02

    def check_distances(self, distances: Sequence[int]) -> None:
        """Refuse distances that the test does not have.

        Raises:
            ConfigError: If there are none, or one is below the shortest.
        """
        shortest = self.distances[0]
        if not distances or min(distances) < shortest:
            raise ConfigError(f"--distances: the {self.name} test begins at a distance of {shortest}")


def memory_task(name: str, *, symbols: int = 3) -> MemoryTask:
    """Return a test by its name.

    Args:
        name: adding, agreement, copy or reverse.
        symbols: How many copy has to keep at once, or as many as fit a shorter distance.

    Raises:
        ConfigError: If there is none of that name.
    """
    tasks = _tasks()
    if name not in tasks:
        raise ConfigError(f"{name}: no memory test; choose {', '.join(tasks)}")
    task = tasks[name]
    if name != "copy":
        return task
    return replace(task, draw=lambda random, distance, rows: _copy(random, distance, rows, symbols))


@cache
def _tasks() -> dict[str, MemoryTask]:
    symbols = _tokenizer("char", ["_", ">", *ALPHABET])
    sum_by_chance = 1 - (1 - CLOSE) ** 2  # how often two numbers add up to 1, or nearly
    return {
        "adding": MemoryTask("adding", DISTANCES, sum_by_chance, _adding, size=2, small_loss=0.001),
        "agreement": MemoryTask("agreement", DISTANCES, 1 / len(NATIONS), _agreement, _sentence_tokenizer()),
        "copy": MemoryTask("copy", DISTANCES, 1 / len(ALPHABET), _copy, symbols),
        "reverse": MemoryTask("reverse", (2, 4, 6, 8, 10, 14, 20), 1 / len(ALPHABET), _reverse, symbols),
    }


def _tokenizer(level: str, tokens: Sequence[str], **options: Any) -> Tokenizer:
    options = {"normalize": "nfc", **options}
    vocab = Vocab(level=level, modality="text", tokens=(EOS, UNK, *tokens), options=options)
    return make_tokenizer(vocab)


def _symbols(random: Random, count: int, rows: int) -> Numbers:
    return random.integers(_SYMBOLS, _SYMBOLS + len(ALPHABET), (count, rows))


def _copy(random: Random, distance: int, rows: int, symbols: int = 3) -> Questions:
    count = min(symbols, distance - 1)
    told = _symbols(random, count, rows)
    inputs = np.full((distance + count - 1, rows), _BLANK)
    inputs[:count], inputs[distance - 1] = told, _MARK
    return Questions(inputs, told, count)


def _reverse(random: Random, distance: int, rows: int) -> Questions:
    told = _symbols(random, distance // 2, rows)  # an odd distance has a blank before the mark
    inputs = np.full((distance, rows), _BLANK)
    inputs[: len(told)], inputs[distance - len(told)] = told, _MARK
    return Questions(inputs, told[::-1].copy(), 1)


def _adding(random: Random, distance: int, rows: int) -> Questions:
    first = int(random.integers(_FIRST_MARK))
    inputs = np.zeros((first + distance, rows, 2), np.float32)
    inputs[..., 0] = random.random((first + distance, rows))
    second = random.integers(first + 1, first + distance, rows)
    inputs[first, :, 1] = inputs[second, np.arange(rows), 1] = 1
    sums = (inputs[..., 0] * inputs[..., 1]).sum(axis=0, keepdims=True)
    return Questions(inputs, sums, 1)


NATIONS = {
    "France": "French",
    "Italy": "Italian",
    "Spain": "Spanish",
    "Germany": "German",
    "Poland": "Polish",
    "Greece": "Greek",
    "Turkey": "Turkish",
    "Japan": "Japanese",
    "Sweden": "Swedish",
    "Finland": "Finnish",
}
_PEOPLE = [
    "Anna",
    "Boris",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Greta",
    "Hugo",
    "Irene",
    "Jonas",
    "Karin",
    "Leo",
]
_VERBS = ["sings", "paints", "cooks", "writes", "swims", "dances", "reads", "travels"]
_WHEN = ["at night", "in summer", "on trains", "with friends", "after work", "in spring"]
_CLAUSES = {
    3: [f" who {verb}," for verb in _VERBS],
    4: [f" who {verb} {country}," for verb in ("loves", "misses", "visits") for country in NATIONS],
    5: [f" who {verb} {when}," for verb in _VERBS for when in _WHEN],
}
"""By their number of tokens; every number from 3 is a sum of these. Other countries must not be mistaken."""
_SHORT = {0: "", 1: " often", 2: " very often", 3: " almost every day"}
"""What stands between country and verb where there is no room for a clause."""


@cache
def _sentence_tokenizer() -> Tokenizer:
    parts = [*_SHORT.values(), *(clause for clauses in _CLAUSES.values() for clause in clauses)]
    text = (
        f"{' '.join(_PEOPLE)} {' '.join(NATIONS)} {' '.join(NATIONS.values())} from speaks, {''.join(parts)}"
    )
    words = dict.fromkeys(text.replace(",", " ").split())
    return _tokenizer("word", [*_PEOPLE, ",", *(f" {word}" for word in words)], words="words")


@cache
def _phrases() -> dict[str, Numbers]:
    """Return the ids of phrases by kind, each (length, choices)."""
    encode = _sentence_tokenizer().encode
    lists = {
        "people": _PEOPLE,
        "countries": [f" {country}" for country in NATIONS],
        "languages": [f" {language}" for language in NATIONS.values()],
        "from": [" from"],
        "speaks": [" speaks"],
        "comma": [","],
        **{f"clauses of {length}": clauses for length, clauses in _CLAUSES.items()},
        **{f"words: {length}": [words] for length, words in _SHORT.items()},
    }
    return {name: np.stack([encode(text) for text in texts], axis=1) for name, texts in lists.items()}


def _agreement(random: Random, distance: int, rows: int) -> Questions:
    phrases = _phrases()

    def some(name: str) -> Numbers:
        choices = phrases[name]
        return choices[:, random.integers(choices.shape[1], size=rows)]

    nation = random.integers(len(NATIONS), size=rows)
    start = [np.zeros((1, rows), np.int64), some("people"), some("from"), phrases["countries"][:, nation]]
    between = [some(name) for name in _between(random, distance - 2)]
    inputs = np.concatenate([*start, *between, some("speaks")]).astype(np.int64)
    return Questions(inputs, phrases["languages"][:, nation].astype(np.int64), 1)


def _between(random: Random, length: int) -> list[str]:
    """Name phrases that have so many tokens together."""
    if length in _SHORT:
        return [f"words: {length}"]
    names, room = ["comma"], length - 1
    while room:
        fitting = [size for size in _CLAUSES if room - size == 0 or room - size >= min(_CLAUSES)]
        size = int(random.choice(fitting))
        names.append(f"clauses of {size}")
        room -= size
    return names


def as_text(task: MemoryTask, questions: Questions) -> list[str]:
    """Return each sequence as a reader sees it, and after an arrow its answers."""
    columns = range(questions.answers.shape[1])
    if task.tokenizer is None:
        return [
            " ".join(f"{number:.2f}{'*' if mark else ''}" for number, mark in questions.inputs[:, column])
            + f" → {questions.answers[0, column]:.2f}"
            for column in columns
        ]
    decode = task.tokenizer.decode
    return [
        f"{decode(questions.inputs[:, column])} → {str(decode(questions.answers[:, column])).strip()}"
        for column in columns
    ]

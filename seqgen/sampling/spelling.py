"""From automata over characters to automata over tokens that spell them.

A token leads from a state to where its characters do, however many they are. Where tokens hold parts of
characters, as bytes do, the way is over UTF-8: an automaton over characters becomes one over bytes first.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqgen.sampling.automata import (
    DEAD,
    EDGE_LIMIT,
    STATE_LIMIT,
    Automaton,
    Ints,
    TooLargeError,
    make_automaton,
    nothing,
)
from seqgen.sampling.regular import Alphabet

SIX_BITS = 64  # what a continuation byte holds
_CONTINUATION = 0x80


class Spelling:
    """How the tokens of a vocabulary spell text."""

    def __init__(self, spelled: Sequence[bytes | None], *, text: str = "") -> None:
        """Read a vocabulary.

        Args:
            spelled: The UTF-8 of each token; None for one that stands for no text.
            text: What else the alphabet must hold.
        """
        self._spelled = spelled
        try:
            self._texts = ["" if token is None else token.decode() for token in spelled]
            self._by_bytes = False
        except UnicodeDecodeError:
            self._texts = ["" if token is None else token.decode("latin-1") for token in spelled]
            self._by_bytes = True
        self.alphabet = Alphabet.complete() if self._by_bytes else Alphabet.of("".join(self._texts) + text)

    def over_tokens(self, characters: Automaton) -> Automaton:
        """Return what an automaton over the characters of the alphabet allows, over tokens.

        Raises:
            TooLargeError: If it would have too many states or edges.
        """
        if not len(characters):
            return nothing(len(self._texts))
        automaton = over_bytes(characters) if self._by_bytes else characters
        points = np.arange(256) if self._by_bytes else self.alphabet.points
        names = {int(point): chr(kind) for point, kind in zip(points, automaton.kinds, strict=True)}
        texts = [text.translate(names) for text in self._texts]
        kind_of, columns = _columns(sorted(set(texts)), automaton)
        sources, targets = (np.concatenate(part) for part in zip(*columns, strict=True))
        labels = np.repeat(np.arange(len(columns)), [len(column[0]) for column in columns])
        kinds = np.array([kind_of[text] for text in texts], np.int64)
        return make_automaton(kinds, sources, labels, targets, automaton.accepting)


def _columns(texts: Sequence[str], automaton: Automaton) -> tuple[dict[str, int], list[tuple[Ints, Ints]]]:
    """Follow texts from all states at once.

    Args:
        texts: Sorted, so that what two of them begin with is followed once; kinds of symbols as characters.
        automaton: What they are followed through.

    Returns:
        A number for each text, the same for texts that do the same, and by that number, where they lead:
        states, and the states after the text. The empty text leads nowhere.
    """
    states = np.arange(len(automaton))
    table = automaton.rows(states)
    nowhere = states[:0], states[:0]
    numbers, columns, edges = {b"": 0}, [nowhere], 0
    kind_of: dict[str, int] = {}
    stack, before = [(states, states)], ""
    for text in texts:
        shared = min(_shared_length(before, text), len(stack) - 1)
        del stack[shared + 1 :]
        for char in text[shared:]:
            origins, reached = stack[-1]
            if not len(origins):
                break
            reached = table[reached, ord(char)]
            alive = reached != DEAD
            stack.append((origins[alive], reached[alive]))
        before = text
        column = stack[-1] if text else nowhere
        key = column[0].tobytes() + column[1].tobytes()
        if key not in numbers:
            numbers[key] = len(columns)
            columns.append(column)
            edges += len(column[0])
            if edges > EDGE_LIMIT:
                raise TooLargeError
        kind_of[text] = numbers[key]
    return kind_of, columns


def _shared_length(first: str, second: str) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def over_bytes(characters: Automaton) -> Automaton:
    """Return what an automaton over all of Unicode allows, over the bytes of its UTF-8.

    Raises:
        TooLargeError: If it would have too many states.
    """
    two, three, four = (block.reshape(-1, SIX_BITS) for block in _by_lead_byte(characters.kinds))
    leaves, leaf_of = _distinct(np.concatenate([two, three, four]))
    of_two, of_three, of_four = np.split(leaf_of, [32, 32 + 16 * SIX_BITS])
    pairs, pair_of = _distinct(np.concatenate([of_three, of_four]).reshape(-1, SIX_BITS))
    pair_of_three, pair_of_four = np.split(pair_of, [16])
    inner = _Inner(len(characters))
    leads = np.full((len(characters), 256), DEAD)
    table = characters.rows(np.arange(len(characters)))
    for row, after in zip(leads, np.pad(table, ((0, 0), (0, 1)), constant_values=DEAD), strict=True):
        by_leaf = inner.states(after[leaves])
        by_pair = inner.states(by_leaf[pairs])
        row[:0x80] = after[characters.kinds[:0x80]]
        row[0xC0:0xE0] = by_leaf[of_two]
        row[0xE0:0xF0] = by_pair[pair_of_three]
        row[0xF0:0xF5] = inner.states(by_pair[pair_of_four.reshape(-1, SIX_BITS)])
    sources, labels = np.nonzero(leads != DEAD)
    targets = leads[sources, labels]
    follow = inner.table()
    within, low_bits = np.nonzero(follow != DEAD)
    return make_automaton(
        np.arange(256),
        np.concatenate([sources, within + len(characters)]),
        np.concatenate([labels, low_bits + _CONTINUATION]),
        np.concatenate([targets, follow[within, low_bits]]),
        np.concatenate([characters.accepting, np.zeros(len(follow), np.bool_)]),
    )


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """Return the distinct rows, and which of them each row is; as `np.unique`, but without sorting."""
    numbers: dict[bytes, int] = {}
    which = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])
    return np.array([np.frombuffer(row, rows.dtype) for row in numbers]), which


def _by_lead_byte(kinds: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the kinds of the characters of two, three and four bytes, by six bits; -1 where none is written.

    Returns:
        (32, 64), (16, 64, 64) and (5, 64, 64, 64).
    """
    four = np.full(5 * SIX_BITS**3, DEAD)
    four[:0xD800], four[0xE000:0x110000] = kinds[:0xD800], kinds[0xD800:]  # without surrogates
    two, three = four[:0x800].copy(), four[:0x10000].copy()
    two[:0x80] = three[:0x800] = four[:0x10000] = DEAD  # a character is written in as few bytes as it can
    return two.reshape(-1, SIX_BITS), three.reshape(-1, *[SIX_BITS] * 2), four.reshape(-1, *[SIX_BITS] * 3)


class _Inner:
    """The states within a character, told apart by where each continuation byte leads."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._numbers: dict[bytes, int] = {np.full(SIX_BITS, DEAD).tobytes(): DEAD}
        self._rows: list[NDArray[np.int64]] = []

    def states(self, rows: Ints) -> Ints:
        """Return the state of each row, (N, 64), of states that the continuation bytes lead to."""
        return np.array([self._state(row) for row in rows], np.int64)

    def _state(self, row: Ints) -> int:
        key = row.tobytes()
        if key not in self._numbers:
            self._numbers[key] = self._first + len(self._rows)
            self._rows.append(row)
            if len(self._rows) > STATE_LIMIT:
                raise TooLargeError
        return self._numbers[key]

    def table(self) -> Ints:
        """Return all rows, (N, 64)."""
        return np.array(self._rows, np.int64).reshape(-1, SIX_BITS)

"""What a token of a tune means after those before it: which pitches may follow, in this key, after this note.

A pitch is a note of the tune's unit, and changes by how many notes at least the tune is away from a pitch it
may end on: a rhythm that counts these, and has so many notes left, can always be followed to the end. A note
that is tied is followed by itself alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqgen.music.pieces import Key, Pitch
from seqgen.sampling.counting import NEVER, Reader
from seqgen.sampling.tune_tokens import TuneTokens

FAR = -1


@dataclass(frozen=True)
class Melodies:
    """Which pitches there are in some keys.

    Attributes:
        keys: The keys that a tune may have; if `by_key` is not set, pitches are the same in all of them.
        pitches: Their pitches, from which the columns of the arrays are.
        hops: For each key and pitch how many notes at least come after it if the tune is to end as it must,
            FAR where the pitch may not be, (keys, P).
        leap: By how many semitones one note may differ from the next; None for any.
        changes_key: Whether the key may change within a tune.
    """

    keys: Sequence[Key]
    pitches: Sequence[Pitch]
    hops: NDArray[np.int64]
    leap: int | None
    by_key: bool
    changes_key: bool

    @property
    def most_hops(self) -> int:
        """The largest number of hops."""
        return int(self.hops.max(initial=0))

    @property
    def near(self) -> NDArray[np.bool_]:
        """Which pitch may follow which, (P, P)."""
        return near(self.pitches, self.leap)


def near(pitches: Sequence[Pitch], leap: int | None) -> NDArray[np.bool_]:
    """Return which pitches are within a leap of each other, (P, P)."""
    heights = np.array([pitch.midi for pitch in pitches])
    apart = np.abs(heights[:, None] - heights)
    within: NDArray[np.bool_] = apart <= (leap if leap is not None else 127)
    return within


def count_hops(
    pitches: Sequence[Pitch],
    leap: int | None,
    may_be: Callable[[Pitch], bool],
    may_end: Callable[[Pitch], bool],
) -> NDArray[np.int64]:
    """Return how many leaps each pitch is from one to end on, FAR for those that may not be, (P,)."""
    allowed = np.array([may_be(pitch) for pitch in pitches], np.bool_)
    hops = np.where(allowed & [may_end(pitch) for pitch in pitches], 0, FAR)
    beside = near(pitches, leap)
    count = 0
    while (last := hops == count).any():
        count += 1
        hops[beside[last].any(axis=0) & allowed & (hops == FAR)] = count
    return hops


def make_reader(
    tokens: TuneTokens, melodies: Melodies, units: Sequence[Any], kinds: Mapping[Any, int]
) -> Reader:
    """Make the reader of tunes; its first state is before the key.

    Args:
        tokens: Of the vocabulary.
        melodies: What pitches there are.
        units: The units that a tune may have, as the rhythm numbers them.
        kinds: The number of each kind.
    """
    return _Tables(tokens, melodies, units, kinds).build()


class _Tables:
    """A reader while it is made.

    Its states are: 0 before the key; one for each key after that; and then for each unit and key, the last
    pitch (0 for none), and whether it is tied.
    """

    def __init__(
        self, tokens: TuneTokens, melodies: Melodies, units: Sequence[Any], kinds: Mapping[Any, int]
    ) -> None:
        self._tokens, self._melodies, self._units, self._kinds = tokens, melodies, units, kinds
        self._keys = len(melodies.keys) if melodies.by_key else 1
        remembers = tokens.tie is not None or melodies.leap is not None or melodies.most_hops > 0
        self._last = len(melodies.pitches) + 1 if remembers else 1
        self._columns = np.array([tokens.pitches[pitch] for pitch in melodies.pitches], np.int64)

    def build(self) -> Reader:
        begun = 1 + self._keys
        blocks = [
            self._body(unit, key, begun + (unit * self._keys + key) * 2 * self._last)
            for unit in range(len(self._units))
            for key in range(self._keys)
        ]
        kinds = np.concatenate([self._head(begun), *(kinds for kinds, _ in blocks)])
        following = np.concatenate([self._after_head(begun), *(after for _, after in blocks)])
        return Reader(kinds.astype(np.int32), following.astype(np.int32))

    def _kind(self, *what: Any) -> int:
        return self._kinds.get(what, NEVER)

    def _head(self, begun: int) -> NDArray[np.int64]:
        kinds = np.full((begun, self._tokens.size), NEVER)
        for key in self._melodies.keys:
            kinds[0, self._tokens.keys[key]] = self._kind("key")
        for meter, token in self._tokens.meters.items():
            kinds[1:, token] = self._kind("meter", meter)
        for unit in self._units:
            kinds[1:, self._tokens.units[unit]] = self._kind("unit", unit)
        return kinds

    def _after_head(self, begun: int) -> NDArray[np.int64]:
        following = np.repeat(np.arange(begun)[:, None], self._tokens.size, axis=1)
        for number, key in enumerate(self._melodies.keys):
            following[0, self._tokens.keys[key]] = 1 + (number if self._melodies.by_key else 0)
        for number, unit in enumerate(self._units):
            blocks = (number * self._keys + np.arange(self._keys)) * 2 * self._last
            following[1:, self._tokens.units[unit]] = begun + blocks
        return following

    def _body(self, unit: int, key: int, base: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return kinds and following states of one unit and key, both (2 * last, V)."""
        count = 2 * self._last
        kinds = np.repeat(self._plain(unit)[None], count, axis=0)
        following = np.repeat((base + np.arange(count))[:, None], self._tokens.size, axis=1)
        hops = self._melodies.hops[key]
        most = self._melodies.most_hops
        before = np.concatenate([[most], hops])[: self._last]
        follows = np.concatenate([np.ones((1, len(hops)), np.bool_), self._melodies.near])[: self._last]
        changes = [self._kind("note", unit, change) for change in range(-most, most + 1)]
        notes = np.array(changes)[np.clip(hops - before[:, None], -most, most) + most]
        kinds[0::2, self._columns] = np.where(follows & (hops != FAR), notes, NEVER)
        kinds[1::2, self._columns] = NEVER
        if self._tokens.rest is not None:
            kinds[1::2, self._tokens.rest] = NEVER
        following[:, self._columns] = base
        if self._last > 1:
            pitches = np.arange(self._last - 1)
            kinds[3::2, self._columns] = np.where(np.eye(len(hops)), self._kind("note", unit, 0), NEVER)
            following[:, self._columns] = base + 2 * (pitches + 1)
            if self._tokens.tie is not None:
                kinds[2::2, self._tokens.tie] = self._kind("tie")
                following[:, self._tokens.tie] = base + np.arange(count) // 2 * 2 + 1
        return kinds, following

    def _plain(self, unit: int) -> NDArray[np.int64]:
        """Return the kinds of the tokens that are no pitches, in a tune of a unit, (V,)."""
        tokens, kinds = self._tokens, np.full(self._tokens.size, NEVER)
        for length, token in tokens.durations.items():
            kinds[token] = self._kind("same" if length == self._units[unit] else "duration", length)
        for name, table in (
            ("bar", tokens.bars),
            ("ending", tokens.endings),
            ("beat", tokens.beats),
            ("tuplet", tokens.tuplets),
        ):
            for value, token in table.items():
                kinds[token] = self._kind(name, value)
        for token in tokens.chords.values():
            kinds[token] = self._kind("chord")
        if tokens.rest is not None:
            kinds[tokens.rest] = self._kind("rest", unit)
        if self._melodies.changes_key:
            for token in tokens.keys.values():
                kinds[token] = self._kind("key")
        return kinds

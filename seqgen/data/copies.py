"""Copies of the tunes to train on, in other keys and at other speeds.

They are made while the index is written, from the tokens of each tune, and never held in memory together.
What validates and tests stays as it is. A stretch of a tune that the split cut off counts as a tune.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tunes import SplitTune, Tunes
from seqgen.music.pieces import parse_key
from seqgen.music.preparing import Variation
from seqgen.music.transposing import Interval, interval_from, move_token, pitch_of, stretch

CELLS = ("Pitch", "Hold", "Rest")
"""The kinds of tokens that voices take turns at."""
_NOWHERE = np.iinfo(np.uint32).max


class _Copy(NamedTuple):
    tune: SplitTune
    interval: Interval


class CopiedTunes:
    """The tunes of a corpus, those to train on in all their copies.

    One pass over the tunes after the other is made, each tune in another copy every time, so that the copies
    of a tune stand far apart. The symbols that copies add are in `tunes.symbols` from the start.

    Args:
        tunes: The tunes; symbols are added to them.
        split: The same, divided.
        variation: Which copies to make.
    """

    def __init__(self, tunes: Tunes, split: Sequence[SplitTune], variation: Variation) -> None:
        self._tunes = tunes
        self._others = [tune for tune in split if tune.part]
        self._train = [tune for tune in split if not tune.part]
        names = list(tunes.symbols)
        stretched = [self._stretched(tune, names, variation.factors) for tune in self._train]
        self._pitches = np.array([pitch_of(name) for name in tunes.symbols], dtype=np.int64)
        names = list(tunes.symbols)
        self._keys = {number: name for number, name in enumerate(names) if name.startswith("Key_")}
        self._cells = np.array([name.partition("_")[0] in CELLS for name in names])
        voices = tunes.encoding.voices
        self._lowest, self._highest = np.zeros(voices, np.int64), np.full(voices, 127)
        if variation.within_range:
            extremes = [self._extremes(tune) for tune in self._train]
            self._lowest = np.min([lowest for lowest, _ in extremes], axis=0, initial=127)
            self._highest = np.max([highest for _, highest in extremes], axis=0, initial=0)
        self._copies = [
            [copy for tune in group for copy in self._shifted(tune, variation.shifts)] for group in stretched
        ]
        self._maps = self._make_maps(names)

    def __iter__(self) -> Iterator[SplitTune]:
        passes = max(map(len, self._copies), default=0)
        for number in range(passes):
            for index, copies in enumerate(self._copies):
                if number < len(copies):
                    yield self._made(copies[(index + number) % len(copies)])
        yield from self._others

    def summary(self) -> str:
        """Say in a line what was made of what."""
        made = [copy.tune for copies in self._copies for copy in copies]
        before, after = (sum(len(tune.symbols) for tune in group) for group in (self._train, made))
        return (
            f"{len(self._train):,} training tunes are {len(made):,} with their copies: {after:,} tokens, "
            f"{after / max(before, 1):.1f} times as many"
        )

    def _extremes(self, tune: SplitTune) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lowest and the highest note of each voice, 127 and 0 where it has none."""
        voices = self._tunes.encoding.voices
        pitches = self._pitches[tune.symbols]
        voice = (np.cumsum(self._cells[tune.symbols]) - 1) % voices
        lowest, highest = np.full(voices, 127), np.zeros(voices, np.int64)
        np.minimum.at(lowest, voice[pitches >= 0], pitches[pitches >= 0])
        np.maximum.at(highest, voice[pitches >= 0], pitches[pitches >= 0])
        return lowest, highest

    def _stretched(
        self, tune: SplitTune, names: Sequence[str], factors: Sequence[Fraction]
    ) -> list[SplitTune]:
        found = [tune]
        if len(factors) == 1:
            return found
        encoding = self._tunes.encoding
        piece = encoding.decode([names[number] for number in tune.symbols])
        for factor in factors:
            longer = stretch(piece, factor) if factor != 1 else None
            if longer is not None:
                numbers = self._tunes.numbers(encoding.encode(longer))
                title = f"{tune.title} (x {factor})"
                found.append(tune._replace(symbols=np.array(numbers, dtype=np.uint32), title=title))
        return found

    def _shifted(self, tune: SplitTune, shifts: Sequence[int]) -> Iterator[_Copy]:
        lowest, highest = self._extremes(tune)
        silent = lowest > highest
        down = int(np.max(np.where(silent, -127, self._lowest - lowest)))
        up = int(np.min(np.where(silent, 127, self._highest - highest)))
        first = next((self._keys[n] for n in tune.symbols.tolist() if n in self._keys), "Key_none")
        key = first.partition("_")[2]
        fifths = 0 if key == "none" else parse_key(key).fifths
        for semitones in shifts:
            if not semitones or down <= semitones <= up:
                yield _Copy(tune, interval_from(fifths, semitones))

    def _make_maps(self, names: Sequence[str]) -> dict[Interval, NDArray[np.uint32]]:
        """Return for each interval the number of every symbol that it is applied to, moved."""
        used: dict[Interval, set[int]] = {}
        for copies in self._copies:
            for tune, interval in copies:
                used.setdefault(interval, set()).update(np.unique(tune.symbols).tolist())
        maps = {}
        for interval, numbers in used.items():
            moved = np.full(len(names), _NOWHERE, dtype=np.uint32)
            order = sorted(numbers)
            moved[order] = self._tunes.numbers(move_token(names[number], interval) for number in order)
            maps[interval] = moved
        return maps

    def _made(self, copy: _Copy) -> SplitTune:
        tune, interval = copy
        if not interval.semitones:
            return tune
        title = f"{tune.title} ({interval.semitones:+d})"
        return tune._replace(symbols=self._maps[interval][tune.symbols], title=title)

"""Automata over tokens that fill given bars of a chorale: as many frames as before, marks where they were.

A voice that goes on into the bars that are kept must by then sing the note that it holds there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqgen.errors import ConfigError
from seqgen.music.chorale import HOLD, REST
from seqgen.sampling.automata import Automaton, TooLargeError, explore

_SILENT, _SINGING, _AGREED = range(3)
"""What a voice does: nothing, sing some note, sing the one that it holds after the chosen bars."""


def is_cell(name: str) -> bool:
    """Say whether a token is of a voice, and no mark."""
    return name in (HOLD, REST) or name.startswith("Pitch_")


@dataclass(frozen=True)
class ChoraleFiller:
    """What fills some bars of a chorale.

    Attributes:
        names: The tokens of the vocabulary, (V,).
        tune: Those of the tune.
        start: The place in the tune of the first cell to draw, of the highest voice.
        end: The place after the last one, of the lowest voice.
        voices: How many take turns.
    """

    names: Sequence[str]
    tune: Sequence[str]
    start: int
    end: int
    voices: int

    def automaton(self) -> Automaton:
        """Return what the vocabulary may fill the bars with.

        Raises:
            ConfigError: If there are too many for one automaton.
        """
        kinds = np.arange(len(self.names))
        pitches = [number for number, name in enumerate(self.names) if name.startswith("Pitch_")]
        free = [number for number in pitches if self.names[number] not in self._held_after]
        kinds[free] = free[0] if free else 0
        sounding = sorted(set(kinds[pitches].tolist()))

        def follow(state: tuple[int, tuple[int, ...]]) -> Iterator[tuple[int, tuple[int, tuple[int, ...]]]]:
            place, voices = state
            if place == self.end:
                return
            if not is_cell(self.tune[place]):
                yield self._ids[self.tune[place]], (place + 1, voices)
                return
            voice = self._voice_at[place]
            for kind in sounding:
                yield kind, (place + 1, _with(voices, voice, self._doing(voice, self.names[kind])))
            if REST in self._ids:
                yield self._ids[REST], (place + 1, _with(voices, voice, _SILENT))
            if HOLD in self._ids and voices[voice] != _SILENT:
                yield self._ids[HOLD], (place + 1, voices)

        try:
            return explore(kinds, (self.start, self._begin), follow, self._may_end)
        except TooLargeError:
            raise ConfigError("--infill: these are too many bars to draw at a time; choose fewer") from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def _voice_at(self) -> dict[int, int]:
        """The voice of each cell, by its place."""
        cells = [place for place, name in enumerate(self.tune) if is_cell(name)]
        return {place: number % self.voices for number, place in enumerate(cells)}

    def _sung_at(self, end: int) -> list[str]:
        """Return the pitch that each voice of the tune sings when a place is come to; empty for none."""
        sung = [""] * self.voices
        for place, voice in self._voice_at.items():
            name = self.tune[place]
            if place < end and name != HOLD:
                sung[voice] = "" if name == REST else name
        return sung

    @cached_property
    def _held_after(self) -> list[str]:
        """The pitch that each voice goes on with in the first frame after the chosen bars; empty for none."""
        sung, held = self._sung_at(self.end), [""] * self.voices
        following = [place for place in self._voice_at if place >= self.end]
        for place in following[: self.voices]:
            if self.tune[place] == HOLD:
                held[self._voice_at[place]] = sung[self._voice_at[place]]
        return held

    @cached_property
    def _begin(self) -> tuple[int, ...]:
        sung = self._sung_at(self.start)
        return tuple(self._doing(voice, name) if name else _SILENT for voice, name in enumerate(sung))

    def _doing(self, voice: int, pitch: str) -> int:
        return _AGREED if pitch == self._held_after[voice] else _SINGING

    def _may_end(self, state: tuple[int, tuple[int, ...]]) -> bool:
        place, voices = state
        agreed = zip(voices, self._held_after, strict=True)
        return place == self.end and all(not held or doing == _AGREED for doing, held in agreed)


def _with(voices: tuple[int, ...], voice: int, doing: int) -> tuple[int, ...]:
    return (*voices[:voice], doing, *voices[voice + 1 :])

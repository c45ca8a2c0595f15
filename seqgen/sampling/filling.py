"""Automata over tokens that fill given bars of a melody exactly.

A tune in tokens is frames (key, meter, unit, bar lines, endings, chords) and stretches of notes between
them. What is drawn keeps the frames and fills each stretch to its length, with the beat marks where they
belong, times on a grid of 32nd notes and tuplets of equal notes that end on it. Pitches and rests are free,
or those of the stretch in their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np

from seqgen.errors import ConfigError
from seqgen.music.melody import MelodyEncoding, beat_numbers, parse_token
from seqgen.music.pieces import Tuplet
from seqgen.sampling.automata import Automaton, TooLargeError, explore

GRID = Fraction(1, 8)
_CONTENT = frozenset({"Pitch", "Rest", "Duration", "Tuplet", "Tie", "Beat"})
_ZERO = Fraction(0)


@dataclass(frozen=True)
class Stretch:
    """Notes between two frames of a tune in tokens.

    Attributes:
        start: The place of its first token.
        stop: The place after its last token, where the next frame begins.
        onset: When it begins, in quarters from the start of the tune.
        length: In quarters.
        bar: The number of its bar.
    """

    start: int
    stop: int
    onset: Fraction
    length: Fraction
    bar: int


def stretches(names: Sequence[str]) -> list[Stretch]:
    """Return the stretches of notes of a melody."""
    encoding = MelodyEncoding()
    onsets = [*encoding.onsets(names), encoding.decode(names).duration]
    numbers = encoding.bar_numbers(names)
    is_content = [name.partition("_")[0] in _CONTENT for name in names]
    found, start = [], None
    for place, inside in enumerate([*is_content, False]):
        if inside and start is None:
            start = place
        elif not inside and start is not None:
            length = onsets[place] - onsets[start]
            found.append(Stretch(start, place, onsets[start], length, numbers[start]))
            start = None
    return found


class _Place(NamedTuple):
    """A state while stretches are filled.

    Attributes:
        stretch: Which one.
        at: Quarters from its start.
        note: How many of its given notes are used; 0 where pitches are free.
        stage: `begin`, or what was read last: a `pitch`, a `rest`, a `tie`, a `beat` mark, a `tuplet` sign or
            a `duration`; `frame` after the stretch.
        due: When the note ends whose duration was read; in a frame how many of its tokens were.
        group: The tuplet that is open.
        left: How many of its notes are to come.
    """

    stretch: int
    at: Fraction
    note: int
    stage: str
    due: Fraction
    group: Tuplet | None
    left: int


_BEGIN = _Place(0, _ZERO, 0, "begin", _ZERO, None, 0)


@dataclass(frozen=True)
class Filler:
    """What fills some stretches of a melody.

    Attributes:
        names: The tokens of the vocabulary, (V,).
        tune: Those of the tune.
        chosen: The stretches to fill, one after the other in the tune.
        end: The place in the tune up to which frames are drawn too.
        keeps_pitches: Whether each stretch keeps its pitches, in order.
    """

    names: Sequence[str]
    tune: Sequence[str]
    chosen: Sequence[Stretch]
    end: int
    keeps_pitches: bool = False

    def automaton(self) -> Automaton:
        """Return what the vocabulary may fill the stretches with.

        Raises:
            ConfigError: If there are too many stretches for one automaton.
        """
        kinds = np.arange(len(self.names))
        if not self.keeps_pitches:
            kinds[self._pitches] = self._pitches[0] if self._pitches else 0
        try:
            made = explore(kinds, _BEGIN, self._follow, self._may_end)
        except TooLargeError:
            raise ConfigError(
                f"{len(self.chosen)} bars are too many to draw at a time; choose fewer"
            ) from None
        return replace(made, concludes=True)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def _pitches(self) -> list[int]:
        return [number for number, name in enumerate(self.names) if name.startswith("Pitch_")]

    @cached_property
    def _unit(self) -> Fraction:
        units = [parse_token(name)[1] for name in self.tune if name.startswith("Unit_")]
        return units[0] if units else Fraction(1, 2)

    @cached_property
    def _durations(self) -> list[tuple[int, Fraction]]:
        pairs = (
            (i, parse_token(name)[1]) for i, name in enumerate(self.names) if name.startswith("Duration_")
        )
        return [
            (i, length) for i, length in pairs if (length / GRID).denominator == 1 and length != self._unit
        ]

    @cached_property
    def _tuplets(self) -> list[tuple[int, Tuplet]]:
        return [(i, parse_token(name)[1]) for i, name in enumerate(self.names) if name.startswith("Tuplet_")]

    @cached_property
    def _beats(self) -> Mapping[Fraction, int]:
        """The token that marks the beat at each onset of the tune, of those that the vocabulary has."""
        found = beat_numbers(MelodyEncoding().decode(self.tune))
        names = {onset: f"Beat_{number}" for onset, number in found.items()}
        return {onset: self._ids[name] for onset, name in names.items() if name in self._ids}

    @cached_property
    def _given(self) -> list[list[tuple[int, bool]]]:
        """The pitches and rests of each stretch, and whether each is tied to the next."""
        found: list[list[tuple[int, bool]]] = []
        for stretch in self.chosen:
            notes = self.tune[stretch.start : stretch.stop]
            following = [*notes[1:], ""]
            pairs = zip(notes, following, strict=True)
            pitched = [(name, after) for name, after in pairs if name.startswith(("Pitch_", "Rest"))]
            found.append([(self._ids[name], after == "Tie") for name, after in pitched])
        return found

    @cached_property
    def _frames(self) -> list[list[int]]:
        """The tokens after each stretch."""
        ends = [*(stretch.start for stretch in self.chosen[1:]), self.end]
        frames = (self.tune[s.stop : end] for s, end in zip(self.chosen, ends, strict=True))
        return [[self._ids[name] for name in frame] for frame in frames]

    def _may_end(self, place: _Place) -> bool:
        is_last = place.stretch == len(self.chosen) - 1
        frame = self._frames[place.stretch]
        if place.stage == "frame":
            return is_last and place.due == len(frame)
        return is_last and not frame and self._is_full(place)

    def _is_full(self, place: _Place) -> bool:
        used_up = not self.keeps_pitches or place.note == len(self._given[place.stretch])
        full = place.at == self.chosen[place.stretch].length
        stages = ("beat",) if self._has_beat_at_end(place) else ("begin", "pitch", "rest", "tie")
        return full and used_up and not place.left and place.stage in stages

    def _has_beat_at_end(self, place: _Place) -> bool:
        """Say whether a beat mark ends a stretch, as before a chord symbol: that comes after the mark."""
        return self.tune[self.chosen[place.stretch].stop - 1].startswith("Beat_")

    def _beat(self, place: _Place) -> int | None:
        """Return the beat mark that is due, unless it came before the chord symbol that opened a stretch."""
        stretch = self.chosen[place.stretch]
        if place.stage not in ("begin", "pitch", "rest", "tie"):
            return None
        if place.stage == "begin" and self.tune[stretch.start - 1].startswith("Chord_"):
            return None
        return self._beats.get(stretch.onset + place.at)

    def _follow(self, place: _Place) -> Iterator[tuple[int, _Place]]:
        if place.stage == "frame" or (self._is_full(place) and not self._must_tie(place)):
            yield from self._frame(place)
        if place.stage == "frame":
            return
        if self._must_tie(place) or (place.stage == "pitch" and self._may_tie(place)):
            yield self._ids["Tie"], place._replace(stage="tie")
        if self._must_tie(place):
            return
        beat = self._beat(place)
        if beat is not None:
            yield beat, place._replace(stage="beat")
            return
        if place.stage not in ("duration", "tuplet") and not place.left:
            yield from self._open_tuplets(place)
        if place.stage == "duration":
            yield from self._notes(place, place.due)
        else:
            yield from self._notes(place, place.at + self._usual(place.group))
            for token, duration in self._durations if place.group is None else ():
                if place.at + duration <= self.chosen[place.stretch].length:
                    yield token, place._replace(stage="duration", due=place.at + duration)

    def _frame(self, place: _Place) -> Iterator[tuple[int, _Place]]:
        frame = self._frames[place.stretch]
        done = int(place.due) if place.stage == "frame" else 0
        if done < len(frame):
            after = _Place(place.stretch, _ZERO, 0, "frame", Fraction(done + 1), None, 0)
            if done + 1 == len(frame) and place.stretch + 1 < len(self.chosen):
                after = _BEGIN._replace(stretch=place.stretch + 1)
            yield frame[done], after

    def _must_tie(self, place: _Place) -> bool:
        if not self.keeps_pitches or place.stage != "pitch" or "Tie" not in self._ids:
            return False
        return self._given[place.stretch][place.note - 1][1]

    def _may_tie(self, place: _Place) -> bool:
        ends_all = place.stretch == len(self.chosen) - 1 and place.at == self.chosen[-1].length
        return not self.keeps_pitches and not ends_all and "Tie" in self._ids

    def _usual(self, group: Tuplet | None) -> Fraction:
        return self._unit * group.normal / group.actual if group else self._unit

    def _open_tuplets(self, place: _Place) -> Iterator[tuple[int, _Place]]:
        for token, group in self._tuplets:
            yield token, place._replace(stage="tuplet", group=group, left=group.count)

    def _notes(self, place: _Place, due: Fraction) -> Iterator[tuple[int, _Place]]:
        """Yield the notes and rests that last until `due`."""
        left = max(place.left - 1, 0)
        if due > self.chosen[place.stretch].length or (not left and (due / GRID).denominator > 1):
            return
        after = _Place(place.stretch, due, place.note, "pitch", _ZERO, place.group if left else None, left)
        if not self.keeps_pitches:
            if self._pitches:
                yield self._pitches[0], after
            if "Rest" in self._ids:
                yield self._ids["Rest"], after._replace(stage="rest")
        elif place.note < len(given := self._given[place.stretch]):
            yield given[place.note][0], after._replace(note=place.note + 1)

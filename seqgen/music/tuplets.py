"""Tuplets found from durations alone, for sources that do not say how they are written."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from seqgen.music.pieces import Note, Tuplet


def mark_tuplets(notes: Sequence[Note], bars: Sequence[Fraction]) -> tuple[Note, ...]:
    """Mark the groups of notes that only a tuplet can write, in a part that is a single line of chords.

    A group runs until its durations add up to a plain one, within its bar. What does not add up, and a part
    with overlapping notes, is left unmarked.
    """
    if not any(is_odd(note.duration) for note in notes):
        return tuple(notes)
    marked = list(notes)
    limits = iter([*bars, None])
    limit = next(limits)
    place = 0
    while place < len(notes):
        while limit is not None and limit <= notes[place].onset:
            limit = next(limits)
        found = _find_group(notes, place, limit) if is_odd(notes[place].duration) else None
        if found is None:
            place += 1
            continue
        stop, tuplet = found
        for index in range(place, stop):
            if notes[index].onset == notes[place].onset:
                marked[index] = replace(notes[index], tuplet=tuplet)
        place = stop
    return tuple(marked)


def is_odd(duration: Fraction) -> bool:
    """Say whether a time is no sum of halves of halves, as a third of a quarter is."""
    return bool(duration.denominator & (duration.denominator - 1))


def _find_group(notes: Sequence[Note], place: int, limit: Fraction | None) -> tuple[int, Tuplet] | None:
    """Return where the group that begins at `place` stops, and its tuplet; None if there is none."""
    start = time = notes[place].onset
    count, odd = 0, 1
    while place < len(notes) and (limit is None or time < limit):
        duration = notes[place].duration
        while place < len(notes) and notes[place].onset == time:
            if notes[place].duration != duration:
                return None
            place += 1
        count += 1
        time += duration
        odd = max(odd, odd_part(duration.denominator))
        if not is_odd(time - start):
            if limit is not None and time > limit:
                return None
            normal = 1 << (odd.bit_length() - 1)
            return (place, Tuplet(odd, normal, count)) if odd <= 19 else None
        if place < len(notes) and notes[place].onset != time:
            return None
    return None


def odd_part(number: int) -> int:
    """Return what is left of a number when every factor of two is taken out."""
    return number // (number & -number)

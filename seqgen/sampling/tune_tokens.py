"""The tokens of a melody vocabulary, by what they stand for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from seqgen.music.pieces import Key, Meter, Pitch, parse_key, parse_meter, parse_pitch


@dataclass
class TuneTokens:
    """The ids of tokens by their values; a meter or key of `none`, and what is never drawn, is left out."""

    size: int
    keys: dict[Key, int] = field(default_factory=dict)
    meters: dict[Meter, int] = field(default_factory=dict)
    units: dict[Fraction, int] = field(default_factory=dict)
    durations: dict[Fraction, int] = field(default_factory=dict)
    pitches: dict[Pitch, int] = field(default_factory=dict)
    tuplets: dict[tuple[int, int, int], int] = field(default_factory=dict)
    bars: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    beats: dict[int, int] = field(default_factory=dict)
    chords: dict[str, int] = field(default_factory=dict)
    rest: int | None = None
    tie: int | None = None


def read_tune_tokens(names: Sequence[str], banned: Iterable[int] = ()) -> TuneTokens:
    """Sort the tokens of a vocabulary of the melody encoding.

    Args:
        names: Of all tokens.
        banned: Ids that are never drawn.
    """
    tokens = TuneTokens(len(names))
    left_out = set(banned)
    tables: dict[str, tuple[dict[Any, int], Callable[[str], Any]]] = {
        "Key": (tokens.keys, parse_key),
        "Meter": (tokens.meters, parse_meter),
        "Unit": (tokens.units, Fraction),
        "Duration": (tokens.durations, Fraction),
        "Pitch": (tokens.pitches, parse_pitch),
        "Tuplet": (tokens.tuplets, _parse_tuplet),
        "Bar": (tokens.bars, str),
        "Ending": (tokens.endings, str),
        "Beat": (tokens.beats, int),
        "Chord": (tokens.chords, str),
    }
    for number, name in enumerate(names):
        kind, _, value = name.partition("_")
        if number in left_out or value == "none":
            continue
        if name == "Rest":
            tokens.rest = number
        elif name == "Tie":
            tokens.tie = number
        elif kind in tables:
            table, parse = tables[kind]
            table[parse(value)] = number
    return tokens


def _parse_tuplet(text: str) -> tuple[int, int, int]:
    """Read 3:2 or 3:2:5 as actual, normal and count."""
    actual, normal, *count = map(int, text.split(":"))
    return actual, normal, count[0] if count else actual

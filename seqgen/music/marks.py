"""Keys, meters, bar lines and beats as tokens of an encoding of frames."""

from collections import defaultdict
from fractions import Fraction
from math import ceil

from seqgen.music.pieces import (
    BAR_KINDS,
    Bar,
    Key,
    Meter,
    Piece,
    bar_origins,
    parse_ending,
    parse_key,
    parse_meter,
    value_at,
)


def mark_tokens(piece: Piece, grid: int) -> dict[int, list[str]]:
    """Return the tokens that stand before each frame of 1/`grid` quarters."""
    marks: defaultdict[int, list[str]] = defaultdict(list)
    for bar in piece.bars:
        marks[ceil(bar.onset * grid)] += [
            f"Bar_{bar.kind}",
            *([f"Ending_{bar.ending}"] if bar.ending else []),
        ]
    for at, key in piece.keys:
        marks[ceil(at * grid)].append(f"Key_{key.name if key else 'none'}")
    for at, meter in piece.meters:
        marks[ceil(at * grid)].append(f"Meter_{meter.name if meter else 'none'}")
    for place, number in _beats(piece):
        if (place * grid).denominator == 1:
            marks[int(place * grid)].append(f"Beat_{number}")
    return dict(marks)


def _beats(piece: Piece) -> list[tuple[Fraction, int]]:
    """Number the beats after the first of each bar."""
    beats = []
    for start, end, origin in bar_origins(piece):
        meter = value_at(piece.meters, start)
        if meter is None or not piece.bars:
            continue
        stop = piece.duration if end is None else end
        beat = Fraction(12 if meter.is_compound else 4, meter.unit)
        number = int((start - origin) // beat) + 1
        while (place := origin + number * beat) < stop:
            number += 1
            if place > start:
                beats.append((place, number))
    return beats


def read_mark(
    kind: str,
    text: str,
    time: Fraction,
    *,
    bars: list[Bar],
    keys: list[tuple[Fraction, Key | None]],
    meters: list[tuple[Fraction, Meter | None]],
) -> None:
    """Add what a token says to the list it belongs to; one that says nothing is passed over."""
    try:
        if kind == "Bar" and text in BAR_KINDS:
            bars.append(Bar(time, text))
        elif kind == "Ending":
            bars.append(Bar(time, "|", parse_ending(text)))
        elif kind == "Key":
            keys.append((time, None if text == "none" else parse_key(text)))
        elif kind == "Meter":
            meters.append((time, None if text == "none" else parse_meter(text)))
    except ValueError:
        return

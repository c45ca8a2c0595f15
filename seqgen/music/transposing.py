"""Pieces in other keys and at other speeds, spelled as their new keys ask; and the same for tokens.

Moving the tokens of a piece gives the tokens of the moved piece, whatever the note encoding: only `Pitch`,
`Key` and `Chord` tokens say how high something is.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from seqgen.music.chords import ChordSymbol, parse_chord_symbol
from seqgen.music.pieces import (
    MAX_BEATS,
    METER_UNITS,
    SEMITONES,
    Key,
    Meter,
    Note,
    Piece,
    Pitch,
    line_of_fifths,
    parse_key,
    parse_pitch,
    spelled_at,
    spelling,
    value_at,
)

FLATTEST, SHARPEST = -5, 6
"""The signatures that transposing leads to."""
KEYS = range(FLATTEST, SHARPEST + 1)
"""Semitones that lead to all twelve keys."""


@dataclass(frozen=True, slots=True)
class Interval:
    """How far to move: in semitones, and along the line of fifths, which decides the spelling."""

    semitones: int
    fifths: int


def interval_from(fifths: int, semitones: int) -> Interval:
    """Return the interval of so many semitones that leads from a signature to a usual one.

    Args:
        fifths: Sharps of the signature to start from; flats count below zero.
        semitones: Up, or below zero down.
    """
    if not semitones:
        return Interval(0, 0)
    target = (fifths + 7 * semitones - FLATTEST) % 12 + FLATTEST
    return Interval(semitones, target - fifths)


def move_pitch(pitch: Pitch, interval: Interval) -> Pitch:
    """Move a pitch; where it would need more than two signs it is respelled."""
    place = line_of_fifths(pitch.step, pitch.alter) + interval.fifths
    while not -14 <= place < 21:
        place += 12 if place < 0 else -12
    step, alter = spelled_at(place)
    midi = pitch.midi + interval.semitones
    return Pitch(step, alter, (midi - alter - SEMITONES[step]) // 12 - 1)


def move_key(key: Key, interval: Interval) -> Key:
    """Move a key; one of more than seven signs is respelled."""
    fifths = key.fifths + interval.fifths
    shift = interval.fifths + (0 if -7 <= fifths <= 7 else -12 * round(fifths / 12))
    step, alter = spelled_at(
        line_of_fifths(key.tonic[0], key.tonic.count("#") - key.tonic.count("b")) + shift
    )
    return Key(step + ("#" * alter if alter > 0 else "b" * -alter), key.mode)


def move_symbol(symbol: ChordSymbol, interval: Interval) -> ChordSymbol:
    """Move a chord symbol; a root or bass of more than one sign is respelled."""
    bass = _move_name(symbol.bass, interval) if symbol.bass else ""
    return replace(symbol, root=_move_name(symbol.root, interval), bass=bass)


def _move_name(name: str, interval: Interval) -> str:
    place = line_of_fifths(name[0], name.count("#") - name.count("b")) + interval.fifths
    while not -7 <= place < 14:
        place += 12 if place < 0 else -12
    step, alter = spelled_at(place)
    return step + ("#" * alter if alter > 0 else "b" * -alter)


def move_token(token: str, interval: Interval) -> str:
    """Move a token of any note encoding.

    Raises:
        ValueError: If it comes to lie outside of the MIDI notes.
    """
    kind, _, value = token.partition("_")
    if kind == "Key" and value != "none":
        return f"Key_{move_key(parse_key(value), interval).name}"
    if kind == "Chord":
        return f"Chord_{move_symbol(parse_chord_symbol(value), interval).name}"
    if kind != "Pitch":
        return token
    if value.isdigit():
        midi, name = int(value) + interval.semitones, str(int(value) + interval.semitones)
    else:
        pitch = move_pitch(parse_pitch(value), interval)
        midi, name = pitch.midi, pitch.name
    if not 0 <= midi <= 127:
        raise ValueError(f"{token} cannot be moved by {interval.semitones} semitones")
    return f"Pitch_{name}"


def pitch_of(token: str) -> int:
    """Return the MIDI note of a token of any note encoding, -1 if it has none; drums have none."""
    kind, _, value = token.partition("_")
    if kind != "Pitch":
        return -1
    return int(value) if value.isdigit() else parse_pitch(value).midi


def mark_in_any_key(token: str) -> str:
    """Return what of a token stays when it is moved: of a key its mode, of a pitch nothing."""
    kind, _, value = token.partition("_")
    if kind == "Chord":
        return f"Chord_{parse_chord_symbol(value).kind}"
    if kind == "Key":
        return f"Key_{value.partition('-')[2]}"
    return kind if kind == "Pitch" else token


def transpose(piece: Piece, semitones: int) -> Piece:
    """Return a piece in another key; drums stay.

    Raises:
        ValueError: If a note comes to lie outside of the MIDI notes.
    """
    interval = interval_from(first_fifths(piece) or 0, semitones)

    def moved(note: Note) -> Note:
        if note.pitch is None:
            return note
        pitch = move_pitch(note.pitch, interval)
        if not 0 <= pitch.midi <= 127:
            raise ValueError(f"{note.pitch.name} cannot be moved by {semitones} semitones")
        return replace(note, pitch=pitch)

    parts = tuple(
        part if part.is_drum else replace(part, notes=tuple(map(moved, part.notes))) for part in piece.parts
    )
    keys = tuple((at, move_key(key, interval) if key else None) for at, key in piece.keys)
    chords = tuple((at, move_symbol(symbol, interval)) for at, symbol in piece.chords)
    return replace(piece, parts=parts, keys=keys, chords=chords)


def first_fifths(piece: Piece) -> int | None:
    """Return the sharps of the signature that a piece begins with, None without one."""
    key = value_at(piece.keys, Fraction(0))
    return key.fifths if key is not None else None


def in_c(piece: Piece) -> Piece:
    """Return a piece with neither sharps nor flats in its signature: in C major, A minor, D dorian.

    A piece that names no key goes by the one that fits its notes best. It is moved by six semitones at most.
    """
    from seqgen.music.transcribe import find_key

    fifths = first_fifths(piece)
    semitones = _to_no_signs(find_key(piece).fifths if fifths is None else fifths)
    if fifths is not None or not semitones:
        return transpose(piece, semitones)
    moved = transpose(piece, semitones)
    usual = spelling(0)  # where no key is named, the spelling was a guess from the start
    return replace(
        moved,
        parts=tuple(
            replace(
                part,
                notes=tuple(
                    replace(note, pitch=usual[note.pitch.midi]) if note.pitch else note for note in part.notes
                ),
            )
            for part in moved.parts
        ),
    )


def _to_no_signs(fifths: int) -> int:
    return (-7 * fifths - FLATTEST) % 12 + FLATTEST


def stretch(piece: Piece, factor: Fraction) -> Piece | None:
    """Return a piece with all times multiplied, 4/4 as 4/2 if doubled; tempos stay.

    Returns:
        None if it has bar lines and its meters cannot follow, as 4/4 cannot by 21/20.
    """
    meters = [(at * factor, stretch_meter(meter, factor) if meter else None) for at, meter in piece.meters]
    if any(new is None and old is not None for (_, new), (_, old) in zip(meters, piece.meters, strict=True)):
        if piece.bars:
            return None
        meters = [(at * factor, meter) for at, meter in piece.meters]
    parts = tuple(
        replace(
            part,
            notes=tuple(
                replace(note, onset=note.onset * factor, duration=note.duration * factor)
                for note in part.notes
            ),
            pedals=tuple((onset * factor, duration * factor) for onset, duration in part.pedals),
        )
        for part in piece.parts
    )
    return replace(
        piece,
        parts=parts,
        keys=tuple((at * factor, key) for at, key in piece.keys),
        meters=tuple(meters),
        tempos=tuple((at * factor, tempo) for at, tempo in piece.tempos),
        bars=tuple(replace(bar, onset=bar.onset * factor) for bar in piece.bars),
        chords=tuple((at * factor, symbol) for at, symbol in piece.chords),
    )


def stretch_meter(meter: Meter, factor: Fraction) -> Meter | None:
    """Return the meter whose bars are so many times as long, None if there is none."""
    length = meter.bar_quarters * factor
    # The same number of beats if possible; else each is cut in as many as it grows by: 3/2 makes 12/8 of 4/4.
    usual = map(Fraction, (4, 8, 16, 32, 64))
    units = [meter.unit / factor, meter.unit * Fraction(factor.denominator), *usual]
    for unit in units:
        beats = length * unit / 4
        if int(unit) == unit and int(unit) in METER_UNITS and beats.denominator == 1 and beats <= MAX_BEATS:
            return Meter(int(beats), int(unit))
    return None

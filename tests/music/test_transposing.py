"""Pieces and tokens moved to other keys and speeds."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.music.abc_reader import read_tune
from seqgen.music.encodings import note_encoding
from seqgen.music.pieces import Meter, Note, Part, Piece, parse_key, parse_pitch, spelling
from seqgen.music.transposing import (
    KEYS,
    Interval,
    first_fifths,
    in_c,
    interval_from,
    move_key,
    move_pitch,
    move_token,
    pitch_of,
    stretch,
    stretch_meter,
    transpose,
)
from tests.music.pieces_strategy import melodies, pitches

MELODY = note_encoding("melody")


def tune(key, notes="CDEF|G4|]"):
    return read_tune(f"X:1\nM:4/4\nL:1/4\nK:{key}\n{notes}\n", source="x")


def names(piece):
    return [note.pitch.name for note in piece.parts[0].notes if note.pitch]


@pytest.mark.parametrize(
    ("key", "semitones", "new_key", "new_names"),
    [
        ("C", 2, "D-major", ["D4", "E4", "F#4", "G4", "A4"]),
        ("C", -1, "B-major", ["B3", "C#4", "D#4", "E4", "F#4"]),
        ("C", 1, "Db-major", ["Db4", "Eb4", "F4", "Gb4", "Ab4"]),
        ("C", 6, "F#-major", ["F#4", "G#4", "A#4", "B4", "C#5"]),
        ("Am", 3, "C-minor", ["Eb4", "F4", "G4", "Ab4", "Bb4"]),
        ("Ddor", -2, "C-dorian", ["Bb3", "C4", "D4", "Eb4", "F4"]),
        ("Gb", 0, "Gb-major", ["Cb4", "Db4", "Eb4", "F4", "Gb4"]),
    ],
)
def test_pieces_are_spelled_in_their_new_key(key, semitones, new_key, new_names):
    moved = transpose(tune(key), semitones)
    assert (moved.keys[0][1].name, names(moved)) == (new_key, new_names)


@settings(max_examples=200)
@given(pitches, st.integers(-12, 12), st.integers(-7, 7))
def test_pitches_move_by_semitones_however_spelled(pitch, semitones, fifths):
    moved = move_pitch(pitch, interval_from(fifths, semitones))
    assert moved.midi == pitch.midi + semitones
    assert -2 <= moved.alter <= 2


@pytest.mark.parametrize("mode", ["major", "minor", "dorian", "mixolydian"])
def test_twelve_shifts_lead_to_twelve_usual_signatures(mode):
    key = parse_key(f"D-{mode}")
    signatures = {move_key(key, interval_from(key.fifths, semitones)).fifths for semitones in KEYS}
    assert len(signatures) == 12
    assert all(-5 <= fifths <= 6 or fifths == key.fifths for fifths in signatures)


def test_there_and_back_is_the_same_piece():
    piece = tune("E", "EFGA|B2^^c_d|]")
    for semitones in (1, -3, 5):
        assert transpose(transpose(piece, semitones), -semitones) == piece


def test_drums_stay_and_notes_beyond_midi_are_refused():
    note = Note(Fraction(0), Fraction(1), spelling(0)[124])
    piece = Piece(parts=(Part((note,), is_drum=True), Part((note,))))
    moved = transpose(piece, 3)
    assert [part.notes[0].pitch.midi for part in moved.parts] == [124, 127]
    with pytest.raises(ValueError, match="cannot be moved by 4 semitones"):
        transpose(piece, 4)
    with pytest.raises(ValueError, match="Pitch_126 cannot be moved"):
        move_token("Pitch_126", Interval(2, 2))


@settings(max_examples=80, deadline=None)
@given(melodies(), st.sampled_from([-5, -1, 1, 6]))
def test_moving_tokens_equals_moving_the_piece(piece, semitones):
    interval = interval_from(first_fifths(piece) or 0, semitones)
    assert [move_token(token, interval) for token in MELODY.encode(piece)] == MELODY.encode(
        transpose(piece, semitones)
    )


def test_moving_remi_tokens_equals_moving_the_piece():
    encoding = note_encoding("remi")
    notes = tuple(
        Note(Fraction(k, 2), Fraction(1, 2), spelling(0)[60 + 3 * k], velocity=79) for k in range(4)
    )
    drums = (Note(Fraction(0), Fraction(1), spelling(0)[38], velocity=95),)
    piece = Piece(
        parts=(Part(notes, program=3), Part(drums, is_drum=True)),
        meters=((Fraction(0), Meter(3, 4)),),
        tempos=((Fraction(0), 90.0),),
    )
    tokens = encoding.encode(piece)
    assert "PitchDrum_38" in tokens
    assert [move_token(t, interval_from(0, -4)) for t in tokens] == encoding.encode(transpose(piece, -4))


@pytest.mark.parametrize(
    ("key", "expected"),
    [("D", "C-major"), ("F#m", "A-minor"), ("Ador", "D-dorian"), ("Cmix", "G-mixolydian"), ("Gb", "C-major")],
)
def test_in_c_leaves_no_signs_in_the_signature(key, expected):
    piece = tune(key)
    moved = in_c(piece)
    assert moved.keys[0][1].name == expected
    assert abs(pitch_of(f"Pitch_{names(moved)[0]}") - pitch_of(f"Pitch_{names(piece)[0]}")) <= 6


def test_without_a_key_the_notes_tell_it():
    scale = [62, 64, 66, 67, 69, 71, 73, 74, 69, 66, 62]
    notes = tuple(Note(Fraction(k), Fraction(1), spelling(0)[midi]) for k, midi in enumerate(scale))
    moved = in_c(Piece(parts=(Part(notes),)))
    assert [note.pitch.midi for note in moved.parts[0].notes] == [midi - 2 for midi in scale]
    assert moved.parts[0].notes[2].pitch == parse_pitch("E4")


@pytest.mark.parametrize("factor", [Fraction(1, 2), Fraction(2), Fraction(3, 2)])
def test_stretched_bars_add_up_and_stretching_back_gives_the_piece(factor):
    piece = tune("G", "GABc|d2z2|(3efg f2 |]")
    longer = stretch(piece, factor)
    assert longer.duration == piece.duration * factor
    assert longer.meters[0][1].bar_quarters == piece.meters[0][1].bar_quarters * factor
    back = stretch(longer, 1 / factor)
    assert (back.parts, back.bars) == (piece.parts, piece.bars)


def test_meters_follow_where_they_can():
    assert stretch_meter(Meter(6, 8), Fraction(2)) == Meter(6, 4)
    assert stretch_meter(Meter(4, 4), Fraction(3, 2)) == Meter(12, 8)
    assert stretch_meter(Meter(4, 4), Fraction(21, 20)) is None
    assert stretch(tune("C"), Fraction(21, 20)) is None
    played = Piece(parts=(), meters=((Fraction(0), Meter(4, 4)), (Fraction(4), Meter(3, 4))))
    assert stretch(played, Fraction(21, 20)).meters == ((0, Meter(4, 4)), (Fraction(21, 5), Meter(3, 4)))

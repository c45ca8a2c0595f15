"""The REMI encoding."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import TokenError
from seqgen.music.abc_reader import read_tune
from seqgen.music.encodings import count_notes, note_encoding
from seqgen.music.pieces import Meter, Note, Part, Piece, spelling
from seqgen.music.remi import RemiEncoding

ENCODING = RemiEncoding()
GRID = Fraction(1, ENCODING.grid)
SOME_TOKENS = [
    "Bar_None",
    "Position_0",
    "Position_12",
    "TimeSig_3/4",
    "Tempo_90.0",
    "Program_0",
    "Program_-1",
]
SOME_TOKENS += [
    "Pitch_60",
    "Pitch_72",
    "PitchDrum_36",
    "Velocity_63",
    "Velocity_127",
    "Duration_1.0.12",
    "Nonsense",
]

notes = st.builds(
    lambda onset, duration, midi, velocity: Note(
        onset * GRID, duration * GRID, spelling(0)[midi], velocity=8 * velocity - 1
    ),
    st.integers(0, 200),
    st.integers(1, 47),
    st.integers(0, 127),
    st.integers(2, 16),
)


def sounds(piece: Piece) -> list[tuple[int, bool, Fraction, int, Fraction, int | None]]:
    return sorted(
        (part.program, part.is_drum, note.onset, note.pitch.midi, note.duration, note.velocity)
        for part in piece.parts
        for note in part.notes
        if note.pitch
    )


def played(*parts: Part) -> Piece:
    ordered = (
        replace(part, notes=tuple(sorted(set(part.notes), key=lambda note: note.onset))) for part in parts
    )
    return Piece(parts=tuple(ordered), meters=((Fraction(0), Meter(4, 4)),), tempos=((Fraction(0), 96.0),))


@settings(max_examples=40)
@given(
    st.lists(notes, min_size=1, max_size=20, unique_by=lambda note: (note.onset, note.pitch)), st.booleans()
)
def test_notes_on_the_grid_survive(found, is_drum):
    piece = played(
        Part(tuple(found[::2]), program=0 if is_drum else 24, is_drum=is_drum),
        Part(tuple(found[1::2]), program=40),
    )
    again = ENCODING.decode(ENCODING.encode(piece))
    assert sounds(again) == sounds(piece)
    assert (again.meters, again.tempos) == (piece.meters, piece.tempos)


def test_notes_off_the_grid_move_to_the_nearest_place():
    piece = played(Part((Note(Fraction(13, 48), Fraction(51, 48), spelling(0)[60], velocity=80),)))
    (note,) = ENCODING.decode(ENCODING.encode(piece)).parts[0].notes
    assert (note.onset, note.duration, note.velocity) == (Fraction(3, 12), Fraction(13, 12), 79)


@pytest.mark.parametrize("meter", ["6/8", "3/4", "2/2", "12/8", "5/4", "7/16", "17/4", "none"])
def test_notes_survive_in_any_meter(meter):
    piece = read_tune(f"X:1\nM:{meter}\nL:1/16\nK:C\nABcd efga b4|e8 c8|[CEG]16|", source="x")
    found = [entry[2:5] for entry in sounds(ENCODING.decode(ENCODING.encode(piece)))]
    assert found == [entry[2:5] for entry in sounds(piece)]


def test_parts_are_told_apart_by_their_program():
    one, two = (Note(Fraction(0), Fraction(1), spelling(0)[midi], velocity=79) for midi in (60, 67))
    tokens = ENCODING.encode(played(Part((one,), program=0), Part((two,), program=40)))
    assert {"Program_0", "Program_40"} <= set(tokens)
    assert count_notes(tokens) == 2


@settings(max_examples=60)
@given(st.lists(st.sampled_from(SOME_TOKENS), max_size=30))
def test_any_tokens_decode_to_a_piece(tokens):
    assert ENCODING.decode(tokens).note_count <= count_notes(tokens)


def test_an_encoding_is_rebuilt_from_its_parameters():
    finer = RemiEncoding(grid=24)
    assert note_encoding("remi", finer.parameters()) == finer
    with pytest.raises(TokenError, match=r"known are fastest_bpm, grid, pedals, .* tempos, velocities"):
        note_encoding("remi", {"bars": 4})


def test_encoding_does_not_load_torch():
    code = """
import sys
from seqgen.music.encodings import note_encoding
note_encoding("remi").decode(["Bar_None"])
assert "miditok" in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

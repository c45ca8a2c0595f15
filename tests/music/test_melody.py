"""The melody encoding."""

from fractions import Fraction

import pytest

from seqgen.errors import TokenError
from seqgen.music.abc_reader import read_tune
from seqgen.music.encodings import count_notes, note_encoding
from seqgen.music.melody import melody_of
from seqgen.music.pieces import Piece
from seqgen.music.write import write_abc

TUNE = """X:1
T:The Test Jig
M:6/8
L:1/8
K:D
A|:d2f afd|(3efg f/e/ d3-|d3 ^c=cB|1 A3 z2A:|2 A3 z3|]
"""
ENCODING = note_encoding("melody")


def read(text: str) -> Piece:
    return read_tune(text, source="test.abc")


def test_decoding_undoes_encoding():
    piece = read(TUNE)
    assert ENCODING.decode(ENCODING.encode(piece)) == melody_of(piece)


def test_a_tune_begins_with_key_meter_and_unit():
    assert ENCODING.encode(read(TUNE))[:5] == ["Key_D-major", "Meter_6/8", "Unit_1/2", "Pitch_A4", "Bar_|:"]


def test_only_unusual_durations_cost_a_token():
    tokens = ENCODING.encode(read("X:1\nL:1/8\nK:C\nCDE2|"))
    assert tokens[3:] == ["Pitch_C4", "Pitch_D4", "Duration_1", "Pitch_E4", "Bar_|"]


def test_chords_do_not_suit_a_melody():
    with pytest.raises(TokenError, match="use --notes remi"):
        ENCODING.encode(read("X:1\nT:Two\nK:C\n[CE]D|"))


def test_any_tokens_decode_to_a_piece_that_abc_can_hold():
    tokens = [
        "Tie",
        "Duration_1/3",
        "Nonsense",
        "Tuplet_3:2",
        "Bar_|",
        "Pitch_H4",
        "Pitch_C4",
        "Tie",
        "Ending_x",
    ]
    piece = ENCODING.decode(tokens)
    assert [note.duration for note in piece.parts[0].notes] == [Fraction(1, 3)]
    assert read(write_abc([piece])).note_count == 1


def test_notes_are_counted_without_rests():
    assert count_notes(ENCODING.encode(read("X:1\nK:C\nCzE|"))) == 2

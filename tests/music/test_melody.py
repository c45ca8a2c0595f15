"""The melody encoding."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import TokenError
from seqgen.music.abc_reader import read_tune
from seqgen.music.encodings import count_notes, note_encoding
from seqgen.music.melody import MelodyEncoding, melody_of, suits_melody
from seqgen.music.pieces import Bar, Note, Part, Piece, Pitch
from seqgen.music.write import write_abc, write_midi
from tests.music.pieces_strategy import melodies

TUNE = """X:1
T:The Test Jig
M:6/8
L:1/8
K:D
A|:d2f afd|(3efg f/e/ d3-|d3 ^c=cB|1 A3 z2A:|2 A3 z3|]
"""
ENCODING = MelodyEncoding()
VOCABULARY = [
    *(
        "Pitch_C4",
        "Pitch_C4",
        "Pitch_F#5",
        "Pitch_Bbb3",
        "Rest",
        "Rest",
        "Tie",
        "Tie",
        "Tuplet_3:2",
        "Tuplet_5:4:2",
    ),
    *("Duration_1", "Duration_1/3", "Duration_7/12", "Duration_5", "Unit_1/4", "Unit_3/7", "Key_D-major"),
    *("Key_none", "Meter_6/8", "Meter_none", "Bar_|", "Bar_|:", "Bar_:|", "Bar_:|:", "Bar_|]", "Ending_1"),
    *(
        "Ending_2",
        "Duration_0",
        "Duration_-1",
        "Pitch_C99",
        "Pitch_",
        "Tie_1",
        "_",
        "",
        "Bar_",
        "Meter_0/4",
        "<eos>",
    ),
]


def read(text: str) -> Piece:
    return read_tune(text, source="test.abc")


def line(*notes: Note) -> Piece:
    return Piece(parts=(Part(notes),))


@given(melodies())
def test_decoding_undoes_encoding(piece):
    assert ENCODING.decode(ENCODING.encode(piece)) == melody_of(piece)


def test_a_read_tune_survives_encoding():
    piece = read(TUNE)
    assert ENCODING.decode(ENCODING.encode(piece)) == melody_of(piece)


def test_a_tune_begins_with_key_meter_and_unit():
    tokens = ENCODING.encode(read(TUNE))
    assert tokens[:5] == ["Key_D-major", "Meter_6/8", "Unit_1/2", "Pitch_A4", "Bar_|:"]


def test_only_unusual_durations_cost_a_token():
    tokens = ENCODING.encode(read("X:1\nL:1/8\nK:C\nCDE2|"))
    assert tokens[3:] == ["Pitch_C4", "Pitch_D4", "Duration_1", "Pitch_E4", "Bar_|"]


def test_notes_of_a_usual_triplet_cost_no_durations():
    tokens = ENCODING.encode(read("X:1\nL:1/8\nK:C\nCD(3EFGA|"))
    assert tokens[5:] == ["Tuplet_3:2", "Pitch_E4", "Pitch_F4", "Pitch_G4", "Pitch_A4", "Bar_|"]


@pytest.mark.parametrize(
    ("tune", "tokens"),
    [
        ("M:4/4\nK:C\nCDEF GABc|", "C4 D4 E4 F4 Beat_2 G4 A4 B4 C5 Bar_|"),
        ("M:6/8\nK:C\nCDE FGA|", "C4 D4 E4 Beat_2 F4 G4 A4 Bar_|"),
        ("M:2/4\nL:1/8\nK:C\nCDEF|", "C4 D4 Beat_2 E4 F4 Bar_|"),
        (
            "M:4/4\nK:C\nEF GABc|CDEF GABc|",
            "E4 F4 Beat_2 G4 A4 B4 C5 Bar_| C4 D4 E4 F4 Beat_2 G4 A4 B4 C5 Bar_|",
        ),
        (
            "M:4/4\nL:1/4\nK:C\nCDEF|1GAB:|2GAB|]",  # the second ending is no pick-up
            "C4 D4 Beat_2 E4 F4 Bar_| Ending_1 G4 A4 Beat_2 B4 Bar_:| Ending_2 G4 A4 Beat_2 B4 Bar_|]",
        ),
        ("M:none\nK:C\nCDEFGABc|", "C4 D4 E4 F4 G4 A4 B4 C5 Bar_|"),
    ],
)
def test_each_further_group_of_a_bar_is_numbered(tune, tokens):
    assert " ".join(ENCODING.encode(read(f"X:1\n{tune}"))[3:]).replace("Pitch_", "") == tokens


def test_beats_make_no_difference_to_the_piece():
    tokens = ENCODING.encode(read(TUNE))
    assert ENCODING.decode([token for token in tokens if "Beat" not in token]) == ENCODING.decode(tokens)


def test_the_same_bar_has_the_same_tokens_everywhere():
    tokens = ENCODING.encode(read("X:1\nM:C\nL:1/8\nK:C\nC2DE F4|GABc d4|C2DE F4|"))
    bars = " ".join(tokens[3:]).split(" Bar_|")
    assert bars[0].split() == bars[2].split()


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (read("X:1\nK:C\n[CE]D|"), "a chord"),
        (read("X:1\nK:C\nV:1\nCD|\nV:2\nEF|"), "two parts"),
        (line(Note(Fraction(1), Fraction(1), Pitch("C", 0, 4))), "a hole before the first note"),
        (
            replace(line(Note(Fraction(0), Fraction(2), Pitch("C", 0, 4))), bars=(Bar(Fraction(1)),)),
            "over a bar",
        ),
    ],
)
def test_what_is_not_one_line_is_refused(piece, reason):
    assert not suits_melody(piece), reason
    with pytest.raises(TokenError, match="use --notes remi"):
        ENCODING.encode(piece)


def test_a_played_line_is_put_on_paper():
    piece = line(Note(Fraction(1, 96), Fraction(95, 96), Pitch("C", 0, 4), velocity=80))
    assert not suits_melody(piece)
    assert ENCODING.encode(piece)[1:] == ["Meter_4/4", "Unit_1", "Pitch_C4", "Duration_3", "Rest", "Bar_|]"]


@given(st.lists(st.sampled_from(VOCABULARY), max_size=40))
def test_any_tokens_decode_to_a_piece_that_files_can_hold(tokens):
    piece = ENCODING.decode(tokens)
    assert piece.note_count <= count_notes(tokens)
    assert write_midi(piece).startswith(b"MThd")
    if piece.note_count:
        assert sounds(read(write_abc([piece]))) == sounds(piece)


def sounds(piece: Piece) -> Fraction:
    return sum((note.duration for note in piece.parts[0].notes if note.pitch), Fraction(0))


def test_a_broken_off_tuplet_is_written_with_the_notes_it_has():
    piece = ENCODING.decode(["Tuplet_3:2", "Pitch_C4", "Pitch_D4", "Bar_|", "Pitch_E4"])
    first, _, last = piece.parts[0].notes
    assert first.tuplet is not None
    assert (first.tuplet.count, last.duration) == (2, Fraction(1, 2))


def test_a_tie_to_another_pitch_is_passed_over():
    piece = ENCODING.decode(["Pitch_C4", "Tie", "Pitch_D4", "Tie", "Bar_|", "Pitch_D4"])
    assert [note.tie for note in piece.parts[0].notes] == [False, True, False]


def test_notes_are_counted_without_rests():
    assert count_notes(ENCODING.encode(read("X:1\nK:C\nCzE|"))) == 2


def test_an_encoding_is_rebuilt_from_its_name_and_parameters():
    assert note_encoding(ENCODING.name, ENCODING.parameters()) == ENCODING
    with pytest.raises(TokenError, match="known are melody, chorale, remi"):
        note_encoding("midi-like")

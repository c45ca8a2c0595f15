"""Repeats as they are played."""

import pytest

from seqgen.music.abc_reader import read_tune
from seqgen.music.pieces import Key, Piece
from seqgen.music.playback import played, unfold, usual_tempo


def read(body: str) -> Piece:
    return read_tune(f"X:1\nM:1/4\nL:1/4\nK:C\n{body}", source="test.abc")


def letters(body: str) -> str:
    return "".join(note.pitch.step for note in unfold(read(body)).parts[0].notes if note.pitch)


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ("C|D|]", "CD"),
        ("C|D:|", "CDCD"),
        ("C|:D|E:|F|", "CDEDEF"),
        ("|:C|D::E|F:|", "CDCDEFEF"),
        ("|:C|1D:|2E|]", "CDCE"),
        ("|:C|1D:|2E:|3F|]", "CDCECF"),
        ("|:C|1,3D:|2E|]", "CDCDCE"),
        ("|:C|1D:|2E||F|G:|", "CDCEFGFG"),
        ("|:C|1D:|2E|:F|G:|", "CDCEFGFG"),
        ("C||D|E:|", "CDEDE"),
        ("C:|D:|", "CCDD"),
        ("|:C|D", "CD"),
    ],
)
def test_repeats_are_played_as_a_musician_would(body, heard):
    assert letters(body) == heard


def test_notes_follow_each_other_without_holes():
    notes = unfold(read("|:C|1D:|2E|]")).parts[0].notes
    assert [note.onset for note in notes] == [0, 1, 2, 3]


def test_keys_come_back_with_their_bars():
    piece = unfold(read("|:C|[K:G]F:|"))
    assert piece.keys == ((0, Key("C")), (1, Key("G")), (2, Key("C")), (3, Key("G")))


def test_a_tie_over_the_bar_makes_one_note():
    notes = unfold(read("C-|C-|C|D|")).parts[0].notes
    assert [note.duration for note in notes] == [3, 1]


@pytest.mark.parametrize(
    ("meter", "body", "beat_quarters", "beats"),
    [
        ("6/8", "DFA DFA|d3 d3|]", 3 / 2, 116),
        ("9/8", "DFA DFA DFA|]", 3 / 2, 116),
        ("4/4", "DFAF DFAF|d4 d4|]", 1, 120),  # with longer notes it may be an air
        ("4/4", "DFAF DFAF|d2AF d2AF|]", 2, 108),
        ("2/2", "DFAF DFAF|]", 2, 108),
        ("2/4", "D/F/A/F/ D/F/A/F/|]", 1, 108),
        ("4/4", "D>F A>F D>F A>F|]", 2, 80),
        ("3/4", "DFAFAF|]", 1, 120),
    ],
)
def test_a_tune_that_tells_no_tempo_goes_at_that_of_its_dance(meter, body, beat_quarters, beats):
    tune = read_tune(f"X:1\nM:{meter}\nL:1/8\nK:D\n{body}", source="test.abc")
    assert played(tune).tempos == ((0, beats * beat_quarters),)


def test_chorales_and_pieces_that_tell_their_tempo_are_no_dances():
    voices = "X:1\nM:4/4\nL:1/8\nK:D\nV:1\nDFAF DFAF|]\nV:2\nD,F,A,F, D,F,A,F,|]\n"
    assert usual_tempo(read_tune(voices, source="test.abc")) == 120
    told = read_tune("X:1\nM:6/8\nL:1/8\nQ:3/8=60\nK:D\n|:DFA DFA:|", source="test.abc")
    assert played(told).tempos == ((0, 90.0),)

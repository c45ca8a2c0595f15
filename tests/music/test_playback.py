"""Repeats as they are played."""

import pytest

from seqgen.music.abc_reader import read_tune
from seqgen.music.pieces import Key, Piece
from seqgen.music.playback import unfold


def read(body: str) -> Piece:
    return read_tune(f"X:1\nM:1/4\nL:1/4\nK:C\n{body}", source="test.abc")


def letters(body: str) -> str:
    return "".join(note.pitch.step for note in unfold(read(body)).parts[0].notes if note.pitch)


@pytest.mark.parametrize(
    ("body", "played"),
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
def test_repeats_are_played_as_a_musician_would(body, played):
    assert letters(body) == played


def test_notes_follow_each_other_without_holes():
    notes = unfold(read("|:C|1D:|2E|]")).parts[0].notes
    assert [note.onset for note in notes] == [0, 1, 2, 3]


def test_keys_come_back_with_their_bars():
    piece = unfold(read("|:C|[K:G]F:|"))
    assert piece.keys == ((0, Key("C")), (1, Key("G")), (2, Key("C")), (3, Key("G")))


def test_a_tie_over_the_bar_makes_one_note():
    notes = unfold(read("C-|C-|C|D|")).parts[0].notes
    assert [note.duration for note in notes] == [3, 1]

import pytest

from seqgen.music.timeline import timeline
from tests.sampling.models import abc_piece


def test_notes_and_bars_are_heard_as_often_as_they_are_played():
    found = timeline(abc_piece("X:1\nT:a\nM:2/4\nL:1/4\nQ:1/4=60\nK:C\n|: C D | E2 :| G2 |\n"))
    assert [(note.name, note.start_s, note.end_s) for note in found.notes] == [
        ("C4", 0, 1), ("D4", 1, 2), ("E4", 2, 4), ("C4", 4, 5), ("D4", 5, 6), ("E4", 6, 8), ("G4", 8, 10),
    ]  # fmt: skip
    assert found.bars_s == [0, 2, 4, 6, 8]
    assert found.duration_s == 10
    assert found.notes[0].midi == 60


def test_without_a_tempo_a_quarter_lasts_half_a_second():
    assert timeline(abc_piece("X:1\nL:1/4\nK:C\nC |\n")).duration_s == pytest.approx(0.5)

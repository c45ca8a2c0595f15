"""MusicXML out and in, by way of music21."""

import re
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from seqgen.errors import CorpusError
from seqgen.music.abc_reader import read_tune
from seqgen.music.melody import MelodyEncoding
from seqgen.music.pieces import Bar, Note, Part, Piece, Pitch, parse_pitch
from seqgen.music.playback import join_ties
from seqgen.music.score_reader import read_score
from seqgen.music.write import write_musicxml

HEADER = "X:1\nT:Tune\nM:4/4\nL:1/8\nK:D\n"


def read(text: str) -> Piece:
    return replace(read_tune(text, source="test.abc"), omitted=())


def round_trip(piece: Piece, tmp_path: Path) -> Piece:
    path = tmp_path / "tune.musicxml"
    path.write_text(write_musicxml(piece), encoding="utf-8")
    again = read_score(path)
    return replace(again, parts=tuple(replace(part, name="") for part in again.parts), omitted=())


@pytest.mark.parametrize(
    "text",
    [
        "A2|:d2fd afd2|(3efg f3/e/ d4-|d4 ^c=cBA|1 A4 z2A2:|2 A8|]",
        "d8|\nM:6/8\nd3 f3|\nK:Gm\nB3 g3|]",
        "Q:1/4=90\n(5:4:5defga (3:2:2d2f |z8|]",
        "A2|d6:|A2|f6:|",
        "V:1\nd4 f4|a8|]\nV:2\n[DF]4 [A,D]4|[D-F]4[DA]4|]",
    ],
)
def test_a_score_is_read_as_the_piece_it_was_written_from(tmp_path, text):
    piece = read(HEADER + text)
    assert round_trip(piece, tmp_path) == piece


def test_a_pickup_is_a_short_unnumbered_first_measure():
    text = write_musicxml(read(HEADER + "A2|d8|]"))
    assert '<measure implicit="yes" number="0">' in text
    assert '<measure implicit="no" number="1">' in text


def test_a_long_note_of_no_single_sign_is_tied(tmp_path):
    notes = round_trip(read(HEADER + "d5 f3|]"), tmp_path).parts[0].notes
    assert [(note.duration, note.tie) for note in notes] == [(2, True), (Fraction(1, 2), False), (1.5, False)]


def test_bars_that_do_not_add_up_stay_as_they_are(tmp_path):
    again = round_trip(read(HEADER + "d8|d2|d12|f4|]"), tmp_path)
    assert [bar.onset for bar in again.bars] == [4, 5, 11, 13]
    assert again.note_count == 4


def test_times_that_no_sign_can_write_are_rounded(tmp_path):
    piece = MelodyEncoding().decode(["Duration_16/23", "Pitch_C4", "Duration_1/500", "Pitch_D4", "Bar_|"])
    assert len(join_ties(round_trip(piece, tmp_path).parts[0].notes)) == 2


def test_notes_at_once_become_voices(tmp_path):
    notes = (
        Note(Fraction(0), Fraction(4), parse_pitch("D4")),
        Note(Fraction(0), Fraction(1), parse_pitch("F#4")),
        Note(Fraction(1), Fraction(3), parse_pitch("A4")),
    )
    piece = Piece(parts=(Part(notes),), bars=(Bar(Fraction(4)),))
    again = round_trip(piece, tmp_path).parts[0].notes
    assert {(note.onset, note.duration, note.pitch) for note in again} == {
        (note.onset, note.duration, note.pitch) for note in notes
    }


def test_the_same_piece_gives_the_same_text():
    piece = read(HEADER + "d8|")
    assert write_musicxml(piece) == write_musicxml(piece)
    assert "date" not in write_musicxml(piece)


def test_a_piece_without_notes_is_still_a_score():
    assert "<score-partwise" in write_musicxml(Piece(parts=(Part(()),)))


def test_beams_and_stems_are_left_to_the_reader_but_for_engraving():
    piece = read(HEADER + "A2|defg a2fd|e8|]")
    text = write_musicxml(piece)
    assert "<beam" not in text
    assert "<stem" not in text
    assert text.count("<measure ") == 3
    assert "<beam" in write_musicxml(piece, beams=True)


def test_every_part_has_a_name():
    def names(piece):
        return re.findall("<part-name.*>(.*)</part-name>", write_musicxml(piece))

    alone = read(HEADER + "d8|")
    assert names(alone) == ["Tune"]
    assert '<part-name print-object="no">Tune' in write_musicxml(alone)
    assert names(replace(alone, title="")) == ["Untitled"]
    assert names(read(HEADER + 'V:1 name="Flute"\nd8|\nV:2\na8|')) == ["Flute", "Part 2"]


def choir() -> Piece:
    """A chord of four voices, the tenor above the bass's and the alto's place on the page."""
    names = ("Soprano", "Alto", "Tenor", "Bass")
    return Piece(
        title="Choir",
        parts=tuple(
            Part((Note(Fraction(0), Fraction(2), parse_pitch(pitch)),), name)
            for name, pitch in zip(names, ("C5", "E4", "G#4", "A2"), strict=True)
        ),
        bars=(Bar(Fraction(2)),),
    )


def test_tenor_and_bass_have_their_clefs_and_their_pitches(tmp_path):
    piece = choir()
    path = tmp_path / "choir.musicxml"
    path.write_text(write_musicxml(piece), encoding="utf-8")
    found = re.findall(r"<sign>(.)</sign>\s*<line>(\d)</line>\s*(<clef-octave-change>-1)?", path.read_text())
    assert found == [("G", "2", ""), ("G", "2", ""), ("G", "2", "<clef-octave-change>-1"), ("F", "4", "")]
    assert [part.notes[0].pitch for part in read_score(path).parts] == [
        part.notes[0].pitch for part in piece.parts
    ]


KERN = "**kern\n*clefG2\n*k[f#]\n*M3/4\n=1\n4g\n8a\n8b\n4cc\n=2\n2.dd\n==\n*-\n"


def test_kern_is_read(tmp_path):
    path = tmp_path / "tune.krn"
    path.write_text(KERN)
    piece = read_score(path)
    assert [note.pitch for note in piece.parts[0].notes][:2] == [Pitch("G", 0, 4), Pitch("A", 0, 4)]
    assert [bar.onset for bar in piece.bars] == [3, 6]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.musicxml",
            "<score-partwise><part></score-partwise>",
            r"line 1, column \d+: broken XML: mismatched tag",
        ),
        ("a.xml", "<html>\n</html>", "XML, but not MusicXML: its root element is <html>"),
        ("a.xml", "", "the file is empty"),
        ("a.mxl", "no zip", "not a compressed MusicXML file: it is no zip archive"),
        ("a.krn", "not kern", "music21 cannot read it|a score with no notes"),
        (
            "a.musicxml",
            "<score-partwise version='3.1'></score-partwise>",
            "a score with no notes|cannot read it",
        ),
    ],
)
def test_a_broken_score_is_refused_in_one_line(tmp_path, capsys, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(CorpusError, match=f"{name}: ({message})") as caught:
        read_score(path)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_music21_warnings_stay_inside(tmp_path, capsys):
    path = tmp_path / "tune.musicxml"
    path.write_text(write_musicxml(read(HEADER + "d8|")).replace("<duration>40320", "<duration>50000"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_score(path)
    assert caught == []
    assert capsys.readouterr() == ("", "")

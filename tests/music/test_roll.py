"""Piano rolls: what is drawn where, and both ways of writing it."""

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from seqgen.music.abc_reader import read_tune
from seqgen.music.midi import piece_of_score, score_of_piece
from seqgen.music.playback import unfold
from seqgen.music.roll import WIDTH, draw_roll, png_bytes, svg_text

TWO_VOICES = (
    'X:1\nT:A <tune> & more\nM:3/4\nL:1/4\nK:G\nV:1 name="Flute"\nGAB | c3- | c3 |]\nV:2\nG,3 | E,3 | z3 |]\n'
)


@pytest.fixture
def drawing():
    return draw_roll(read_tune(TWO_VOICES, source="tune"))


def notes(drawing):
    return [box for box in drawing.boxes if box.label]


def test_each_note_is_a_bar_as_long_as_it_sounds_at_the_height_of_its_pitch(drawing):
    found = notes(drawing)
    assert [box.label for box in found] == ["G4", "A4", "B4", "C5", "G3", "E3"]
    quarter = found[1].x - found[0].x
    assert [round((box.width + 1) / quarter, 2) for box in found] == [1, 1, 1, 6, 3, 3]
    semitones = [(found[0].y - box.y) / (found[0].height + 1) for box in found]
    assert semitones == [0, 2, 4, 5, -12, -15]


def test_parts_differ_in_colour_and_are_named(drawing):
    assert len({box.fill for box in notes(drawing)[:4]}) == 1
    assert notes(drawing)[0].fill != notes(drawing)[4].fill
    words = [words.text for words in drawing.words]
    assert words[:3] == ["A <tune> & more", "Flute", "part 2"]
    assert [text for text in words if text.isdigit()] == ["1", "2", "3"]


def test_keys_bars_and_notes_are_named(drawing):
    texts = [words.text for words in drawing.words]
    assert texts[3] == "G major, 3/4"
    assert [text for text in texts if text in ("C3", "C4", "C5", "C6")] == ["C4", "C5"]
    assert {"D", "E", "F", "G", "A", "B"} <= set(texts)
    inside = [
        words.text
        for words in drawing.words
        for box in notes(drawing)
        if box.x < words.x < box.x + box.width and box.y < words.y < box.y + box.height
    ]
    assert inside == ["G", "A", "B", "C", "G", "E"]


def test_names_stand_only_where_they_fit_and_can_be_read():
    tune = "X:1\nM:4/4\nL:1/4\nK:E\n" + "F/8G/8A/8B/8 e/ E3 | " + "EEEE | " * 7
    drawing = draw_roll(read_tune(tune, source="tune"))
    inside = [words.text for words in drawing.words if words.size == 8 and words.fill == "#ffffff"]
    assert inside[:2] == ["E", "E"]  # four 32nds before them have no room
    soft = score_of_piece(unfold(read_tune(TWO_VOICES, source="tune")))
    soft.tracks[0].notes[0].velocity = 1
    named = [words for words in draw_roll(piece_of_score(soft)).words if words.size == 8 and words.x > 44]
    assert [words.fill for words in named[:2]] == ["#222222", "#ffffff"]


def test_long_pieces_are_laid_out_in_rows_that_fit_the_page():
    drawing = draw_roll(read_tune("X:1\nM:4/4\nL:1/4\nK:C\n" + "CDEF | " * 50, source="tune"))
    found = notes(drawing)
    assert len(found) == 200
    assert len({box.y for box in found}) == 4 * 7  # seven rows of eight bars
    assert all(box.x >= 0 and box.x + box.width <= WIDTH for box in drawing.boxes)
    assert all(box.y >= 0 and box.y + box.height <= drawing.height for box in drawing.boxes)


def test_a_note_held_into_the_next_row_is_drawn_in_both():
    drawing = draw_roll(read_tune("X:1\nM:4/4\nL:1/1\nK:C\n" + "C | " * 7 + "D-|D|E|]", source="tune"))
    assert [box.label for box in notes(drawing)][-3:] == ["D4", "D4", "E4"]


def test_a_played_piece_gets_bar_lines_and_soft_notes_are_paler():
    score = score_of_piece(unfold(read_tune(TWO_VOICES, source="tune")))
    score.tracks[0].notes[1].velocity = 20
    drawing = draw_roll(piece_of_score(score))
    assert "3" in [words.text for words in drawing.words]
    first, second = (int(box.fill[1:3], 16) for box in notes(drawing)[:2])
    assert second > first


def test_the_svg_is_well_formed_and_holds_every_box_and_word(drawing):
    root = ElementTree.fromstring(svg_text(drawing))  # noqa: S314
    assert len(root.findall("{*}rect")) == 1 + len(drawing.boxes)
    assert [text.text for text in root.findall("{*}text")] == [words.text for words in drawing.words]
    assert next(title.text for title in root.iter("{http://www.w3.org/2000/svg}title")) == "G4"


def test_the_png_shows_the_colour_of_each_note_where_it_is(drawing):
    image = Image.open(io.BytesIO(png_bytes(drawing, scale=3)))
    assert image.size == (3 * drawing.width, 3 * drawing.height)
    for box in notes(drawing):
        middle = (round(3 * (box.x + box.width / 2)), round(3 * (box.y + box.height / 2)))
        assert "#{:02x}{:02x}{:02x}".format(*image.getpixel(middle)) == box.fill

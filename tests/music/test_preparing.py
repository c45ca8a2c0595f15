"""Choosing parts, and reading the settings of a corpus of music."""

from fractions import Fraction

import pytest

from seqgen.errors import ConfigError, CorpusError
from seqgen.music.pieces import Note, Part, Piece, spelling
from seqgen.music.preparing import Preparation, choose_parts, is_single_line, parse_preparation


def part(name, *chords, is_drum=False):
    notes = tuple(
        Note(Fraction(onset), Fraction(1), spelling(0)[midi])
        for onset, chord in enumerate(chords)
        for midi in chord
    )
    return Part(notes, name, is_drum=is_drum)


PIECE = Piece(
    parts=(
        part("Piano", [60, 64, 90], [62]),
        part("Drums", [36], [99], is_drum=True),
        part("Flute", [72], [74], [76]),
        part("Alto", [67], [65]),
        part("Cello", [40], [43]),
    )
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("all", ["Piano", "Drums", "Flute", "Alto", "Cello"]),
        ("melody", ["Flute"]),
        ("bass", ["Cello"]),
        ("alto", ["Alto"]),
        ("2", ["Drums"]),
        ("5, Flute", ["Cello", "Flute"]),
    ],
)
def test_parts_are_chosen_by_what_they_are_by_name_and_by_number(wanted, found):
    assert [part.name for part in choose_parts(PIECE, wanted).parts] == found


def test_a_part_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(CorpusError, match="no part Oboe; its parts are 1 Piano, 2 Drums, 3 Flute"):
        choose_parts(PIECE, "Oboe")
    with pytest.raises(CorpusError, match="no single line"):
        choose_parts(Piece(parts=PIECE.parts[:2]), "melody")
    with pytest.raises(CorpusError, match="no pitched part"):
        choose_parts(Piece(parts=PIECE.parts[1:2]), "bass")


def test_a_single_line_may_be_played_legato():
    def line(length):
        notes = (Note(Fraction(k), Fraction(length), spelling(0)[60 + k]) for k in range(3))
        return Part(tuple(notes))

    assert is_single_line(line(1))
    assert is_single_line(line(1 + Fraction(1, 8)))
    assert not is_single_line(line(1 + Fraction(1, 4)))


def test_settings_are_read():
    preparation, variation = parse_preparation("C", "1/2, 2", "melody")
    assert preparation == Preparation(parts="melody", in_c=True)
    assert (variation.shifts, variation.factors) == ((0,), (1, Fraction(1, 2), 2))
    _, variation = parse_preparation("-2:3", None, "all")
    assert (variation.shifts, variation.within_range) == ((-2, -1, 0, 1, 2, 3), False)
    _, variation = parse_preparation("all", None, "all")
    assert (len(variation.shifts), variation.within_range) == (12, True)
    assert not parse_preparation(None, None, "all")[1]


@pytest.mark.parametrize("text", ["D", "3:-3", "-3", "1:99", "", "-183"])
def test_other_transpositions_are_refused(text):
    with pytest.raises(ConfigError, match=f"--transpose {text}: expected all, C, or semitones"):
        parse_preparation(text, None, "all")


@pytest.mark.parametrize("text", ["", "0", "1/0", "9", "fast", "-1"])
def test_other_factors_are_refused(text):
    with pytest.raises(ConfigError, match=f"--stretch {text}: expected factors between 1/8 and 8"):
        parse_preparation(None, text, "all")

"""Bars as a musician counts them, and those that do not add up."""

from fractions import Fraction

import pytest

from seqgen.music.abc_reader import read_tune
from seqgen.music.measures import describe_length, describe_wrong, measures, wrong_measures
from seqgen.music.pieces import Meter


def tune(music, meter="4/4"):
    return read_tune(f"X:1\nM:{meter}\nL:1/4\nK:C\n{music}", source="tune")


def wrong(music, meter="4/4"):
    return describe_wrong(wrong_measures(tune(music, meter)))


def test_bars_are_numbered_from_one_after_a_pickup():
    assert [bar.number for bar in measures(tune("G | CDEF | GABc | c3 |]"))] == [0, 1, 2, 3]
    assert [bar.number for bar in measures(tune("CDEF | GABc |]"))] == [1, 2]


def test_both_halves_of_a_divided_bar_have_one_number():
    found = measures(tune("G | CDEF | C3 :| G | CDEF | C3 |]"))
    assert [bar.number for bar in found] == [0, 1, 2, 2, 3, 4]
    assert [bar.number for bar in measures(tune("GA | CD :| GA | CD |]"))] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    "music",
    [
        "CDEF | GABc |]",
        "G | CDEF | GABc |]",  # a last bar that takes no note of the pick-up
        "G | CDEF | C3 :|",
        "G | CDEF | C3 :| G | CDEF | C3 |]",
        "G | CDEF | C3 ||\nG | CDEF | C3 |]",
        "G | CDEF | C3 |\nG | CDEF | C3 |]",
        "G |: CDEF |1 C3 G :|2 C3 |]",
        "(3CDE F G | C4 |]",
    ],
)
def test_bars_that_add_up_are_left_alone(music):
    assert wrong(music) == []


@pytest.mark.parametrize(
    ("music", "meter", "told"),
    [
        ("CDEF | GAB | CDEF |]", "4/4", ["bar 2 is 3/4 long in 4/4"]),
        ("CDEF | GABcd/ | CDEF |]", "4/4", ["bar 2 is 9/8 long in 4/4"]),
        ("CDEF GABc | CDEF |]", "4/4", ["bar 1 is 8/4 long in 4/4, room for 2 bars"]),
        ("CDEF | C2 :| GABc | c4 |]", "4/4", ["bar 2 is 2/4 long in 4/4"]),
        ("CD | CD | C |]", "2/4", ["bar 3 is 1/4 long in 2/4"]),
        ("CDE/ | CDE | C3 |]", "3/4", []),
    ],
)
def test_bars_that_do_not_add_up_are_named(music, meter, told):
    assert wrong(music, meter) == told


def test_a_change_of_meter_is_followed():
    assert wrong("CDEF |\nM:3/4\nCDE | CDEF |]") == ["bar 3 is 4/4 long in 3/4"]


def test_without_a_meter_or_bar_lines_nothing_is_wrong():
    assert wrong("CDEF | C |]", "none") == []
    assert wrong("CDEFGAB") == []


def test_lengths_are_told_in_units_of_the_meter_where_they_fit():
    assert describe_length(Fraction(3), Meter(6, 8)) == "6/8"
    assert describe_length(Fraction(7, 2), Meter(4, 4)) == "7/8"
    assert describe_length(Fraction(1, 3), Meter(2, 4)) == "1/12"

import math
from collections import Counter
from fractions import Fraction

import pytest

from seqgen.evaluation.music import (
    compare,
    jensen_shannon_bits,
    new_share,
    profile,
    runs_of_notes,
    scale_of,
)
from seqgen.music.pieces import parse_key
from tests.sampling.models import abc_piece


def tune(notes, key="D", meter="2/4"):
    return abc_piece(f"X:1\nM:{meter}\nL:1/8\nK:{key}\n{notes}\n")


def test_pitch_classes_and_durations_are_counted_with_ties_joined_and_without_rests():
    found = profile([tune("D2 d-d | z2 F2 |]"), tune("D4 |]")])
    assert found.pieces == 2
    assert found.pitch_classes == Counter({2: 3, 6: 1})
    assert found.durations == Counter({Fraction(1): 3, Fraction(2): 1})


def test_notes_in_key_are_those_of_the_signature_in_force():
    found = profile([tune("D ^G =F A | [K:F] =B B =e f |]")])
    assert (found.in_key, found.keyed) == (4, 8)
    assert found.in_key_rate == 4 / 8
    assert profile([tune("C D", key="none")]).in_key_rate is None


@pytest.mark.parametrize(
    ("key", "scale"), [("D-major", {2, 4, 6, 7, 9, 11, 1}), ("A-minor", {0, 2, 4, 5, 7, 9, 11})]
)
def test_the_scale_of_a_key_is_that_of_its_signature(key, scale):
    assert scale_of(parse_key(key)) == scale


def test_bars_that_do_not_add_up_are_counted():
    found = profile([tune("D4 | D3 | D2 E2 | D4 |]")])
    assert (found.bars, found.wrong_bars) == (4, 1)
    assert found.bar_validity == 0.75
    assert profile([]).bar_validity is None


def test_divergence_is_0_for_equal_shares_and_1_for_nothing_in_common():
    assert jensen_shannon_bits({"a": 1, "b": 3}, {"a": 2, "b": 6}) == 0
    assert jensen_shannon_bits({"a": 5}, {"b": 2}) == 1
    with pytest.raises(ValueError, match="empty"):
        jensen_shannon_bits({}, {"a": 1})


def test_divergence_is_the_mean_divergence_from_the_middle():
    first, second = {"a": 1, "b": 1}, {"b": 1}
    by_hand = (0.5 * math.log2(0.5 / 0.25) + 0.5 * math.log2(0.5 / 0.75) + 1 * math.log2(1 / 0.75)) / 2
    assert jensen_shannon_bits(first, second) == pytest.approx(by_hand)
    assert jensen_shannon_bits(second, first) == pytest.approx(by_hand)


def test_a_run_is_the_same_in_any_key_and_differs_by_rhythm():
    first = list(runs_of_notes(tune("D E2 F"), 3))
    assert first == [(2, 4, 0.5, 1.0, 0.5)]
    assert list(runs_of_notes(tune("G A2 B", key="G"), 3)) == first
    assert list(runs_of_notes(tune("D2 E F"), 3)) != first
    assert list(runs_of_notes(tune("D z E2 F"), 3)) == first
    assert list(runs_of_notes(tune("D E2 F"), 4)) == []


def test_the_share_of_new_runs_counts_each_run_that_is_not_known():
    known = [tune("D E F G"), tune("A A A")]
    assert new_share([tune("E F G A")], known, 3) == 1 / 2
    assert new_share([tune("G A B c", key="G")], known, 3) == 0
    assert new_share([tune("D E")], known, 3) is None


def test_figures_stand_beside_what_was_learned_from():
    known = [tune("D2 E2 | F2 G2 | A2 B2 |]")]
    figures = compare([tune("D2 E2 | F2 G2 |]"), tune("^A4 | D3 |]")], known, profile(known))
    assert (figures["pieces"], figures["notes"]) == (2, 6)
    assert figures["in_key_rate"] == round(5 / 6, 5)
    assert figures["bar_validity"] == 0.75
    assert figures["new_runs_of_4"] == 0
    assert figures["new_runs_of_8"] is None
    assert 0 < figures["pitch_classes_js_bits"] < 1

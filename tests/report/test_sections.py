import base64
import re

import numpy as np
import pytest

from seqgen.music.timeline import Sounding, Timeline
from seqgen.report import sections
from seqgen.report.page import make_page
from seqgen.report.tunes import ShownTune, roll_svg, tune_html

TIMES = Timeline([Sounding(0.0, 0.5, 60, "C4", 0), Sounding(0.5, 1.5, 67, "G4", 1)], [0.0, 1.0], 1.5)


def test_a_note_stands_where_and_when_it_sounds():
    svg = roll_svg(TIMES)
    notes = re.findall(r'<rect class="(p\d)" x="([\d.]+)" y="(\d+)" width="([\d.]+)"', svg)
    assert notes == [("p0", "1.0", "91", "48.0"), ("p1", "51.0", "21", "98.0")]  # rows of 10 from G4 + 2 down
    assert 'data-start="0.500" data-end="1.500"' in svg
    assert re.search(r'viewBox="0 0 150.0 120"', svg)


def test_a_tune_carries_its_sound_and_both_its_scores():
    text = tune_html(
        ShownTune("A & B", "2 notes", TIMES, b"sound", "audio/mpeg", "<svg>1</svg>", "<svg>2</svg>")
    )
    assert f"data:audio/mpeg;base64,{base64.b64encode(b'sound').decode()}" in text
    assert "A &amp; B" in text
    assert text.count('class="sheet') == 2
    assert 'class="sheet' not in tune_html(ShownTune("A", "", TIMES, b"", "audio/wav"))


def test_a_page_is_whole_and_asks_the_network_for_nothing():
    parts = [
        sections.texts_section(["</script><b>", "  laid\n  out"], "lead"),
        sections.card_section({"Seed": "<1>"}, "seqgen sample m"),
    ]
    page = make_page("m", "A model.", parts)
    assert "<b>" not in page
    assert "&lt;1&gt;" in page
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []
    assert not re.search(r"@import|url\(|https?://", page)
    assert page.count('<section id="') == page.count('<a href="#') == 2
    assert 'class="sample code"' in page


def test_curves_show_training_alone_where_there_is_no_validation():
    history = [{"seconds": s, "train_loss_nats": 3.0 - s, "valid_loss_nats": None} for s in (1, 2)]
    body = sections.curves_section(history, "").body
    assert "training" in body
    assert "validation" not in body


def test_colours_of_a_strip_deepen_with_the_value_and_differ_by_sign():
    strip = sections.Strip("Quotes", "cell 1", ["a", "<", "c"], np.array([-1.0, 0.0, 0.5]), signed=True)
    body = sections.strips_section([strip], "").body
    tints = re.findall(r"background:(rgba\(var\(--\w+\),[\d.]+\))\" title", body)
    assert tints == ["rgba(var(--low),0.70)", "rgba(var(--high),0.00)", "rgba(var(--high),0.35)"]
    assert "&lt;" in body


def test_names_that_would_touch_become_dots():
    places = np.array([[10.0, 10.0], [10.5, 10.5], [60.0, 10.0], [10.0, 50.0]])
    assert sections.find_room(places, ["a", "b", "c", "d"]) == [True, False, True, True]
    assert sections.find_room(places[[0, 2]], ["a" * 80, "c"]) == [True, False]
    body = sections.map_section(places, ["a", "b", "c", "d"], ["x", "y", "x", "y"], "").body
    assert body.count("class=dot") == 1


def test_the_ladder_goes_from_worst_to_best_and_marks_its_own_model():
    shared = {
        "parameters": 1000,
        "minutes": 1.0,
        "gap_bits": 0.1,
        "unit": "chars",
        "curve": [[1.0, 2.0], [2.0, 1.5]],
    }
    models = [{"name": "good", "bits": 1.5, **shared}, {"name": "bad", "bits": 3.0, **shared}]
    body = sections.ladder_section(models, "good", "").body
    assert body.index("bad") < body.index("<b>good</b>")
    assert "bits per char" in body


@pytest.mark.parametrize("decay", [0.5, 1.5])
def test_gradients_are_drawn_over_decades(decay):
    body = sections.flow_section({"h": [decay**k for k in range(30)]}, "").body
    assert "10<sup>" in body


def test_contributions_are_told_as_they_are_and_coloured_by_the_largest_of_all_texts():
    strips = [
        sections.Strip("pos", "", [" a", " b"], np.array([-4.0, 1.0]), signed=True),
        sections.Strip("neg", "", [" c"], np.array([2.0]), signed=True),
    ]
    body = sections.contributions_section(strips, "").body
    tints = re.findall(r"background:rgba\(var\(--(\w+)\),([\d.]+)\)\" title=\"([-\d.]+)\"", body)
    assert tints == [("low", "0.70", "-4.00"), ("high", "0.17", "1.00"), ("high", "0.35", "2.00")]
    assert "contribution −4" in body


def test_a_translation_is_shown_with_all_references_and_a_grid_where_there_is_attention():
    shown = sections.ShownTranslation("a <b>", "x", ["y", "z"], ["a"], ["x"], np.ones((1, 1), np.float32))
    body = sections.translations_section([shown], "").body
    assert "y / z" in body
    assert "a &lt;b&gt;" in body
    assert 'class="attention"' in body
    blind = shown._replace(text="", weights=np.zeros((1, 0), np.float32))
    body = sections.translations_section([blind], "").body
    assert 'class="attention"' not in body
    assert "(nothing)" in body

import base64
import json
import re

import numpy as np

from seqgen.report.strip import Section, Strip, colour, page

T, H = 3, 2
TOKENS = ["<b>", "\n", "</script>"]


def html():
    value = np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.5]])
    gate = np.array([[0.0, 1.0], [0.2, 0.4], [1.0, 0.0]])
    strip = Strip("forget gate", gate[:, 1], signed=False)
    return page("A & B", TOKENS, [Section("Quotes", [strip])], [{"value": value, "forget": gate}])


def test_tokens_cannot_break_out_of_the_page():
    text = html()
    assert "A &amp; B" in text
    assert "<b>" not in text.split("<script")[0]
    assert text.count("</script>") == 2


def test_the_page_asks_the_network_for_nothing():
    assert re.findall(r"(?:https?:)?//[a-z]|src=|@import", html()) == []


def test_the_data_of_a_cell_are_its_values_in_bytes():
    data = json.loads(re.search(r'id="data">(.*?)</script>', html(), re.S)[1])
    assert data["tokens"] == ["<b>", "↵\n", "</script>"]
    quantity = data["layers"][0]["quantities"]["value"]
    levels = np.frombuffer(base64.b64decode(quantity["data"]), np.uint8).reshape(H, T)
    np.testing.assert_allclose(levels[1] / 255 * 2 - 1, [0.0, 1.0, 0.5], atol=1 / 255)


def test_colours_deepen_with_the_value_and_differ_by_sign():
    assert colour(0.0, signed=True) == "#ffffff"
    assert len({colour(value, signed=True) for value in (-1, -0.5, 0.5, 1)}) == 4

import re

import numpy as np

from seqgen.report.grids import attention_grid, confusion_grid

SOURCE, TARGET = [" I", " see", "<eos>"], [" 我", "看", " ", "見"]


def test_each_weight_stands_in_the_row_of_its_token_and_the_column_of_its_source():
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.5, 0.5], [0.25, 0.75, 0.0]], np.float32)
    grid = attention_grid(SOURCE, TARGET, weights)
    rows = re.findall(r"<tr>.*?</tr>", grid)[1:]
    assert [re.search(r'<th scope="row"[^>]*>(.*?)</th>', row)[1] for row in rows] == ["我", "看", "␣", "見"]
    shades = [[float(shade) for shade in re.findall(r"--open\),([\d.]+)\)", row)] for row in rows]
    np.testing.assert_allclose(shades, weights, atol=0.006)
    assert 'title="看 ← see 0.80"' in rows[1]
    assert "&lt;eos&gt;" in grid
    assert "<eos>" not in grid


def test_long_names_of_columns_are_written_downwards_and_wide_ones_take_more_room():
    grid = attention_grid(SOURCE, TARGET, np.zeros((4, 3), np.float32))
    assert re.findall(r"<span( class=tall)?>(.*?)</span>", grid) == [
        ("", "I"),
        (" class=tall", "see"),
        (" class=tall", "&lt;eos&gt;"),
    ]
    assert "--columns:3;--name:4ch" in grid


def test_hits_and_mistakes_differ_in_colour_and_deepen_with_their_share_of_the_row():
    grid = confusion_grid(["<a>", "b"], [[1500, 500], [0, 0]])
    cells = re.findall(r"--(\w+)\),([\d.]+)\)\" title=\"([^\"]*)\">([\d,]+)<", grid)
    assert cells == [
        ("open", "0.38", "&lt;a&gt;, given &lt;a&gt;: 75.0%", "1,500"),
        ("high", "0.12", "&lt;a&gt;, given b: 25.0%", "500"),
        ("high", "0.00", "b, given &lt;a&gt;: 0.0%", "0"),
        ("open", "0.00", "b, given b: 0.0%", "0"),
    ]

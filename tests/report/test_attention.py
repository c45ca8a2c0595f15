import numpy as np
import pytest
from PIL import Image

from seqgen.report.attention import _label, plot_attention

SOURCE, TARGET = [" I", " see", " $x_1$", "<eos>"], ["我", "看", "见", "x", "。"]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_grid_is_drawn_and_says_which_characters_it_cannot_show(tmp_path, suffix):
    path = tmp_path / f"grid{suffix}"
    weights = np.full((5, 4), 0.25, np.float32)
    missing = plot_attention(path, SOURCE, TARGET, weights)
    assert set(missing) <= set("我看见。")
    assert path.stat().st_size > 1000
    assert plot_attention(path, SOURCE, ["le", "chat", "é", "œ", "«"], weights) == []


def test_dark_cells_are_those_of_large_weights(tmp_path):
    shades = []
    for place in (0, 3):
        weights = np.zeros((5, 4), np.float32)
        weights[:, place] = 1.0
        plot_attention(tmp_path / "grid.png", SOURCE, ["a", "b", "c", "d", "e"], weights)
        image = np.asarray(Image.open(tmp_path / "grid.png").convert("L"))
        dark = (image < 10).sum(0)  # of each column of the picture
        shades.append(int((np.arange(len(dark)) * dark).sum() / dark.sum()))
    assert shades[0] < shades[1]


def test_labels_show_spaces_and_code_points_of_what_is_missing():
    assert [_label(token, ["我"]) for token in (" see", " ", "我")] == ["see", "␣", "6211"]

import numpy as np
from PIL import Image

from seqgen.report.attention import _label, plot_attention

SOURCE, TARGET = [" I", " see", " $x_1$", "<eos>"], ["我", "看", "见", "x", "。"]


def test_a_grid_says_which_characters_no_font_here_has(tmp_path):
    path = tmp_path / "grid.png"
    weights = np.full((5, 4), 0.25, np.float32)
    assert set(plot_attention(path, SOURCE, TARGET, weights)) <= set("我看见。")
    assert path.stat().st_size > 1000
    assert (
        plot_attention(path, SOURCE, ["le", "chat", "é", "œ", "\u0e01\U0010ffff"], weights)[-1]
        == "\U0010ffff"
    )


def test_an_svg_holds_all_labels_as_text(tmp_path):
    path = tmp_path / "grid.svg"
    assert plot_attention(path, SOURCE, TARGET, np.full((5, 4), 0.25, np.float32)) == []
    written = path.read_text(encoding="utf-8")
    assert all(f">{token.strip()}<" in written for token in ["我", "看", "$x_1$", "see"])


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

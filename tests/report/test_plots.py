import numpy as np
import pytest

from seqgen.errors import ConfigError
from seqgen.report.plots import check_plot, plot_curves, plot_flow, plot_map


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"choose a name that ends in \.png"):
        check_plot(tmp_path / "flow.txt")


def test_plots_name_what_they_show(tmp_path):
    pytest.importorskip("matplotlib")
    curves, flow, points = (tmp_path / f"{name}.svg" for name in ("curves", "flow", "map"))
    plot_curves(curves, {"bow": ([1, 2], [3.0, 2.5])}, x="seconds", y="bits", title="t")
    plot_flow(flow, {"rnn": [1.0, 0.1, 0.0]}, title="t")
    plot_map(points, np.array([[0.0, 1], [2, 3]]), ["$a", " "], marked=[0], title="t")
    for path in (curves, flow, points):
        assert path.read_text(encoding="utf-8").startswith("<?xml")

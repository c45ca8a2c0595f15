import re

from seqgen.report.charts import HEIGHT, WIDTH, Line, chart


def paths(text):
    found = re.findall(r'<path(?: class="faint")? style="[^"]*" d="M([^"]*)"', text)
    return [[tuple(map(float, point.split())) for point in path.split("L")] for path in found]


def test_lines_span_the_chart_from_corner_to_corner():
    ((first, middle, last),) = paths(chart([Line("a", [(1, 0), (2, 1), (3, 2)], 0)], x="s", y="nats"))
    assert first == (0, HEIGHT)
    assert middle == (WIDTH / 2, HEIGHT / 2)
    assert last == (WIDTH, 0)


def test_an_exponential_is_a_straight_line_over_decades():
    text = chart([Line("a", [(0, 1.0), (1, 1e-3), (2, 1e-6)], 0)], x="k", y="norm", decades=True)
    ((_, middle, last),) = paths(text)
    assert middle == (WIDTH / 2, HEIGHT / 2)
    assert last == (WIDTH, HEIGHT)
    assert "10<sup>−6</sup>" in text


def test_what_cannot_be_drawn_is_left_out():
    text = chart(
        [Line("a", [(0, 1.0), (1, 0.0), (2, float("inf")), (3, 0.1)], 0)], x="k", y="n", decades=True
    )
    assert len(paths(text)[0]) == 2
    assert len(paths(chart([Line("a", [(0, 1.0)], 0)], x="k", y="n"))[0]) == 2  # one point is a short line


def test_names_are_written_as_they_are():
    assert "a &lt; b" in chart([Line("a < b", [(0, 1.0), (1, 2.0)], 0)], x="k", y="n")

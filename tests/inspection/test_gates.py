import numpy as np

from seqgen.inspection.gates import areas, best_stretch, find_marks, most_selective


def marked(text, name):
    return "".join("^" if here else "." for here in find_marks(list(text))[name])


def test_marks_are_found_where_they_are():
    text = 'say "hi (a)"\n  x [y]\n'
    assert marked(text, "quotes") == "....^^^^^^^.........."
    assert marked(text, "brackets") == "........^^.......^^.."[: len(text)]
    assert marked(text, "line ends") == "............^.......^"
    assert marked(text, "indentation") == ".............^^......"


def test_bar_lines_are_found_in_notes_and_in_abc():
    assert find_marks(["Pitch_A4", "Bar_|:", "Beat_2"])["bar lines"].tolist() == [False, True, False]
    assert marked("A|B", "bar lines") == ".^."


def test_areas_are_those_of_counted_pairs():
    draw = np.random.default_rng(0)
    values, here = draw.integers(0, 4, (23, 3)).astype(float), draw.random(23) < 0.4
    pairs = [[(a > b) + (a == b) / 2 for a in values[here, j] for b in values[~here, j]] for j in range(3)]
    np.testing.assert_allclose(areas(values, here), [np.mean(column) for column in pairs])


def test_the_cell_that_follows_a_mark_is_ranked_first_whichever_way_it_goes():
    draw = np.random.default_rng(1)
    here = np.arange(40) % 4 == 0
    values = [draw.normal(size=(40, 5)), draw.normal(size=(40, 6))]
    values[1][:, 4] = np.where(here, -1.0, 0.5)
    ranked = most_selective(values, {"quotes": here, "rare": np.arange(40) < 3}, count=2)
    assert list(ranked) == ["quotes"]
    best = ranked["quotes"][0]
    assert (best.layer, best.cell, best.score, best.rises) == (2, 4, 1.0, False)


def test_the_stretch_shown_is_the_one_with_most_of_the_marks():
    marks = find_marks(list("a\n" * 9 + 'say "hello" (hi)' + "b" * 9))
    assert best_stretch(marks, 100) == 0
    start = best_stretch(marks, 25)
    inside = {name: int(marked[start : start + 25].sum()) for name, marked in marks.items()}
    assert (inside["quotes"], inside["brackets"], inside["line ends"]) == (6, 3, 5)

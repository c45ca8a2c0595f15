import pytest

from seqgen.data.sources import Source
from seqgen.data.tables import table_cells
from seqgen.errors import ConfigError
from tests.data.real import real


def cells(content, kind, column=None):
    """Return the cells of a table given in tiny chunks, and what was skipped."""
    chunks = [content[i : i + 3] for i in range(0, len(content), 3)]
    skipped = []
    source = Source(path=None, kind=kind, name=f"t.{kind}")
    return list(table_cells(chunks, source, column, skipped.append)), [str(item) for item in skipped]


def test_csv_cells_may_hold_separators_quotes_and_line_ends():
    assert cells('id,text\n1,"a, ""b""\nc"\n2,d\n', "csv", "text") == (['a, "b"\nc', "d"], [])


def test_tsv_has_no_quotes():
    assert cells('text\tn\n"open\t1\nend"\t2\n', "tsv", "text") == (['"open', 'end"'], [])


def test_a_number_takes_a_column_of_a_table_without_names():
    assert cells("good film\t1\nbad film\t0\n", "tsv", "1") == (["good film", "bad film"], [])


def test_a_single_column_needs_no_name():
    assert cells("text\na\n\nb\n", "csv") == (["a", "b"], [])


@pytest.mark.parametrize("column", [None, "words", "3", "0"])
def test_a_wrong_column_is_an_error_that_names_the_columns(column):
    with pytest.raises(ConfigError, match=r"t\.csv: .*id, text"):
        cells("id,text\n1,a\n", "csv", column)


def test_a_row_of_another_width_is_told_with_its_line():
    found, skipped = cells('id,text\n1,"a\nb"\n2\n3,c,d\n4,e\n', "csv", "text")
    assert found == ["a\nb", "e"]
    assert skipped == [
        "t.csv: line 4: 1 cell, where the first row has 2",
        "t.csv: line 5: 3 cells, where the first row has 2",
    ]


def test_a_broken_quote_is_told_with_its_line():
    found, skipped = cells('id,text\n1,a\n2,"b"x\n3,c\n', "csv", "text")
    assert found == ["a", "c"]
    assert len(skipped) == 1
    assert skipped[0].startswith("t.csv: line 3: not a row of CSV")


def test_json_lines_give_the_text_of_a_key():
    assert cells('{"t": "a\\nb", "n": 1}\n\n{"t": "c"}\n', "jsonl", "t") == (["a\nb", "c"], [])


def test_json_lines_with_one_text_need_no_key():
    assert cells('{"t": "a", "n": 1}\n"b"\n', "jsonl") == (["a", "b"], [])


def test_json_lines_with_two_texts_need_a_key():
    with pytest.raises(ConfigError, match=r"which column\? give --column, one of: t, u"):
        cells('{"t": "a", "u": "b"}\n', "jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"t": ', "not JSON"),
        ('{"u": "a"}', "no t; its keys are u"),
        ('{"t": 5}', "a text was expected, not int"),
        ("[1]", "a text was expected, not list"),
        ('{"t": "\\ud800"}', "half a surrogate pair"),
    ],
)
def test_bad_json_lines_are_told_with_their_line(line, reason):
    found, skipped = cells(f'{{"t": "a"}}\n{line}\n{{"t": "b"}}\n', "jsonl", "t")
    assert found == ["a", "b"]
    assert len(skipped) == 1
    assert skipped[0].startswith("t.jsonl: line 2: ")
    assert reason in skipped[0]


def test_a_real_table_gives_every_sentence():
    text = real("sst/sst2_dev.tsv").read_text(encoding="utf-8")
    found, skipped = cells(text, "tsv", "1")
    assert (len(found), skipped) == (872, [])

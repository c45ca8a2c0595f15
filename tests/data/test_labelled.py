import gzip
import json

import pytest

from seqgen.config import build_config
from seqgen.data.labelled import read_labelled, read_texts
from seqgen.errors import ConfigError, CorpusError

ROWS = [("good film", "pos"), ("bad film", "neg"), ("fine", "pos"), ("so dull", "neg")]


def read(path, **settings):
    told = []
    examples = read_labelled([str(path)], build_config(settings), told.append)
    return [(example.text, example.label) for example in examples], told


def write_tsv(path, rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_of_two_columns_the_one_that_repeats_holds_the_labels_and_that_is_told(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", ROWS)
    assert read(path) == (ROWS, [f"{path}: texts are in column 1, labels in column 2"])
    turned = write_tsv(tmp_path / "b.tsv", [row[::-1] for row in ROWS])
    assert read(turned) == (ROWS, [f"{turned}: texts are in column 2, labels in column 1"])


def test_a_table_whose_gzip_data_is_cut_short_is_told(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"good film\tpos\nbad film\tneg\n" * 9)[:-9])
    with pytest.raises(CorpusError, match=r"a\.tsv\.gz: the gzip data is damaged or cut short"):
        read(path)


def test_a_first_row_of_usual_names_is_no_example(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", [("Label", "id", "Sentence"), *((b, "7", a) for a, b in ROWS)])
    assert read(path) == (ROWS, [f"{path}: texts are in column Sentence, labels in column Label"])


def test_columns_are_found_by_name_or_by_number(tmp_path):
    rows = [("a", "words", "mood"), *(("7", *row) for row in ROWS)]
    path = write_tsv(tmp_path / "a.tsv", rows)
    named = {"text_column": "words", "label_column": "mood"}
    assert read(path, classify=named) == (ROWS, [])
    bare = write_tsv(tmp_path / "b.tsv", rows[1:])
    assert read(bare, classify={"text_column": "2", "label_column": "3"}) == (ROWS, [])


def test_csv_cells_may_hold_separators_and_json_lines_any_order_of_keys(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text('text,label\n"good, ""very"" good",pos\nbad,neg\n')
    assert read(table)[0] == [('good, "very" good', "pos"), ("bad", "neg")]
    lines = tmp_path / "a.jsonl"
    records = [{"text": "good", "label": 1}, {"label": 0, "text": "bad", "more": None}]
    lines.write_text("\n".join(map(json.dumps, records)))
    assert read(lines)[0] == [("good", "1"), ("bad", "0")]


def test_a_folder_has_a_folder_for_each_label(tmp_path):
    for label, number, text in (("neg", 1, "bad\n"), ("pos", 2, "good"), ("pos", 10, "fine")):
        file = tmp_path / label / f"{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert read(tmp_path)[0] == [("bad", "neg"), ("good", "pos"), ("fine", "pos")]


def test_a_row_with_another_number_of_cells_is_told_with_its_line(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", [*ROWS, ("a stray\ttab", "pos")])
    with pytest.raises(CorpusError, match=rf"{path}:5: 3 cells, where the first row has 2"):
        read(path)
    examples, told = read(path, corpus={"on_error": "skip"})
    assert examples == ROWS
    assert "line 5: 3 cells" in told[0]


def test_an_empty_label_is_told_with_its_line(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", [*ROWS, ("good", " ")])
    with pytest.raises(CorpusError, match=rf"{path}:5: the label is empty"):
        read(path, classify={"text_column": "1", "label_column": "2"})


@pytest.mark.parametrize("line", ["{", "[1]", '{"text": "x"}'])
def test_a_bad_json_line_is_told_with_its_number(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "label": "a"}\n\n' + line)
    with pytest.raises(CorpusError, match=rf"{path}:3: "):
        read(path)


def test_an_empty_class_is_told_with_its_folder(tmp_path):
    (tmp_path / "neg").mkdir()
    with pytest.raises(CorpusError, match=rf"{tmp_path / 'neg'}: an empty class"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (ROWS, {"label_column": "mood"}, "no column mood for --label-column; its columns are good film, pos"),
        (ROWS, {"text_column": "1", "label_column": "1"}, "cannot be in the same column"),
        ([("a", "b", "c")] * 3, {}, "which column is the text"),
        ([("one", "two"), ("three", "four")], {}, "which column is the text"),
        (ROWS, {"label_column": "3"}, "no column 3 for --label-column"),
    ],
)
def test_a_column_that_is_missing_or_doubtful_is_asked_for(tmp_path, rows, settings, message):
    with pytest.raises(ConfigError, match=message):
        read(write_tsv(tmp_path / "a.tsv", rows), classify=settings)


def test_what_is_neither_table_nor_folder_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="an empty name is no corpus"):
        read_labelled([""], build_config({}), print)
    path = tmp_path / "a.txt"
    path.write_text("good film\n")
    with pytest.raises(CorpusError, match=r"no table; give a \.tsv"):
        read(path)


def texts(path, labels=("neg", "pos"), column=None, **classify):
    told = []
    config = build_config({"classify": {"labels": list(labels), **classify}})
    return read_texts(path, config, told.append, column=column), told


TEXTS = [text for text, _ in ROWS]


def test_of_a_table_to_be_labelled_the_column_of_known_labels_is_left_out(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", [row[::-1] for row in ROWS[:2]])
    assert texts(path) == (TEXTS[:2], [f"{path}: texts are in column 2"])
    assert read(path, classify={"labels": ["neg", "pos"]})[0] == ROWS[:2]  # too few to see labels repeat
    alone = write_tsv(tmp_path / "b.tsv", [(text,) for text in TEXTS])
    assert texts(alone) == (TEXTS, [f"{alone}: texts are in column 1"])


def test_a_table_to_be_labelled_may_name_its_columns(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", [("id", "Review"), *(("7", text) for text in TEXTS)])
    assert texts(path) == (TEXTS, [f"{path}: texts are in column Review"])
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps({"id": 7, "text": text}) + "\n" for text in TEXTS))
    assert texts(lines) == (TEXTS, [f"{lines}: texts are in column text"])


def test_the_column_to_be_labelled_is_asked_for_or_given(tmp_path):
    path = write_tsv(tmp_path / "a.tsv", [("7", text) for text in TEXTS])
    with pytest.raises(ConfigError, match="which column is the text\\? give --column; it has 2 columns"):
        texts(path)
    assert texts(path, column="2") == (TEXTS, [])
    assert texts(path, text_column="2") == (TEXTS, [])
    with pytest.raises(ConfigError, match="no column 3 for --column; it has 2 columns, 1 to 2"):
        texts(path, column="3")

import gzip
import json
import os

import pytest

from seqgen.config import CorpusConfig
from seqgen.data.corpus import open_corpus, summarize, write_report
from seqgen.data.sources import Skipped
from seqgen.data.split import plan_split
from seqgen.errors import ConfigError, CorpusError

SHARES = (90.0, 5.0, 5.0)
TUNE = "X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n"


def opened(path, level="auto", **config):
    return open_corpus([str(path)], CorpusConfig(**config), level=level)


@pytest.fixture
def mixed(tmp_path):
    (tmp_path / "a.abc").write_text(TUNE)
    (tmp_path / "b.abc").write_text(TUNE)
    (tmp_path / "c.txt").write_text("text")
    return tmp_path


def test_a_corpus_is_music_if_half_of_its_files_are(mixed):
    (mixed / "d.txt").write_text("more")
    assert opened(mixed).modality == "music"
    (mixed / "e.txt").write_text("still more")
    assert opened(mixed).modality == "text"


def test_text_files_among_music_are_named(mixed):
    corpus = opened(mixed, level="note")
    assert [source.path.name for source in corpus.sources] == ["a.abc", "b.abc"]
    assert [item.name for item in corpus.skipped] == [f"{mixed}/c.txt"]


def test_midi_files_among_text_are_named_not_fatal(mixed):
    (mixed / "d.mid").write_bytes(b"MThd")
    corpus = opened(mixed, level="char")
    assert plan_split(corpus, SHARES).documents == 3
    assert [str(item) for item in corpus.skipped] == [
        f"{mixed}/d.mid: holds no text; it is read at --level note"
    ]


def test_packed_music_is_named(mixed):
    (mixed / "d.abc.gz").write_bytes(gzip.compress(TUNE.encode()))
    assert "unpack it" in str(opened(mixed, level="note").skipped[-1])


def test_a_corpus_without_music_is_an_error_at_level_note(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(CorpusError, match=r"a\.txt: holds no music"):
        opened(tmp_path / "a.txt", level="note")


@pytest.mark.parametrize("on_error", ["auto", "fail"])
def test_text_that_cannot_be_read_fails(tmp_path, on_error):
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    (tmp_path / "b.txt").write_text("fine")
    with pytest.raises(CorpusError, match=r"a\.txt: byte 2: not UTF-8"):
        plan_split(opened(tmp_path, on_error=on_error), SHARES)


def test_text_that_cannot_be_read_is_skipped_where_asked_for(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    (tmp_path / "b.txt").write_text("fine")
    corpus = opened(tmp_path, on_error="skip")
    assert plan_split(corpus, SHARES).documents == 1
    assert len(corpus.skipped) == 1


def test_a_bad_row_fails_or_is_skipped_by_itself(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n2\n3,c\n")
    with pytest.raises(CorpusError, match=r"a\.csv: line 3: 1 cell,"):
        plan_split(opened(tmp_path, column="text"), SHARES)
    corpus = opened(tmp_path, column="text", on_error="skip")
    assert plan_split(corpus, SHARES).documents == 2
    assert [item.place for item in corpus.skipped] == ["line 3"]


def test_fail_also_fails_on_what_would_be_passed_over(mixed):
    with pytest.raises(CorpusError, match="holds no music"):
        opened(mixed, level="note", on_error="fail")


def test_a_column_needs_a_table(mixed):
    with pytest.raises(ConfigError, match=r"--column text: no file of the corpus is a \.csv"):
        opened(mixed, column="text")


def test_only_empty_documents_are_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n\n")
    with pytest.raises(CorpusError, match="every document in it is empty"):
        plan_split(opened(tmp_path, documents="lines"), SHARES)


def test_the_hash_follows_content_and_order_but_not_names(tmp_path):
    hashes = []
    for names in (("a", "b"), ("x", "y"), ("b", "a")):
        folder = tmp_path / "".join(names)
        folder.mkdir()
        for name, content in zip(names, ("one", "two"), strict=True):
            (folder / f"{name}.txt").write_text(content)
        hashes.append(opened(folder).content_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_report_counts_files_and_names_what_was_skipped(mixed):
    report = opened(mixed, level="note").report()
    assert report["files"] == {"abc": 2}
    assert report["skipped"] == [
        {"name": f"{mixed}/c.txt", "place": "", "reason": "holds no music that seqgen reads"}
    ]


def test_a_summary_is_short_and_counts_the_rest():
    skipped = [Skipped(f"file{number}", "why", "line 3") for number in range(9)]
    lines = summarize(skipped, shown=2)
    assert lines == [
        "not read: file0: line 3: why",
        "not read: file1: line 3: why",
        "not read: 7 more (9 in all); see the corpus report",
    ]
    assert summarize([]) == []


def test_a_file_name_that_is_no_utf8_does_not_break_the_report(tmp_path):
    report = {"skipped": [{"name": os.fsdecode(b"caf\xe9.txt")}]}
    write_report(report, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report


def test_a_file_that_vanishes_while_it_is_used_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    corpus = opened(tmp_path)
    plan_split(corpus, SHARES)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(CorpusError, match=r"a\.txt: cannot be read .*, though it could be read before"):
        list(corpus.blocks_again())

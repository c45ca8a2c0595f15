import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqgen.data.sources import find_sources, kind_of, natural_key
from seqgen.errors import CorpusError


@pytest.fixture
def folder(tmp_path):
    """A folder with a bit of everything."""
    root = tmp_path / "corpus"
    (root / "sub").mkdir(parents=True)
    (root / ".git").mkdir()
    for name in ("tune10.txt", "tune2.txt", "Tune1.txt", "sub/a.md"):
        (root / name).write_text(name)
    (root / "empty.txt").write_text("")
    (root / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (root / ".hidden").write_text("secret")
    (root / "link").symlink_to(root / "sub")
    (root / "lost").symlink_to(root / "nowhere")
    return root


def names(found):
    return [Path(source.name).name for source in found.sources]


def test_a_folder_is_read_in_natural_order(folder):
    assert names(find_sources([str(folder)])) == ["a.md", "Tune1.txt", "tune2.txt", "tune10.txt"]


def test_numbers_sort_by_value_and_case_does_not_matter():
    paths = [Path(name) for name in ["b", "A", "a10", "a9", "a", "7", "10"]]
    assert [str(path) for path in sorted(paths, key=natural_key)] == ["7", "10", "A", "a", "a9", "a10", "b"]


def test_all_that_a_folder_holds_besides_is_named_with_its_reason(folder):
    reasons = {Path(item.name).name: item.reason for item in find_sources([str(folder)]).skipped}
    assert reasons == {
        ".git": "hidden, not read",
        ".hidden": "hidden, not read",
        "empty.txt": "the file is empty",
        "link": "a link to a folder, not followed",
        "lost": "not a regular file; a pipe is read as -",
        "picture.png": "binary, neither text nor music that seqgen reads",
    }


def test_names_keep_their_order_and_a_file_counts_once(folder):
    wanted = [str(folder / "tune2.txt"), str(folder / "*.txt"), str(folder / "sub")]
    assert names(find_sources(wanted)) == ["tune2.txt", "Tune1.txt", "tune10.txt", "a.md"]


def test_a_glob_reaches_below_folders(folder):
    assert names(find_sources([f"{folder}/**/*.md"])) == ["a.md"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.txt", "nothing.txt: no such file, folder or corpus; `seqgen corpus list`"),
        ("", "an empty name is no corpus"),
        ("*.nothing", r"\*.nothing: no file matches"),
        ("{folder}/empty.txt", "empty.txt: the file is empty; give another file"),
        ("{folder}/picture.png", "picture.png: binary, neither text nor music"),
        ("{folder}/.git", "no file in it"),
    ],
)
def test_a_name_that_stands_for_nothing_is_an_error(folder, name, message):
    with pytest.raises(CorpusError, match=message):
        find_sources([name.format(folder=folder)])


def test_a_folder_with_nothing_readable_is_an_error_that_names_the_first_reason(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\0")
    (tmp_path / "b.png").write_bytes(b"\0")
    with pytest.raises(CorpusError, match=r"nothing readable: .*a\.png: binary.* \(and 1 more\)"):
        find_sources([str(tmp_path)])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text"), ("a", "text"), ("a.json", "text"), ("a.ABC", "abc"), ("a.midi", "midi"),
        ("a.krn", "score"), ("a.mxl", "score"), ("a.csv", "csv"), ("a.tsv.gz", "tsv"), ("a.ndjson", "jsonl"),
    ],
)  # fmt: skip
def test_the_kind_of_a_file_follows_from_its_suffix(name, kind):
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [("<?xml version='1.0'?><score-partwise>", "score"), ("<?xml version='1.0'?><html>", "text")],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_is_a_score_if_it_says_so(tmp_path, content, kind, encoding):
    (tmp_path / "a.xml").write_bytes(content.encode(encoding))
    assert kind_of(tmp_path / "a.xml") == kind


@pytest.mark.parametrize("content", [b"caf\xc3\xa9", "caf\u00e9".encode("utf-16")])
def test_text_of_unknown_suffix_is_text(tmp_path, content):
    (tmp_path / "a.xyz").write_bytes(content)
    assert [source.kind for source in find_sources([str(tmp_path / "a.xyz")]).sources] == ["text"]


def test_a_nul_byte_in_a_text_file_does_not_make_it_binary(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"a\0b"))
    assert len(find_sources([str(tmp_path)]).sources) == 2


def pipe(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"Once upon a time", "text"),
        (b"% a tune\nX: 1\nT:Tune\nK:G\nGABc\n", "abc"),
        (b"MThd\0\0\0\6", "midi"),
        (b"x" * 100_000, "text"),
    ],
)
def test_standard_input_is_kept_to_be_read_more_than_once(monkeypatch, content, kind):
    pipe(monkeypatch, content)
    (source,) = find_sources(["-"]).sources
    assert (source.kind, source.name) == (kind, "standard input")
    assert source.path.read_bytes() == source.path.read_bytes() == content


def test_the_copy_of_standard_input_goes_with_its_source(monkeypatch):
    pipe(monkeypatch, b"text")
    found = find_sources(["-"])
    path = found.sources[0].path
    del found
    assert not path.exists()


def test_empty_standard_input_is_an_error(monkeypatch):
    pipe(monkeypatch, b"")
    with pytest.raises(CorpusError, match="standard input is empty"):
        find_sources(["-"])


@pytest.mark.parametrize(
    ("mark", "message"), [("index.json", "holds an index, not"), ("artifact.yaml", "holds a model, not")]
)
def test_a_result_of_seqgen_is_no_corpus(folder, mark, message):
    (folder / mark).write_text("{}")
    with pytest.raises(CorpusError, match=message):
        find_sources([str(folder)])

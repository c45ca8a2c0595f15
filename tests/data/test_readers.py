import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.config import CorpusConfig
from seqgen.data import readers
from seqgen.data.blocks import pieces
from seqgen.data.readers import UnreadableError, read_blocks, utf8_chunks
from seqgen.data.sources import Source, kind_of
from seqgen.errors import ConfigError
from tests.data.real import real


def read(path, **config):
    source = Source(path, kind_of(path), str(path), packed=path.suffix == ".gz")
    blocks = read_blocks(source, CorpusConfig(**config), on_skip=pytest.fail)
    return [piece.decode() for block in blocks for piece in pieces(block)]


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_a_byte_order_mark_is_dropped_and_line_ends_become_newlines(write):
    assert read(write("a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n")) == ["one\ntwo\nthree\n"]


@given(
    content=st.text(alphabet="a\r\né", max_size=30),
    size=st.integers(1, 5),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
)
def test_chunks_never_change_the_text(content, size, encoding):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "_CHUNK_BYTES", size)
        found = b"".join(utf8_chunks(io.BytesIO(content.encode(encoding)), encoding))
    assert found.decode() == content.replace("\r\n", "\n").replace("\r", "\n")


def test_nul_and_other_control_characters_are_kept(write):
    assert read(write("a.txt", b"a\0b\x1b\x85c".replace(b"\x85", "\x85".encode()))) == ["a\0b\x1b\x85c"]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_invalid_utf8_is_told_with_its_byte(size, monkeypatch):
    path = real("utf8_stress/UTF-8-test.txt")
    monkeypatch.setattr(readers, "_CHUNK_BYTES", size)
    with pytest.raises(UnreadableError, match="not UTF-8") as caught:
        read(path)
    assert caught.value.place == "byte 4461"


@given(content=st.binary(max_size=20), size=st.integers(1, 6))
def test_the_byte_told_is_where_python_fails_too(content, size):
    try:
        content.decode("utf-8")
        expected = None
    except UnicodeDecodeError as error:
        expected = f"byte {error.start}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "_CHUNK_BYTES", size)
        try:
            list(utf8_chunks(io.BytesIO(content), "utf-8"))
            found = None
        except UnreadableError as error:
            found = error.place
    assert found == expected


def test_utf16_without_its_encoding_is_recognised(write):
    with pytest.raises(UnreadableError, match="give --encoding utf-16"):
        read(write("a.txt", "hello".encode("utf-16")))


def test_another_encoding_is_read(write):
    assert read(write("a.txt", "café".encode("latin-1")), encoding="latin-1") == ["café"]


def test_a_byte_outside_another_encoding_is_told(write):
    with pytest.raises(UnreadableError, match="not ascii") as caught:
        read(write("a.txt", b"caf\xe9"), encoding="ascii")
    assert caught.value.place == "byte 3"


def test_an_unknown_encoding_is_an_error_that_names_some(write):
    with pytest.raises(ConfigError, match="--encoding klingon: unknown; try utf-8"):
        read(write("a.txt", b"a"), encoding="klingon")


def test_gzip_is_unpacked(write):
    assert read(write("a.txt.gz", gzip.compress(b"one\ntwo\n")), documents="lines") == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"plain text", "not gzip data"),
        (gzip.compress(b"text" * 1000, mtime=0)[:30], "cut short"),
        (gzip.compress(bytes(range(256)), mtime=0)[:-20] + b"\0" * 20, "damaged|not gzip data"),
    ],
)
def test_broken_gzip_is_told(write, content, reason):
    with pytest.raises(UnreadableError, match=reason):
        read(write("a.txt.gz", content))


def test_an_abc_file_is_read_as_text_tune_by_tune():
    tunes = read(real("nottingham_abc/ABC_cleaned/morris.abc"))
    assert len(tunes) > 20
    assert all(tune.startswith("X:") and tune.endswith("\n") for tune in tunes)


def test_topics_are_read_without_being_run(write):
    path = write("topics.py", b"topics = {'b': 'Bee\\n', 'a': 'Ay\\n'}\nraise SystemExit\n")
    source = Source(path, "topics", str(path))
    (block,) = read_blocks(source, CorpusConfig(), on_skip=pytest.fail)
    assert list(pieces(block)) == [b"Ay\n", b"Bee\n"]


def test_midi_holds_no_text(write):
    with pytest.raises(UnreadableError, match="--level note"):
        read(write("a.mid", b"MThd"))


def test_a_file_that_vanished_is_told():
    with pytest.raises(UnreadableError, match="No such file"):
        read(Path("gone.txt"))

import errno

import pytest

from seqgen.files import file_hash, missing, replacing, unreadable


def test_a_file_is_replaced_only_when_the_block_succeeds(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")

    def fail():
        with replacing(path) as aside:
            aside.write_text("half of the ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    with replacing(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["kept"]


def test_folders_on_the_way_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b") as aside:
        aside.write_text("x")
    assert (tmp_path / "a" / "b").read_text() == "x"


def test_the_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_full_disk_is_told_with_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_told_with_the_likely_name(tmp_path):
    (tmp_path / "book.txt").write_text("x")
    assert (
        missing(tmp_path / "Bok.txt")
        == f"{tmp_path}/Bok.txt: no such file; did you mean {tmp_path}/book.txt?"
    )
    assert missing(tmp_path / "tune.abc") == f"{tmp_path}/tune.abc: no such file; check its name and folder"
    assert missing(tmp_path / "a" / "b").endswith(f"/a/b: no such file; there is no folder {tmp_path}/a")
    told = missing(tmp_path / "m", what="model", otherwise="`seqgen train` makes one")
    assert told == f"{tmp_path}/m: no such model; `seqgen train` makes one"


def test_why_a_file_cannot_be_read_is_told(tmp_path):
    assert unreadable(tmp_path, IsADirectoryError()) == f"{tmp_path}: a folder; name a file in it"
    assert (
        unreadable(tmp_path / "x", OSError(errno.EIO, "broken")) == f"{tmp_path}/x: cannot be read (broken)"
    )

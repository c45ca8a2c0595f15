import errno

import pytest

from seqgen.files import file_hash, replacing


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

"""Where commands write: whatever the command, folders on the way are made, and no file is put in a file."""

import pytest

from seqgen.cli.app import run
from tests.sampling.models import TUNE

FILES = [
    "vocab book.txt -o",
    "sample m -o",
    "sample m --receipt",
    "replay receipt.json -o",
    "score m book.txt -o",
    "report m -o",
    "compare book.txt --plot",
    "memory copy --plot",
    "memory copy --flow",
    "inspect gradients m book.txt --plot",
    "inspect neighbours m a --plot",
    "inspect gates m abc -o",
    "translate m --attention-plot",
]
FOLDERS = [
    "train book.txt -o",
    "train book.txt -o m --tensorboard",
    "index book.txt --vocab v.json -o",
    "compare book.txt -o",
    "memory copy -o",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "there.html").mkdir()
    (tmp_path / "tune.abc").write_text(TUNE)
    return tmp_path


@pytest.mark.parametrize("command", [*FILES, *FOLDERS, "convert tune.abc"])
def test_a_place_within_a_file_is_refused_before_any_work(folder, capfd, command):
    assert run([*command.split(), "taken/new/x.mid"]) == 1
    told = "taken/new/x.mid: taken is a file, not a folder; choose another place"
    assert capfd.readouterr() == ("", f"seqgen: error: {told}\n")


@pytest.mark.parametrize("command", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused_before_any_work(folder, capfd, command):
    assert run([*command.split(), "there.html"]) == 1
    assert capfd.readouterr() == ("", "seqgen: error: there.html: a folder; name a file in it\n")


def test_folders_on_the_way_are_made(folder):
    assert run(["convert", "tune.abc", "a/b/tune.mid"]) == 0
    assert (folder / "a" / "b" / "tune.mid").is_file()

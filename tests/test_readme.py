"""The README's commands, run as they stand, on small corpora and short budgets."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.cli.app import run
from tests.corpora import sentences

README = Path(__file__).parents[1] / "README.md"
LECTURE = README.parent / "docs" / "lecture.md"
TUNE = """X:{number}
T:Reel {number}
M:4/4
L:1/8
K:D
|: A2FA dAFA | Bcd{note} A3F | G2BG F2AF | E2EF GFED :|
|: f2fe d2dB | AFAB d2{note}2 | g2ge f2fd | edBc d4 :|

"""
SMALL = "--epochs 2 --hidden-size 16 --embedding-size 8 --device cpu"


def commands(document=README):
    """Return the seqgen commands of a document, continued lines joined, in order."""
    blocks = re.findall(r"```console\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.S)
    text = "\n".join(blocks).replace("\\\n", " ")
    return [line[2:] for line in text.splitlines() if re.match(r"\$ (seqgen |.*\| seqgen )", line)]


def test_the_readme_shows_the_main_commands():
    shown = {shlex.split(command)[1] for command in commands()}
    assert {"train", "sample", "evaluate", "vocab", "index", "corpus"} <= shown


@pytest.mark.parametrize(
    "page", [README, *sorted((README.parent / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_is_linked_from_the_readme_or_another_page():
    pages = {page.name: page.read_text(encoding="utf-8") for page in (README.parent / "docs").glob("*.md")}
    shown = README.read_text(encoding="utf-8") + "".join(pages.values())
    assert [name for name in pages if f"{name})" not in shown] == []


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with small stand-ins for every corpus that the README names."""
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pydoc").write_text("\n".join(sentences(150)))
    (tmp_path / "book.txt").write_text("\n".join(sentences(150)))
    (tmp_path / "names.txt").write_text("\n".join(sentences(100, seed=1)))
    english = sentences(100, seed=2)
    (tmp_path / "english.txt").write_text("\n".join(english[:3]) + "\n")
    (tmp_path / "pairs.tsv").write_text("".join(f"{text}\t{text.upper()}\n" for text in english))
    reviews = [f"{text}\t{'long' if len(text) > 25 else 'short'}" for text in sentences(100, seed=2)]
    (tmp_path / "reviews.tsv").write_text("\n".join(reviews))
    (tmp_path / "unread.txt").write_text("the cat sat on a mat.\na rat.\n")
    shutil.copytree(README.parent / "models", tmp_path / "models")  # those that come along
    (tmp_path / "fiddle").mkdir()
    book = "".join(TUNE.format(number=k + 1, note="ABdefg"[k % 6]) for k in range(60))
    (tmp_path / "fiddle" / "reels.abc").write_text(book)
    (tmp_path / "chorales").mkdir()
    pieces = [[[72 + k % 5, 67, 60, 48 + k % 7], [74, 65, 59, 43 + k]] * 8 for k in range(12)]
    parts = {"train": pieces[:8], "valid": pieces[8:10], "test": pieces[10:]}
    (tmp_path / "chorales" / "frames.json").write_text(json.dumps(parts))
    return tmp_path


def check(command, capsys):
    """Run a command on the stand-ins, with a small budget; in this process if it has no pipes."""
    small = re.sub(r"--minutes [\d.]+", SMALL, command)
    if "--task classify" in small and "--cell bow" in small:  # which has no hidden units
        small = small.replace("--hidden-size 16 ", "")
    if " corpus " not in small:
        small = re.sub(r"(?<= )(?=(pydoc|fiddle|chorales|tinyshakespeare)( |$))", "./", small)
    if " compare " in small:
        small = re.sub(re.escape(SMALL), "--minutes 0.01", small)
    if not re.search(r"[|<>]", small):
        code, told = run(shlex.split(small)[1:]), capsys.readouterr().err
    else:
        small = small.replace("seqgen ", f"{shlex.quote(sys.executable)} -m seqgen ", 1)
        done = subprocess.run(small, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
        code, told = done.returncode, done.stderr
    assert code == 0, f"{command}\n{told}"


def test_every_command_of_the_readme_runs(workplace, capsys):
    for command in commands():
        if " corpus fetch " not in command:  # that is tested with a server of its own
            check(command, capsys)


@pytest.mark.slow
def test_every_command_of_the_lecture_runs(workplace, capsys):
    (workplace / "tinyshakespeare").write_text("\n".join([*sentences(400), "ROMEO: the king"] * 4))
    (workplace / "page.txt").write_text("\n".join(sentences(20)))
    for command in commands(LECTURE):
        if " corpus fetch " not in command:
            check(re.sub(r"--distances \S+", "--distances 2,4 --steps 5", command), capsys)

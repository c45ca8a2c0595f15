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
from tests.cli.helps import HELPS
from tests.corpora import sentences

README = Path(__file__).parents[1] / "README.md"
LECTURE = README.parent / "docs" / "lecture.md"
ITALIAN = LECTURE.with_name("lecture.it.md")
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
    if small.startswith("seqgen memory ") and "--distances" not in small:
        small += " --steps 2 --distances 5"
    if not re.search(r"[|<>]", small):
        code, told = run(shlex.split(small)[1:]), capsys.readouterr().err
    else:
        small = small.replace("seqgen ", f"{shlex.quote(sys.executable)} -m seqgen ", 1)
        done = subprocess.run(small, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
        code, told = done.returncode, done.stderr
    assert code == 0, f"{command}\n{told}"


def examples(capsys):
    """Return the example of every command's help."""
    for command in HELPS:
        run([*command, "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        yield re.search(r"Example: (.*?) (Arguments|Options):", shown)[1]


def test_every_command_of_the_readme_runs_and_then_every_example_of_the_helps(workplace, capsys):
    pytest.importorskip("matplotlib")
    for command in [*commands(), *examples(capsys)]:
        if " corpus fetch " not in command:  # that is tested with a server of its own
            check(command, capsys)


@pytest.mark.slow
def test_every_command_of_the_lecture_runs(workplace, capsys):
    (workplace / "tinyshakespeare").write_text("\n".join([*sentences(400), "ROMEO: the king"] * 4))
    (workplace / "page.txt").write_text("\n".join(sentences(20)))
    for command in commands(LECTURE):
        if " corpus fetch " not in command:
            check(re.sub(r"--distances \S+", "--distances 2,4 --steps 5", command), capsys)


UNTRANSLATED = {
    "pictures": r"!\[[^]]*\]\(([^)\s]+)",
    "links": r"(?<!!)\[[^]]*\]\((?!lecture(?:\.it)?\.md\))([^)]+)",
    "equations": r"^ {4}.*$|\$[^$]+\$",
    "code": r"`[^`]+`",
    "sections": r"^#+(?: \d+\.)?",
}
"""What a translated page has in common with its original, besides its fenced blocks."""
ORDERED = {"blocks", "pictures", "equations", "sections"}
"""These come in the same order; links and code move within a sentence from language to language."""


def untranslated(text):
    """Return by kind what a translation leaves as it is: commands, outputs, equations and the like."""
    fence = r"^```.*?^```$"
    prose = re.sub(fence, "", text, flags=re.M | re.S)
    kinds = {kind: re.findall(pattern, prose, flags=re.M) for kind, pattern in UNTRANSLATED.items()}
    kinds["blocks"] = re.findall(fence, text, flags=re.M | re.S)
    return {kind: found if kind in ORDERED else sorted(found) for kind, found in kinds.items()}


def test_the_italian_lecture_differs_from_the_english_one_in_prose_alone():
    english, italian = (untranslated(page.read_text(encoding="utf-8")) for page in (LECTURE, ITALIAN))
    assert len(english["blocks"]) == LECTURE.read_text(encoding="utf-8").count("```") / 2 > 10
    assert len(english["sections"]) > 10
    assert italian == english


def test_a_change_of_any_one_block_of_the_lecture_is_noticed():
    text = LECTURE.read_text(encoding="utf-8")
    kept = untranslated(text)
    for block in re.findall(r"(?<=```console\n)[^`]+(?=```)", text):
        assert untranslated(text.replace(block, block.rstrip("\n") + " --seed 9\n")) != kept


PAGE = """# Memory

[In italiano](lecture.it.md)

## 1. A cell

```console
$ seqgen memory copy
right
```

![The RNN forgets](images/memory.png)

    c = f * c + i * g

The state $h_t$ is kept by `gates.py` ([memory.md](memory.md)).
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("copy", "adding"), ("right", "giusto"), ("console", "text"), ("images/memory", "images/copy"),
        ("c + i", "c - i"), ("h_t", "c_t"), ("gates.py", "porte.py"), ("(memory.md)", "(inside.md)"),
        ("## 1.", "## 2."), ("## ", "### "), ("## 1. A cell\n", ""),
    ],
)  # fmt: skip
def test_what_is_not_prose_may_not_differ_between_languages(old, new):
    assert PAGE.replace(old, new) != PAGE
    assert untranslated(PAGE.replace(old, new)) != untranslated(PAGE)


def test_prose_headings_and_captions_are_translated():
    italian = PAGE
    for old, new in [
        ("# Memory", "# La memoria"), ("In italiano](lecture.it.md", "In English](lecture.md"),
        ("A cell", "Una cella"), ("The RNN forgets", "La RNN dimentica"), ("The state", "Lo stato"),
        ("is kept by", "è conservato da"),
    ]:  # fmt: skip
        assert old in italian
        italian = italian.replace(old, new)
    assert untranslated(italian) == untranslated(PAGE)

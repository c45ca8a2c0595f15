import json
import os

import pytest

from seqgen.cli.app import run

REEL = "|: A2FA dAFA | Bcdc A3F | G2BG F2AF | E2EF GFED :|\n"
HIGHER = "|: B2GB eBGB | cded B3G | A2cA G2BG | F2FG AGFE :|\n"  # the reel one tone up, in E
CHANGED = "|: A2FA dAFA | Bcdc A3F | G2BG F2AF | E2EF D4 :|\n"
OTHER = "| e3c ecac | d3B dBgB | cBAB cdef | e2 a2 a2 z2 |]\n"


def tune(number, music, key="D", meter="4/4"):
    return f"X:{number}\nT:Tune {number}\nM:{meter}\nL:1/8\nK:{key}\n{music}\n"


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    music = [
        tune(1, REEL),
        tune(2, REEL),
        tune(3, HIGHER, key="E"),
        tune(4, CHANGED),
        tune(5, OTHER, key="Am"),
        tune(6, "| e3c ecac d | dcBA GFED |]\n", key="G"),
        tune(7, "abc | 7 |\n"),
    ]
    (tmp_path / "book.abc").write_text("".join(music))


def record(capsys):
    assert run(["doctor", "book.abc", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_read_and_what_is_not_is_counted_and_placed(capsys):
    found = record(capsys)
    assert found["tunes"] == 6
    assert found["skipped"] == [
        {"name": "book.abc", "place": "line 48", "reason": "the number 7 belongs to no note"}
    ]


def test_bars_that_do_not_add_up_are_named_by_tune_and_bar(capsys):
    assert record(capsys)["faults"] == [
        {"tune": "book.abc:36 Tune 6", "faults": ["bar 1 is 9/8 long in 4/4"]}
    ]


def test_the_same_tune_is_found_in_its_key_in_another_and_changed(capsys):
    found = record(capsys)
    assert found["same"] == [["book.abc:1 Tune 1", "book.abc:8 Tune 2"]]
    assert found["transposed"] == [["book.abc:1 Tune 1", "book.abc:15 Tune 3"]]
    (alike,) = found["alike"]
    places = ("book.abc:1", "book.abc:8", "book.abc:15", "book.abc:22")
    assert alike["tunes"] == [f"{place} Tune {number}" for number, place in enumerate(places, 1)]
    assert 0.5 <= alike["share"] < 1


def test_tunes_that_are_not_alike_are_in_groups_of_their_own(tmp_path, capsys):
    changed = OTHER.replace("e2 a2 a2 z2", "e2 a2 a4")
    music = [tune(k, m) for k, m in enumerate((REEL, OTHER, CHANGED, changed), 1)]
    (tmp_path / "book.abc").write_text("".join(music))
    groups = [[label.split()[-1] for label in group["tunes"]] for group in record(capsys)["alike"]]
    assert sorted(groups) == [["1", "3"], ["2", "4"]]


def test_a_folder_is_named_once_and_what_is_no_music_in_one_line(tmp_path, capsys):
    folder = tmp_path / "collection"
    (folder / "more").mkdir(parents=True)
    (tmp_path / "book.abc").rename(folder / "book.abc")
    (folder / "more" / "reel.abc").write_text(tune(1, OTHER, key="Am"))
    (folder / "more" / "jig.abc").write_text(tune(1, "| D4 E4 | F4 G4 |]\n"))
    for name in ("PROVENANCE.md", "README"):
        (folder / name).write_text("Where these tunes are from.\n")
    assert run(["doctor", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.count(str(folder)) == 1
    assert f"\nplaces are those in {folder}\n" in out
    lines = out.splitlines()
    assert "  book.abc: line 48: the number 7 belongs to no note" in lines
    assert "files without music: PROVENANCE.md, README" in lines
    assert f"  book.abc:29 Tune 5 = more{os.sep}reel.abc:1 Tune 1" in lines


def test_histograms_count_every_tune_once(capsys):
    found = record(capsys)["histograms"]
    assert found["key"] == {"D-major": 3, "A-minor": 1, "E-major": 1, "G-major": 1}
    assert found["meter"] == {"4/4": 6}
    assert all(sum(counts.values()) == 6 for counts in found.values())


def test_the_report_is_for_people(capsys):
    assert run(["doctor", "book.abc"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("6 tunes read, ")
    assert "  book.abc: line 48: the number 7 belongs to no note" in lines
    assert "  book.abc:36 Tune 6: bar 1 is 9/8 long in 4/4" in lines
    assert any(line.startswith(" D-major ") and line.rstrip().endswith("█") for line in lines)


@pytest.fixture
def letter(tmp_path):
    lines = ["Dear Anna, how are you today?", "", "so\x0clong", "e\u0301te", "Dear Anna, how are you today?"]
    (tmp_path / "letter.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "broken.txt").write_bytes(b"good\nbad \xff\n")


def test_a_text_is_counted_and_what_cannot_be_read_is_placed(letter, capsys):
    assert run(["doctor", "letter.txt", "broken.txt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["documents"], found["lines"], found["empty_lines"]) == (1, 5, 1)
    assert found["characters"] == 29 + 7 + 4 + 29
    assert [item["name"] for item in found["skipped"]] == ["broken.txt"]
    assert "byte 9" in found["skipped"][0]["reason"] + found["skipped"][0]["place"]
    assert sum(found["histograms"]["characters a line"].values()) == 5
    assert sum(found["histograms"]["characters"].values()) == found["characters"]


def test_what_looks_wrong_in_a_text_is_named_with_its_line(letter, capsys):
    assert run(["doctor", "letter.txt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["faults"] == [
        "letter.txt:3: a control character (U+000C), once",
        "letter.txt:4: characters in parts that NFC joins, in 1 lines; "
        "seqgen joins them unless told --normalize none",
    ]
    assert found["repeated"] == [
        {"place": "letter.txt:1", "text": "Dear Anna, how are you today?", "times": 2}
    ]


def test_places_in_a_folder_of_texts_are_told_without_it(letter, tmp_path, capsys):
    assert run(["doctor", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.count(str(tmp_path)) == 1
    assert "  2 x  letter.txt:1: Dear Anna, how are you today?" in out.splitlines()


def test_rows_of_a_table_are_documents_and_lines_of_a_text(tmp_path, capsys):
    (tmp_path / "table.tsv").write_text("text\tyear\nred\t1\nblue\t2\nred\t3\n")
    assert run(["doctor", "table.tsv", "--column", "text", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["documents"], found["lines"], found["distinct_characters"]) == (3, 3, 6)


def test_the_report_on_a_text_is_for_people(letter, capsys):
    assert run(["doctor", "letter.txt"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("read as text: 1 document, 5 lines (1 empty), 69 characters")
    assert "  2 x  letter.txt:1: Dear Anna, how are you today?" in out.splitlines()


def test_a_book_of_tunes_with_a_readme_is_music(tmp_path, capsys):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "reel.abc").write_text(tune(1, REEL))
    (tmp_path / "books" / "README.md").write_text("Tunes of my village.\n")
    assert run(["doctor", "books"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 tune read, ")
    assert "files without music: README.md" in out


def test_tables_end_with_their_last_count(letter, capsys):
    assert run(["doctor", "letter.txt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("characters a line")
    assert [line.split()[0] for line in lines[start + 1 : start + 4]] == ["0", "1-20", "21-50"]
    assert lines[start + 4] == ""


def test_empty_tracks_and_voices_that_end_early_are_told(tmp_path, capsys):
    music = "V:1\nCDEF GABc|CDEF GABc|CDEF GABc|CDEF GABc|]\nV:2\nC8|C8|\nV:3\nz8|z8|z8|z8|]\n"
    (tmp_path / "voices.abc").write_text(tune(1, music, key="C"))
    assert run(["doctor", "voices.abc", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["faults"] == [
        {
            "tune": "voices.abc:1 Tune 1",
            "faults": ["voice 2 ends in bar 2 of 4", "1 tracks without notes"],
        }
    ]

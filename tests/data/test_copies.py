"""Copies of training tunes in other keys and at other speeds."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from seqgen.config import build_config
from seqgen.data.copies import CopiedTunes
from seqgen.data.indexing import build_vocab, ensure_index
from seqgen.data.tunes import Tunes, numbers_of, split_tunes
from seqgen.errors import ConfigError
from seqgen.music.encodings import note_encoding
from seqgen.music.preparing import Variation
from seqgen.music.transposing import KEYS, pitch_of

LETTERS = "CDEFGABcdefg"


def tune(number, key="D", low=0):
    draw = np.random.default_rng(number)
    notes = [LETTERS[low + k] for k in draw.integers(0, 8, 12)]
    bars = "|".join("".join(notes[k : k + 4]) for k in (0, 4, 8))
    return f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/4\nK:{key}\n{bars}|]\n\n"


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text("".join(tune(number, "DGA"[number % 3]) for number in range(1, 61)))
    return path


def index(path, notify=lambda message: None, **config):
    config.setdefault("index", {"split": [70, 15, 15]})
    return ensure_index([str(path)], build_config(config), notify=notify)


def documents(made, part):
    tokens, edges = made.tokens(part), made.documents(part)
    return [list(made.tokenizer.decode_tokens(tokens[a:b].tolist())) for a, b in pairwise(edges)]


def steps(document):
    """What a copy shares with its tune: the intervals."""
    pitches = [pitch_of(token) for token in document if token.startswith("Pitch_")]
    return tuple(np.diff(pitches).tolist())


def test_only_the_training_part_gets_copies(book):
    plain, copied = index(book), index(book, corpus={"transpose": "-3:3"})
    assert copied.counts("train")["documents"] == 7 * plain.counts("train")["documents"]
    assert copied.counts("train")["notes"] == 7 * plain.counts("train")["notes"]
    for part in ("valid", "test"):
        assert documents(copied, part) == documents(plain, part)
        assert copied.counts(part)["documents"] > 0


def test_copies_have_the_same_intervals_in_every_key(book):
    plain, copied = index(book), index(book, corpus={"transpose": "-5:6"})
    found = Counter(map(steps, documents(copied, "train")))
    assert found == Counter(dict.fromkeys(map(steps, documents(plain, "train")), 12))
    keys = {token for document in documents(copied, "train") for token in document if token[:4] == "Key_"}
    assert len(keys) == 12


def test_a_tune_in_another_key_is_on_the_same_side(tmp_path):
    path = tmp_path / "twice.abc"
    path.write_text("".join(tune(number, key) for key in "CDEFGA" for number in range(1, 31)))
    # Letters mean other intervals in another mode, but the same ones in another major key.
    made = index(path)
    sides = {}
    for part in ("train", "valid", "test"):
        for document in documents(made, part):
            raised = [t for t in document if t.startswith("Pitch_")]
            sides.setdefault(steps(document), set()).add(part)
            assert raised
    assert len(sides) < 180
    assert all(len(found) == 1 for found in sides.values())
    assert set.union(*sides.values()) == {"train", "valid", "test"}


def made_tunes(*lines):
    tunes = Tunes(note_encoding("melody"))
    for number, line in enumerate(lines):
        tunes.add("train" if number else "valid", f"T{number}", line)
    return tunes


def test_all_keys_stay_within_the_range_of_the_training_part():
    head = "Key_C-major Meter_4/4 Unit_1"
    tunes = made_tunes(f"{head} Pitch_C2", f"{head} Pitch_C4 Pitch_C5", f"{head} Pitch_E4 Pitch_G4")
    split = split_tunes(tunes, (1, 1, 0))[1]
    copied = list(CopiedTunes(tunes, split, Variation(shifts=tuple(range(-5, 7)), within_range=True)))
    names = list(tunes.symbols)
    pitches = [[pitch_of(names[s]) for s in tune.symbols if names[s][:5] == "Pitch"] for tune in copied]
    assert sorted(pitches[:-1]) == sorted([[60, 72], *([64 + n, 67 + n] for n in range(-4, 6))])
    assert pitches[-1] == [36]


def test_every_voice_of_a_chorale_stays_within_its_own_range():
    tunes = Tunes(note_encoding("chorale", {"grid": 1, "voices": 2}))
    tunes.add("train", "wide", "Bar_| Pitch_72 Pitch_48 Pitch_79 Pitch_50")
    tunes.add("train", "narrow", "Pitch_74 Pitch_49 Hold Rest")
    split = split_tunes(tunes, (1, 0, 0))[1]
    copied = list(CopiedTunes(tunes, split, Variation(shifts=tuple(KEYS), within_range=True)))
    names = list(tunes.symbols)
    found = sorted(tuple(names[s] for s in tune.symbols) for tune in copied)
    assert [tokens for tokens in found if len(tokens) == 4] == [
        ("Pitch_73", "Pitch_48", "Hold", "Rest"),
        ("Pitch_74", "Pitch_49", "Hold", "Rest"),
        ("Pitch_75", "Pitch_50", "Hold", "Rest"),
    ]
    assert len(found) == 4


def test_a_pass_holds_every_tune_once_in_various_keys(book):
    plain, copied = index(book), index(book, corpus={"transpose": "-1:1"})
    count = plain.counts("train")["documents"]
    shapes = [steps(document) for document in documents(copied, "train")]
    for start in (0, count, 2 * count):
        assert Counter(shapes[start : start + count]) == Counter(map(steps, documents(plain, "train")))
    titles = (copied.path / "train.titles").read_text().splitlines()
    assert any("(+1)" in title for title in titles[:count])
    assert any("(-1)" in title for title in titles[:count])


def test_durations_are_stretched_and_bars_add_up(book):
    made = index(book, corpus={"stretch": "1/2"})
    plain = index(book)
    lengths = Counter(
        note.duration
        for document in documents(made, "train")
        for note in made.tokenizer.encoding.decode(document).parts[0].notes
    )
    notes = plain.counts("train")["notes"]
    assert lengths == {Fraction(1): notes, Fraction(1, 2): notes}
    meters = Counter(token for document in documents(made, "train") for token in document if "Meter" in token)
    assert set(meters) == {"Meter_4/4", "Meter_4/8"}


def test_in_c_everything_is_moved(book):
    made = index(book, corpus={"transpose": "C"})
    for part in ("train", "valid", "test"):
        assert {document[0] for document in documents(made, part)} == {"Key_C-major"}


def test_what_was_made_is_told_and_kept_in_the_index(book):
    told = []
    made = index(book, told.append, corpus={"transpose": "-1:1", "stretch": "2"})
    (line,) = [line for line in told if "copies" in line]
    count = made.counts("train")["documents"]
    assert line.startswith(f"{count // 6} training tunes are {count} with their copies: ")
    assert made.config["corpus"]["transpose"] == "-1:1"
    assert made.config["corpus"]["stretch"] == "2"


def test_the_vocabulary_holds_the_tokens_of_copies(book):
    config = build_config({"corpus": {"transpose": "1:1"}, "index": {"split": [70, 15, 15]}})
    summary = build_vocab([str(book)], config)
    assert {"Key_Eb-major", "Key_Ab-major", "Key_Bb-major"} <= set(summary.tokenizer.tokens)
    assert summary.counts["train"]["unknown"] == 0


def test_one_long_tune_is_cut_before_it_is_copied(tmp_path):
    path = tmp_path / "long.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nK:C\n" + "|".join("CDEF" for _ in range(30)) + "|]\n")
    made = index(path, corpus={"transpose": "1:2"})
    plain = index(path)
    assert made.counts("train")["notes"] == 3 * plain.counts("train")["notes"]
    assert documents(made, "valid") == documents(plain, "valid")


def test_without_a_training_part_nothing_is_copied(book):
    told = []
    config = build_config({"corpus": {"transpose": "all"}, "index": {"split": [0, 0, 1]}})
    made = ensure_index([str(book)], config, tokenizer=index(book).tokenizer, notify=told.append)
    assert made.counts("test")["documents"] == 60
    assert not any("copies" in line for line in told)


def test_text_has_no_keys(tmp_path):
    (tmp_path / "a.txt").write_text("words " * 100)
    with pytest.raises(ConfigError, match="--transpose is for corpora of music"):
        index(tmp_path / "a.txt", corpus={"transpose": "all"})
    with pytest.raises(ConfigError, match="--parts is for corpora of music"):
        index(tmp_path / "a.txt", corpus={"parts": "melody"})


def test_symbols_of_a_document_are_its_tokens():
    tunes = made_tunes("Pitch_C4 Pitch_D4 Pitch_C4")
    assert numbers_of(tunes.documents[0]).tolist() == [0, 1, 0]

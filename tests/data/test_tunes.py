import os
import signal
from fractions import Fraction

import numpy as np
import pytest

from seqgen.config import CorpusConfig, build_config
from seqgen.data import pool, tunes
from seqgen.data.corpus import open_corpus
from seqgen.data.index import PARTS
from seqgen.data.indexing import ensure_index
from seqgen.data.notes import NoteTokenizer
from seqgen.data.tokenizers import load_tokenizer, make_tokenizer, ranked_vocab
from seqgen.data.tunes import choose_encoding, read_tunes, split_tunes
from seqgen.errors import TokenError
from seqgen.music.encodings import note_encoding
from seqgen.music.read import parse_unit, split_music
from tests.data.real import real

NOTES = "CDEFGABcdefgab"
CHORD = "X:1\nT:Chords\nM:4/4\nL:1/4\nK:C\n[CEG] [CEG] [CEG] [CEG]|\n"


def tune(number, title="Tune"):
    """Return a tune of two bars whose notes spell its number."""
    pitches = [NOTES[number // len(NOTES) ** k % len(NOTES)] for k in range(8)]
    first, second = "".join(pitches[:4]), "".join(pitches[4:])
    return f"X:{number}\nT:{title} {number}\nM:4/4\nL:1/4\nK:C\n{first}|{second}|]\n\n"


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text("".join(tune(number) for number in range(1, 101)))
    return path


def corpus_of(path, **config):
    return open_corpus([str(path)], CorpusConfig(**config), level="note")


def index(path, notify=lambda message: None, **config):
    return ensure_index([str(path)], build_config(config), notify=notify)


def test_every_tune_of_a_file_is_a_document(book):
    made = index(book, vocab={"notes": "melody"})
    assert sum(made.counts(part)["documents"] for part in PARTS) == 100
    assert sum(made.counts(part)["notes"] for part in PARTS) == 800
    assert made.counts("train")["chars"] == made.counts("train")["bytes"] == 0
    assert made.tokenizer.level == "note"
    assert made.tokenizer.modality == "music"


def test_tunes_come_back_from_the_index(book):
    made = index(book, index={"split": [1, 0, 0]})
    edges = made.documents("train")
    tokens = made.tokens("train")
    first = made.tokenizer.decode(tokens[edges[0] : edges[1]].tolist())
    assert tokens[edges[1] - 1] == 0
    written = parse_unit(split_music(book)[0])
    assert [n.pitch for n in first.parts[0].notes] == [n.pitch for n in written.parts[0].notes]
    assert {note.duration for note in first.parts[0].notes} == {Fraction(1)}


def test_equal_music_lies_in_one_part_whatever_its_title(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text("".join(tune(number % 40 + 1, title=f"Version {number} of") for number in range(160)))
    how, stretches = split_tunes(read_tunes(corpus_of(path), note_encoding("melody")), (70, 15, 15))
    assert how == "hash"
    parts = {}
    for stretch in stretches:
        parts.setdefault(tuple(stretch.symbols.tolist()), set()).add(stretch.part)
    assert len(parts) == 40
    assert all(len(found) == 1 for found in parts.values())


def test_too_few_tunes_are_each_cut_at_a_bar(tmp_path):
    bars = "|".join("CDEF" for _ in range(30))
    (tmp_path / "long.abc").write_text(f"X:1\nT:Long\nM:4/4\nL:1/4\nK:C\n{bars}|]\n")
    read = read_tunes(corpus_of(tmp_path / "long.abc"), note_encoding("melody"))
    how, stretches = split_tunes(read, (80, 10, 10))
    names = list(read.symbols)
    assert how == "position"
    assert [stretch.part for stretch in stretches] == [0, 1, 2]
    assert [stretch.closes for stretch in stretches] == [False, False, True]
    assert [names[stretch.symbols[0]][:4] for stretch in stretches[1:]] == ["Bar_", "Bar_"]
    assert sum(stretch.notes for stretch in stretches) == 120
    assert np.concatenate([s.symbols for s in stretches]).tolist() == read.documents[0].tolist()


def test_single_lines_are_written_as_melody_and_chords_as_remi(book, tmp_path):
    (tmp_path / "chords.abc").write_text(CHORD)
    told = []
    assert index(book, notify=told.append).tokenizer.encoding.name == "melody"
    assert index(tmp_path / "chords.abc", notify=told.append).tokenizer.encoding.name == "remi"
    assert [line for line in told if line.startswith("note encoding")] == [
        "note encoding melody (single-line tunes); --notes chooses",
        "note encoding remi (several parts, or played); --notes chooses",
    ]


def test_a_few_tunes_that_do_not_suit_melody_are_named(book):
    with book.open("a") as file:
        file.write(CHORD)
    corpus = corpus_of(book)
    encoding = choose_encoding(corpus, "auto")
    read = read_tunes(corpus, encoding)
    assert (encoding.name, len(read.documents)) == ("melody", 100)
    (skipped,) = corpus.skipped
    assert skipped.name == str(book)
    assert skipped.place == "line 701"
    assert "--notes remi" in skipped.reason


def test_a_broken_tune_is_named_with_its_line_and_the_others_are_read(book):
    with book.open("a") as file:
        file.write("X:101\nT:Empty\nM:4/4\nK:C\n\n" + tune(102))
    corpus = corpus_of(book)
    assert len(read_tunes(corpus, note_encoding("melody")).documents) == 101
    assert [item.place for item in corpus.skipped] == ["line 701"]


def test_files_that_are_no_music_inside_are_named(tmp_path):
    (tmp_path / "a.abc").write_text(tune(1))
    (tmp_path / "b.abc").write_text("just a letter\n")
    (tmp_path / "c.mid").write_bytes(b"MThd\0\0")
    (tmp_path / "d.musicxml").write_text("<score-partwise>")
    corpus = corpus_of(tmp_path)
    assert len(read_tunes(corpus, note_encoding("melody")).documents) == 1
    assert [item.name for item in corpus.skipped] == [
        f"{tmp_path}/{name}" for name in ("b.abc", "c.mid", "d.musicxml")
    ]
    assert all(item.reason for item in corpus.skipped)


def test_readings_are_kept_until_a_file_changes(book, tmp_path, monkeypatch):
    (tmp_path / "other.abc").write_text(tune(7))
    before = read_tunes(corpus_of(tmp_path), note_encoding("melody"))
    parsed = []
    monkeypatch.setattr(tunes, "parse_unit", lambda unit: parsed.append(unit) or parse_unit(unit))
    again = read_tunes(corpus_of(tmp_path), note_encoding("melody"))
    assert again.documents == before.documents
    assert parsed == []
    (tmp_path / "other.abc").write_text(tune(8))
    read_tunes(corpus_of(tmp_path), note_encoding("melody"))
    assert [unit.path.name for unit in parsed] == ["other.abc"]


def test_readings_of_an_older_reader_are_not_used(book, monkeypatch):
    read_tunes(corpus_of(book), note_encoding("melody"))
    parsed = []
    monkeypatch.setattr(pool, "WORTH_A_POOL", 10**6)
    monkeypatch.setattr(tunes, "parse_unit", lambda unit: parsed.append(unit) or parse_unit(unit))
    monkeypatch.setattr(tunes, "code_hash", lambda *folders: "0" * 64)
    read_tunes(corpus_of(book), note_encoding("melody"))
    assert len(parsed) == 100


def test_parsing_in_processes_equals_parsing_in_place(book, monkeypatch, tmp_path):
    pooled = read_tunes(corpus_of(book), note_encoding("melody"))
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(pool, "WORTH_A_POOL", 10**6)
    alone = read_tunes(corpus_of(book), note_encoding("melody"))
    assert alone.documents == pooled.documents
    assert alone.symbols == pooled.symbols


def die_on_tune_50(unit, **_):
    if unit.text.startswith("X:50"):
        os.kill(os.getpid(), signal.SIGKILL)
    return tunes.Reading("Pitch_C4")


def test_a_tune_that_crashes_the_reader_is_named_and_the_others_are_read(book, monkeypatch):
    monkeypatch.setattr(tunes, "_read_unit", die_on_tune_50)
    monkeypatch.setattr(pool, "_CHUNK", 3)
    corpus = corpus_of(book)
    read = read_tunes(corpus, note_encoding("melody"))
    assert len(read.documents) == 99
    assert [str(item) for item in corpus.skipped] == [f"{book}: line 344: the reader crashed on it"]


@pytest.fixture
def tokenizer():
    options = {"notes": "melody", "parameters": {}}
    tokens = [
        "Key_C-major",
        "Meter_4/4",
        "Unit_1",
        "Beat_2",
        "Bar_|",
        "Bar_|]",
        *(f"Pitch_{step}4" for step in "CDEFGAB"),
    ]
    return make_tokenizer(ranked_vocab("note", dict.fromkeys(tokens, 1), options=options))


def test_a_piece_is_encoded_and_comes_back(tokenizer, tmp_path):
    (tmp_path / "a.abc").write_text("X:1\nT:A\nM:4/4\nL:1/4\nK:C\nCDEF|GABG|]\n")
    piece = parse_unit(split_music(tmp_path / "a.abc")[0])
    ids = tokenizer.encode(piece)
    assert 1 not in ids
    assert [note.pitch.name for note in tokenizer.decode([0, *ids, 0]).parts[0].notes] == [
        "C4", "D4", "E4", "F4", "G4", "A4", "B4", "G4",
    ]  # fmt: skip


def test_unknown_note_tokens_are_id_1_and_left_out_when_decoded(tokenizer):
    assert tokenizer.encode_tokens(["Pitch_C4", "Pitch_C9"]).tolist()[1] == 1
    assert list(tokenizer.decode_tokens([1, 0, 2])) == [tokenizer.tokens[2]]


def test_text_is_refused_and_notes_are_not_streamed(tokenizer):
    with pytest.raises(TokenError, match="cannot encode text"):
        tokenizer.encode("CDE")
    with pytest.raises(TokenError, match="cannot be streamed"):
        tokenizer.stream()


def test_a_saved_note_tokenizer_loads_with_its_encoding(tokenizer, tmp_path):
    remi = note_encoding("remi", {"grid": 8})
    options = {"notes": remi.name, "parameters": remi.parameters()}
    made = make_tokenizer(ranked_vocab("note", {"Bar_None": 1}, options=options))
    made.save(tmp_path / "vocab.json")
    loaded = load_tokenizer(tmp_path / "vocab.json")
    assert isinstance(loaded, NoteTokenizer)
    assert loaded.encoding == remi


@pytest.mark.slow
def test_every_nottingham_tune_is_read_or_named():
    corpus = corpus_of(real("nottingham_abc"))
    read = read_tunes(corpus, choose_encoding(corpus, "auto"))
    named = [item for item in corpus.skipped if item.place]
    assert len(read.documents) + len(named) == 1034

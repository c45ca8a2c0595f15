import errno
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from seqgen.config import build_config
from seqgen.data import corpus, encoding, indexing, writer
from seqgen.data.index import METADATA, PARTS, TokenIndex, is_index
from seqgen.data.indexing import build_vocab, ensure_index
from seqgen.data.tokenizers import byte_vocab, make_tokenizer, ranked_vocab
from seqgen.errors import ArtifactError, ConfigError, CorpusError, TokenError
from tests.data.real import real

TEXT = "Once upon a time there was a character model.\nIt read, and it wrote.\n\n" * 40


def index(*names, notify=lambda message: None, tokenizer=None, path=None, **config):
    return ensure_index(
        [str(name) for name in names], build_config(config), tokenizer=tokenizer, path=path, notify=notify
    )


def documents(index, part):
    """Decode every document of a part, and tell which of them end with EOS."""
    tokens, edges = index.tokens(part), index.documents(part)
    pieces = [tokens[a:b] for a, b in pairwise(edges)]
    return [(index.tokenizer.decode(piece.tolist()), bool(piece[-1] == 0)) for piece in pieces]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {number} is here\n" for number in range(400)))
    return path


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
def test_an_index_holds_the_text_cut_at_its_shares(text, level):
    made = index(text, vocab={"level": level}, index={"split": [80, 10, 10]})
    edges = [0, int(0.8 * len(TEXT)), int(0.9 * len(TEXT)), len(TEXT)]
    for part, start, end in zip(PARTS, edges, edges[1:], strict=False):
        (found,) = documents(made, part)
        expected = TEXT[start:end]
        if level == "word":  # a word cut in two may be unknown
            assert len(found[0]) == pytest.approx(len(expected), abs=8)
        else:
            assert found == (expected, part == "test")


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
def test_every_document_is_closed_by_eos_and_none_is_lost(lines, level):
    made = index(lines, corpus={"documents": "lines"}, vocab={"level": level, "min_count": 1})
    found = [document for part in PARTS for document in documents(made, part)]
    assert all(closed for _, closed in found)
    if level in ("byte", "subword"):
        assert sorted(text for text, _ in found) == sorted(lines.read_text().splitlines())
    assert len(found) == 400


def test_the_vocabulary_is_counted_in_the_training_part_alone(tmp_path):
    (tmp_path / "a.txt").write_text("a" * 90 + "b" * 10)
    made = index(tmp_path / "a.txt", index={"split": [90, 10, 0]})
    assert list(made.tokenizer.tokens) == ["<eos>", "<unk>", "a"]
    assert made.counts("valid")["unknown"] == 10


def test_ids_take_the_smallest_type(tmp_path, text):
    assert index(text).dtype == np.uint8
    assert index(text, vocab={"level": "byte"}).dtype == np.uint16
    (tmp_path / "han.txt").write_text("".join(map(chr, range(0x4E00, 0x4E00 + 254))))
    assert index(tmp_path / "han.txt", index={"split": [1, 0, 0]}).dtype == np.uint8
    (tmp_path / "han.txt").write_text("".join(map(chr, range(0x4E00, 0x4E00 + 255))))
    assert index(tmp_path / "han.txt", index={"split": [1, 0, 0]}).dtype == np.uint16


def test_tokens_are_mapped_and_read_only(text):
    tokens = index(text).tokens("train")
    assert isinstance(tokens, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_characters_bytes_and_unknown_tokens_are_counted(tmp_path):
    (tmp_path / "a.txt").write_text("né" * 45 + "xœ" * 5, encoding="utf-8")
    made = index(tmp_path / "a.txt", index={"split": [90, 10, 0]})
    assert made.counts("train") == {
        "tokens": 90, "documents": 1, "chars": 90, "bytes": 135, "notes": 0, "unknown": 0,
    }  # fmt: skip
    assert made.counts("valid") == {
        "tokens": 11, "documents": 1, "chars": 10, "bytes": 15, "notes": 0, "unknown": 10,
    }  # fmt: skip
    assert made.counts("test") == dict.fromkeys(made.counts("test"), 0)


@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("kind", ["files", "lines", "paragraphs"])
def test_large_corpora_are_indexed_as_small_ones_are(monkeypatch, tmp_path, level, kind):
    path = real("canterbury/alice29.txt")
    small = index(path, vocab={"level": level}, corpus={"documents": kind}, path=tmp_path / "small")
    monkeypatch.setattr(encoding, "WORTH_COMPILING", 0)
    monkeypatch.setattr("seqgen.data.building.WORTH_COMPILING", 0)
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "other"))
    large = index(path, vocab={"level": level}, corpus={"documents": kind}, path=tmp_path / "large")
    assert small.tokenizer.content_hash == large.tokenizer.content_hash
    for part in PARTS:
        assert small.counts(part) == large.counts(part)
        assert (small.tokens(part) == large.tokens(part)).all()
        assert (small.documents(part) == large.documents(part)).all()


def test_an_unchanged_corpus_is_hashed_but_not_read(monkeypatch, text):
    first = index(text)
    monkeypatch.setattr(corpus, "read_blocks", lambda *_, **__: pytest.fail("read again"))
    again = index(text)
    assert again.path == first.path
    text.rename(text.with_name("renamed.txt"))
    assert index(text.with_name("renamed.txt")).path == first.path


def test_what_older_code_made_is_made_again(text, monkeypatch):
    first = index(text)
    monkeypatch.setattr(indexing, "code_hash", lambda *folders: "0" * 64)
    again = index(text)
    assert again.path != first.path
    assert again.content_hash == first.content_hash


def test_a_changed_corpus_is_indexed_anew(text):
    first = index(text)
    text.write_text(TEXT.replace("Once", "Then"))
    second = index(text)
    assert first.content_hash != second.content_hash
    assert documents(second, "train")[0][0].startswith("Then")


def test_the_cached_index_equals_the_one_made_with_its_vocabulary(text):
    built = index(text)
    assert index(text, tokenizer=built.tokenizer).path == built.path


@pytest.mark.parametrize("damage", ["train.ids", "valid.documents", METADATA, "vocab.json"])
def test_a_damaged_index_in_the_cache_is_made_again(text, damage):
    made = index(text)
    (made.path / damage).write_bytes(b"")
    again = index(text)
    assert documents(again, "test") == documents(index(text), "test")
    assert again.counts("train")["tokens"] == int(0.9 * len(TEXT))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "train.ids").write_bytes(b"abc"), "train.ids: 3 bytes instead of"),
        (lambda path: (path / "test.documents").unlink(), "test.documents: missing"),
        (lambda path: (path / METADATA).write_text("{"), "index.json: damaged"),
        (lambda path: (path / METADATA).write_text("{}"), "not the metadata of an index"),
        (lambda path: make_tokenizer(byte_vocab()).save(path / "vocab.json"), "not the one of this index"),
    ],
)
def test_a_damaged_index_directory_is_refused(text, tmp_path, damage, message):
    path = index(text, path=tmp_path / "idx").path
    damage(path)
    with pytest.raises(ArtifactError, match=message):
        index(path)


def test_an_index_of_a_newer_format_is_refused(text, tmp_path):
    path = index(text, path=tmp_path / "idx").path
    record = json.loads((path / METADATA).read_text()) | {"format": 99}
    (path / METADATA).write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="format 99, this seqgen reads up to 1; upgrade"):
        TokenIndex.open(path)


def test_no_index_says_how_to_make_one(tmp_path):
    with pytest.raises(ArtifactError, match="`seqgen index CORPUS --vocab PATH -o"):
        TokenIndex.open(tmp_path / "none")


def test_an_index_directory_is_a_corpus(text, tmp_path):
    made = index(text, path=tmp_path / "idx")
    assert index(tmp_path / "idx").content_hash == made.content_hash
    with pytest.raises(ConfigError, match="an index of level char, not word"):
        index(tmp_path / "idx", vocab={"level": "word"})
    with pytest.raises(TokenError, match="made with another vocabulary"):
        index(tmp_path / "idx", tokenizer=make_tokenizer(byte_vocab()))


def test_an_index_is_replaced_by_a_new_one_but_nothing_else_is(text, tmp_path):
    path = tmp_path / "idx"
    index(text, path=path)
    index(text, path=path, vocab={"level": "word"})
    assert TokenIndex.open(path).tokenizer.level == "word"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="exists and is not an index"):
        index(text, path=tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_vocabulary_of_another_corpus_is_refused_and_nothing_is_left(text, tmp_path):
    stranger = make_tokenizer(ranked_vocab("char", {"я": 1, " ": 1}, options={"normalize": "nfc"}))
    with pytest.raises(TokenError, match=r"\(8\d\.\d%\) are not in the vocabulary; it was made from"):
        index(text, tokenizer=stranger, path=tmp_path / "idx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "text.txt"]


def test_a_few_unknown_tokens_are_told(text):
    most = make_tokenizer(
        ranked_vocab("char", dict.fromkeys(set(TEXT) - {"w"}, 1), options={"normalize": "nfc"})
    )
    told = []
    made = index(text, tokenizer=most, notify=told.append)
    assert any("are not in the vocabulary and read as <unk>" in line for line in told)
    assert sum(made.counts(part)["unknown"] for part in PARTS) == TEXT.count("w")


def test_a_vocabulary_of_another_level_or_modality_is_refused(text):
    with pytest.raises(TokenError, match="of level byte, not word"):
        index(text, tokenizer=make_tokenizer(byte_vocab()), vocab={"level": "word"})
    notes = make_tokenizer(
        ranked_vocab("note", {"Pitch_C4": 1}, options={"notes": "melody", "parameters": {}})
    )
    with pytest.raises(CorpusError, match="holds no music"):
        index(text, tokenizer=notes)


def test_a_full_disk_leaves_nothing_half_written(text, tmp_path, monkeypatch):
    class FullDisk(writer.PartWriter):
        def add(self, stretch):
            super().add(stretch)
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "PartWriter", FullDisk)
    with pytest.raises(OSError, match="No space left") as caught:
        index(text, path=tmp_path / "idx")
    assert caught.value.filename == str(tmp_path / "idx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "text.txt"]


def test_the_report_lies_beside_the_index(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(TEXT)
    (tmp_path / "in" / "b.txt").write_bytes(b"\xff")
    told = []
    made = index(tmp_path / "in", corpus={"on_error": "skip"}, notify=told.append)
    report = json.loads((made.path / "corpus-report.json").read_text())
    assert report["documents"] == 1
    assert report["skipped"][0]["name"] == str(tmp_path / "in" / "b.txt")
    assert report["skipped"][0]["place"] == "byte 0"
    assert any("b.txt: byte 0: not UTF-8" in line for line in told)


def test_choices_made_for_the_user_are_told(text, tmp_path):
    told = []
    index(text, notify=told.append)
    index(text, vocab={"level": "subword"}, notify=told.append)
    (tmp_path / "spaced.txt").write_text("the end , he said . " * 100)
    index(tmp_path / "spaced.txt", vocab={"level": "word"}, notify=told.append)
    index(text, tmp_path / "spaced.txt", notify=told.append)
    index(text, index={"split": [1, 0, 0]}, notify=told.append)
    text.write_text("ab")
    index(text, notify=told.append)
    for part in (
        "level char, as the corpus is text; --level chooses",
        "the text is too small for 8,000 subwords: the vocabulary has",
        "the text is already split at spaces",
        "2 documents are too few to divide: each is cut where its share ends",
        "the valid part is empty",
    ):
        assert sum(part in line for line in told) >= 1, part


def test_parts_that_a_corpus_brings_are_kept(cache):
    folder = cache / "corpora" / "wikitext2"
    folder.mkdir(parents=True)
    for part in PARTS:
        (folder / f"wiki.{part}.tokens").symlink_to(real(f"wikitext2/wiki.{part}.tokens"))
    told = []
    made = index("wikitext2", vocab={"level": "word"}, index={"split": [1, 1, 1]}, notify=told.append)
    assert "the corpus comes in parts of its own; --split is not used" in told
    counts = {part: (made.counts(part)["tokens"], made.counts(part)["unknown"]) for part in PARTS}
    assert counts == {"train": (2_088_629, 0), "valid": (217_647, 0), "test": (245_570, 0)}  # one EOS a part
    assert len(made.tokenizer.tokens) == 33_280  # 33,278 with the line end, and our <eos> and <unk>


def test_the_configuration_in_an_index_says_what_was_chosen(text):
    config = index(text, vocab={"lowercase": True}).config
    assert config["vocab"]["level"] == "char"
    assert config["vocab"]["lowercase"] is True
    assert config["index"]["split"] == [90.0, 5.0, 5.0]
    assert build_config(dict(config)).corpus.documents == "files"


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({"level": "byte", "lowercase": True}, "--lowercase has no meaning at level byte; it is for char"),
        ({"level": "subword", "min_count": 2}, "--min-count has no meaning at level subword"),
        ({"level": "char", "subword": "bpe"}, "--subword has no meaning at level char"),
        ({"level": "word", "notes": "remi"}, "--notes has no meaning at level word"),
    ],
)
def test_options_that_would_be_ignored_are_refused(text, vocab, message):
    with pytest.raises(ConfigError, match=message):
        index(text, vocab=vocab)


def test_a_vocabulary_can_be_bounded(text):
    assert len(index(text, vocab={"max_size": 10}).tokenizer.tokens) == 10
    rare = index(text, vocab={"min_count": 41})
    assert min(rare.tokenizer.counts[2:]) >= 41
    with pytest.raises(TokenError, match="no token is frequent enough"):
        index(text, vocab={"min_count": 10**6})


def test_a_training_part_without_text_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(TokenError, match="the training part is empty"):
        index(tmp_path / "a.txt")


def test_a_vocabulary_is_told_with_what_it_covers(text):
    summary = build_vocab([str(text)], build_config({"vocab": {"level": "subword", "max_size": 300}}))
    assert summary.documents == 1
    assert summary.how == "position"
    assert sum(summary.tokenizer.counts) == summary.counts["train"]["tokens"]
    assert summary.tokenizer.counts[0] == 0


def test_only_the_user_s_own_place_is_written_to(text, tmp_path, cache):
    made = index(text)
    assert made.path.is_relative_to(cache)
    assert is_index(made.path)
    assert not list(Path(cache).rglob("*.part"))

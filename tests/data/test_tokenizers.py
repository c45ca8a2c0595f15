import json
from collections import Counter
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.normalization import _normalize_runs, is_inert, nfc
from seqgen.data.tokenizers import byte_vocab, load_tokenizer, make_tokenizer, ranked_vocab
from seqgen.errors import TokenError
from tests.data.real import real

NFC = {"normalize": "nfc", "lowercase": False}
any_text = st.text(max_size=60)
marked_text = st.text(alphabet="eaĞ \u0301\u0327\u0323\u1100\u1161\u11a8가각\u09c7\u09beÅ", max_size=30)


def chars(text, **options):
    return make_tokenizer(ranked_vocab("char", Counter(text), options=NFC | options))


def streamed(tokenizer, ids):
    decoder = tokenizer.stream()
    return "".join([decoder.feed(int(i)) for i in ids]) + decoder.flush()


@given(any_text | marked_text)
def test_characters_come_back_in_normal_form(text):
    tokenizer = chars(normalize("NFC", text))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == normalize("NFC", text)
    assert streamed(tokenizer, ids) == normalize("NFC", text)
    assert len(ids) == len(normalize("NFC", text))


@given(any_text)
def test_characters_come_back_as_they_were_without_normalisation(text):
    tokenizer = chars(text, normalize="none")
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(any_text)
def test_bytes_come_back_as_they_were(text):
    tokenizer = make_tokenizer(byte_vocab())
    ids = tokenizer.encode(text)
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text
    assert streamed(tokenizer, ids) == text


@given(st.lists(st.integers(0, 256)))
def test_any_bytes_decode_to_some_text(ids):
    tokenizer = make_tokenizer(byte_vocab())
    text = tokenizer.decode(ids)
    assert streamed(tokenizer, ids) == text
    text.encode()


def test_a_stream_returns_a_character_with_its_last_byte():
    tokenizer = make_tokenizer(byte_vocab())
    decoder = tokenizer.stream()
    assert [decoder.feed(int(i)) for i in tokenizer.encode("a€")] == ["a", "", "", "€"]


def test_an_unfinished_character_shows_as_a_replacement():
    tokenizer = make_tokenizer(byte_vocab())
    decoder = tokenizer.stream()
    decoder.feed(int(tokenizer.encode("€")[0]))
    assert decoder.flush() == "\ufffd"


def test_frequent_characters_come_first_and_ties_by_code_point():
    tokenizer = chars("bbaac")
    assert list(tokenizer.tokens) == ["<eos>", "<unk>", "a", "b", "c"]
    assert list(tokenizer.counts) == [0, 0, 2, 2, 1]


@pytest.mark.parametrize("stranger", ["x", "é", "\U0001f600"])
def test_unknown_characters_are_id_1_and_decode_to_a_replacement(stranger):
    tokenizer = chars("abc")
    ids = tokenizer.encode(f"a{stranger}b")
    assert ids.tolist() == [2, 1, 3]
    assert ids.dtype == np.uint32
    assert tokenizer.decode(ids) == "a\ufffdb"


def test_eos_decodes_to_nothing():
    tokenizer = chars("ab")
    assert tokenizer.decode([0, 2, 0, 3, 0]) == "ab"


def test_lowercase_is_an_option_of_the_vocabulary():
    assert chars("ab", lowercase=True).encode("AB").tolist() == [2, 3]


def test_a_piece_of_music_is_refused_as_text():
    with pytest.raises(TokenError, match="level note"):
        chars("ab").encode(object())


@given(marked_text)
def test_normalising_runs_is_normalising_the_whole(text):
    assert _normalize_runs(text) == normalize("NFC", text)


def test_runs_are_normalised_as_the_unicode_conformance_test_says():
    lines = real("utf8_stress/NormalizationTest.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(";") for line in lines if line and line[0] not in "#@"]
    assert len(rows) > 15_000
    for row in rows:
        source, composed = ("".join(chr(int(code, 16)) for code in cell.split()) for cell in row[:2])
        assert _normalize_runs(f"x{source}") == normalize("NFC", f"x{composed}")


def test_long_texts_are_normalised_as_short_ones_are():
    text = "naïve e\u0301 \u1100\u1161\u11a8 " * 90_000
    assert len(text) > 1 << 20
    assert nfc(text) == normalize("NFC", text)


def test_marks_and_medial_letters_are_not_inert_but_syllables_and_ideographs_are():
    assert [is_inert(char) for char in ["a", "é", "中", "각", "́", "ᅡ", "া"]] == [True] * 4 + [False] * 3


@pytest.mark.parametrize(
    "vocab", [byte_vocab(), ranked_vocab("char", Counter('a"\\\n\x00\u2028é😀'), options=NFC)]
)
def test_a_saved_tokenizer_loads_as_the_same(vocab, tmp_path):
    make_tokenizer(vocab).save(tmp_path / "deep" / "vocab.json")
    loaded = load_tokenizer(tmp_path / "deep" / "vocab.json")
    assert list(loaded.tokens) == list(vocab.tokens)
    assert list(loaded.counts) == list(vocab.counts)
    assert loaded.content_hash == vocab.content_hash


def test_the_hash_covers_tokens_and_options_but_not_counts():
    first = ranked_vocab("char", {"a": 2, "b": 1}, options=NFC)
    assert first.content_hash == ranked_vocab("char", {"a": 9, "b": 1}, options=NFC).content_hash
    assert first.content_hash != ranked_vocab("char", {"a": 1, "b": 2}, options=NFC).content_hash
    assert first.content_hash != ranked_vocab("char", {"a": 2, "b": 1}, options={}).content_hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(tokens=record["tokens"][::-1]), "damaged"),
        (lambda record: record["tokens"].__setitem__(2, "z"), "changed since it was written"),
        (lambda record: record.update(format=99), "format 99, this seqgen reads up to 1; upgrade"),
        (lambda record: record.update(kind="recipe"), "not a vocabulary"),
        (lambda record: record.pop("options"), "damaged"),
    ],
)
def test_a_changed_vocabulary_is_refused(tmp_path, change, message):
    path = tmp_path / "vocab.json"
    chars("ab").save(path)
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(TokenError, match=message) as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1, 2]", b"hello"])
def test_a_foreign_file_is_no_vocabulary(tmp_path, content):
    (tmp_path / "vocab.json").write_bytes(content)
    with pytest.raises(TokenError, match="not a vocabulary"):
        load_tokenizer(tmp_path / "vocab.json")


def test_a_missing_vocabulary_says_how_to_make_one(tmp_path):
    with pytest.raises(TokenError, match="seqgen vocab CORPUS -o"):
        load_tokenizer(tmp_path / "none.json")


def test_an_unknown_level_asks_for_a_newer_seqgen():
    with pytest.raises(TokenError, match="level rune is unknown"):
        make_tokenizer(ranked_vocab("rune", {"a": 1}))

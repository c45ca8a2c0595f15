import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.config import build_config
from seqgen.data.indexing import ensure_index
from seqgen.data.suffixes import SuffixArray, sort_suffixes
from seqgen.sampling.novelty import Copy, Novelty, Originals, open_originals
from tests.data.plain_suffixes import longest_match

NONE = np.zeros(0, np.int64)


def originals_of(text):
    array = np.array(text, np.uint8)
    suffixes = SuffixArray(array, sort_suffixes(array), NONE)
    return Originals(None, suffixes, lambda tokens: (tokens.astype(np.int64), np.arange(len(tokens))))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=50), st.lists(st.integers(0, 3), max_size=30))
def test_every_match_is_the_longest_that_plain_search_finds(text, query):
    found = originals_of(text).compare(np.array(query, np.uint8), np.array([0, len(query)]))
    assert found.places.tolist() == [k for k, token in enumerate(query) if token]
    for place, length, source in zip(found.places.tolist(), found.lengths, found.sources, strict=True):
        assert length == longest_match(text, query, place)
        assert (
            source == -1 if length == 0 else text[source : source + length] == query[place : place + length]
        )


def test_copies_are_listed_longest_first_and_none_within_another():
    lengths = np.array([2, 5, 4, 3, 2, 1, 0, 2, 1, 3])
    found = Novelty(np.arange(10), lengths, np.arange(10) + 30)
    assert found.longest(9, least=2) == [Copy(1, 5, 31), Copy(9, 3, 39), Copy(7, 2, 37)]
    assert found.longest(1) == [Copy(1, 5, 31)]
    assert found.cover(3).tolist() == [0, 5, 5, 5, 5, 5, 0, 0, 0, 3]
    assert found.share(3) == pytest.approx(0.6)


def make_index(path, **config):
    return ensure_index([str(path)], build_config(config))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


def test_the_place_of_a_copy_is_told_by_document_and_line(tmp_path):
    (tmp_path / "a").mkdir()
    for name, text in {"1": "nothing of it\n" * 9, "2": "first\nsecond\nthe third line\n" * 9}.items():
        (tmp_path / "a" / f"{name}.txt").write_text(text)
    index = make_index(tmp_path / "a", index={"split": [100, 0, 0]})
    originals = open_originals(index)
    query = index.tokenizer.encode("§the third line")
    found = originals.compare(query, np.array([0, len(query)]))
    assert found.lengths.tolist() == [0, *range(14, 0, -1)]
    (place,) = originals.locate([int(found.sources[1])])
    assert place.document == 2
    assert place.line % 3 == 0
    assert place.title == ""


def test_an_unknown_symbol_matches_nothing_even_where_the_corpus_has_one(tmp_path):
    (tmp_path / "a.txt").write_text("aab€aab" * 20)
    index = make_index(tmp_path / "a.txt", vocab={"min_count": 30}, index={"split": [100, 0, 0]})
    query = index.tokenizer.encode("aa€aa")
    assert query.tolist().count(1) == 1
    found = open_originals(index).compare(query, np.array([0, len(query)]))
    assert found.lengths.tolist() == [2, 1, 0, 2, 1]


TUNES = """X:1
T:The Fields
M:4/4
L:1/8
K:C
CDEF GABc | cBAG FEDC | EGce dcBA | G4 c4 |]

X:2
T:The Hills
M:4/4
L:1/8
K:D
DFAd dAFD | EGBe eBGE | FAdf fdAF | D8 |]
"""
MOVED = "X:1\nT:Moved\nM:4/4\nL:1/8\nK:C\n{notes} |]\n"


def test_a_transposed_tune_is_found_with_its_title(tmp_path):
    (tmp_path / "tunes.abc").write_text(TUNES)
    index = make_index(tmp_path / "tunes.abc", index={"split": [100, 0, 0]})
    (tmp_path / "moved.abc").write_text(MOVED.format(notes="CEGc cGEC | DFAd dAFD"))  # The Hills, a tone down
    config = build_config({"index": {"split": [0, 0, 100]}})
    moved = ensure_index([str(tmp_path / "moved.abc")], config, tokenizer=index.tokenizer)
    originals = open_originals(index)
    found = originals.compare(moved.tokens("test"), moved.documents("test"))
    assert found.lengths[0] == 16
    (place,) = originals.locate([int(found.sources[0])])
    assert (place.title, place.document) == ("The Hills", 2)
    assert index.titles("train") == ["The Fields", "The Hills"]

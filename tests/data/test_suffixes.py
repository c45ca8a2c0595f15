import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.config import build_config
from seqgen.data.indexing import ensure_index
from seqgen.data.suffixes import SUFFIXES, close_documents, ensure_suffixes, sort_suffixes
from seqgen.kernels.suffixes import find, longest_suffixes
from tests.data.plain_suffixes import occurrences
from tests.data.real import real


def plain_order(text):
    return sorted(range(len(text)), key=lambda k: list(text[k:]))


def make_index(path, text, **config):
    path.write_text(text)
    return ensure_index([str(path)], build_config(config))


@pytest.mark.parametrize(
    ("dtype", "largest"), [(np.uint8, 3), (np.uint16, 3), (np.uint16, 700), (np.uint32, 70_000)]
)
def test_suffixes_are_sorted_whatever_the_type_of_the_ids(dtype, largest):
    draw = np.random.default_rng(5)
    text = draw.integers(0, largest + 1, 230).astype(dtype)
    text[100:150] = text[:50]
    assert sort_suffixes(text).tolist() == plain_order(text.tolist())


def test_no_suffixes_of_no_text():
    assert sort_suffixes(np.zeros(0, np.uint16)).tolist() == []


def test_more_tokens_than_bytes_keep_their_order():
    text = np.concatenate([np.arange(300), np.arange(300)[::-1]]).astype(np.uint16)
    assert sort_suffixes(text).tolist() == plain_order(text.tolist())


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.lists(st.integers(0, 3), max_size=8))
def test_a_pattern_is_found_where_plain_search_finds_it(text, pattern):
    array = np.array(text, dtype=np.uint8)
    order = sort_suffixes(array)
    low, high = find(array, order, np.array([9, *pattern, 9]), 1, 1 + len(pattern))
    expected = occurrences(text, pattern)
    if not pattern:
        expected = expected[: len(text)]  # the empty suffix is not in the array
    assert sorted(order[low:high].tolist()) == expected


@given(st.lists(st.integers(0, 2), min_size=1, max_size=50), st.lists(st.integers(0, 3), max_size=30))
def test_longest_suffixes_are_those_of_plain_search(text, query):
    array = np.array(text, dtype=np.uint8)
    order = sort_suffixes(array)
    starts, lows, highs, hits = (np.zeros(len(query), np.int64) for _ in range(4))
    state = np.array([0, 0, len(order)])
    half = len(query) // 2
    for first, stop in ((0, half), (half, len(query))):
        parts = [a[first:stop] for a in (starts, lows, highs, hits)]
        longest_suffixes(array, order, np.array(query, np.int64), first, stop, state, *parts)
    for place in range(len(query)):
        begin = max((k for k in range(place) if query[k] == 0), default=0)
        while begin < place and not occurrences(text, query[begin:place]):
            begin += 1
        assert starts[place] == begin
        found = sorted(order[lows[place] : highs[place]].tolist())
        assert found == occurrences(text, query[begin:place])[: len(text)]
        assert hits[place] == len(occurrences(text, query[begin : place + 1]))


def test_a_document_that_was_cut_off_is_closed():
    tokens = np.array([5, 6, 7, 8, 0, 9, 4], np.uint8)
    text, added = close_documents(tokens, np.array([0, 2, 5, 7]))
    assert text.tolist() == [5, 6, 0, 7, 8, 0, 9, 4]
    assert added.tolist() == [2]


def test_an_index_keeps_its_suffixes(tmp_path):
    index = make_index(tmp_path / "a.txt", "one two three two one\n" * 30)
    told = []
    made = ensure_suffixes(index, notify=told.append)
    again = ensure_suffixes(index, notify=told.append)
    assert len(told) == 1
    assert again.order.tolist() == made.order.tolist() == plain_order(index.tokens("train").tolist())


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign", "broken"])
def test_damaged_or_foreign_suffixes_are_made_again(tmp_path, damage):
    index = make_index(tmp_path / "a.txt", "abracadabra " * 40)
    expected = ensure_suffixes(index).order.tolist()
    path, metadata = index.path / SUFFIXES, index.path / "suffixes.json"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[17] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-4])
    elif damage == "foreign":
        metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"index": "other"}))
    else:
        metadata.write_text("{")
    told = []
    assert ensure_suffixes(index, notify=told.append).order.tolist() == expected
    assert len(told) == 1


def test_suffixes_of_a_real_text_are_in_order(tmp_path):
    index = ensure_index([str(real("tinyshakespeare/input.txt"))], build_config({}))
    array = ensure_suffixes(index)
    text = np.asarray(index.tokens("train")).tobytes()
    places = np.sort(np.random.default_rng(1).integers(0, len(text) - 1, 300))
    for k in places.tolist():
        a, b = array.order[k : k + 2].tolist()
        assert text[a : a + 500] < text[b : b + 500]

"""n-grams that leave out the token they predict, against counting everything else by hand."""

from collections import Counter

import numpy as np
import pytest

from seqgen.data import left_out
from seqgen.data.left_out import LeftOutNgrams
from seqgen.errors import ConfigError

VOCAB = 5
LONGEST = 3


@pytest.fixture(autouse=True)
def short_contexts(monkeypatch):
    monkeypatch.setattr(left_out, "LONGEST", LONGEST)


def text(length=200):
    """Return tokens that follow each other unevenly."""
    random = np.random.default_rng(1)
    return np.minimum(random.geometric(0.4, length) + np.arange(length) % 2, VOCAB).astype(np.uint16) - 1


def by_hand(tokens, place, longest):
    """Count what followed each context elsewhere in the text, and interpolate."""
    padded = [None] * LONGEST + tokens.tolist()
    found = np.full(VOCAB, 1 / VOCAB)
    for length in range(longest + 1):
        contexts = [tuple(padded[LONGEST + at - length : LONGEST + at]) for at in range(len(tokens))]
        others = Counter(
            int(tokens[at]) for at in range(len(tokens)) if at != place and contexts[at] == contexts[place]
        )
        if others:
            shorter = left_out.STRENGTH * len(others)
            counts = np.array([others[token] for token in range(VOCAB)])
            found = (counts + shorter * found) / (counts.sum() + shorter)
    return found


@pytest.mark.parametrize("longest", range(LONGEST + 1))
def test_rows_equal_counting_by_hand(longest, monkeypatch):
    monkeypatch.setattr(LeftOutNgrams, "longest", longest)
    tokens = text()
    places = np.array([[0, 1, 2], [77, 198, 199]])
    found = LeftOutNgrams(tokens, VOCAB).rows(places)
    assert found.shape == (2, 3, VOCAB)
    wanted = [[by_hand(tokens, place, longest) for place in row] for row in places.tolist()]
    assert found == pytest.approx(np.array(wanted), abs=1e-6)


def test_more_kinds_of_tokens_than_a_byte_holds_are_told_apart():
    tokens = 300 + text() * 256  # alike in their last byte
    few, many = LeftOutNgrams(text(), VOCAB), LeftOutNgrams(tokens, 1_400)
    assert few.longest == many.longest
    found = [model._data.followers[:, 1].tolist() for model in (few, many)]
    assert found[0] == found[1]


def test_threads_make_no_difference(monkeypatch):
    model = LeftOutNgrams(text(), VOCAB)
    found = []
    for rows in (1, 1000):
        monkeypatch.setattr(left_out, "_ROWS_A_THREAD", rows)
        found.append(model.rows(np.arange(200)))
    assert np.array_equal(*found)


def test_a_token_that_came_only_once_is_not_told():
    tokens = text() % (VOCAB - 1)
    tokens[100] = VOCAB - 1
    assert LeftOutNgrams(tokens, VOCAB).rows(np.array([100]))[0, VOCAB - 1] < 0.05


def test_padding_is_spread_evenly():
    assert LeftOutNgrams(text(), VOCAB).rows(np.array([-1]))[0] == pytest.approx([1 / VOCAB] * VOCAB)


def test_contexts_are_as_long_as_the_text_repays():
    random = np.random.default_rng(2)
    assert LeftOutNgrams(random.integers(0, VOCAB, 5_000), VOCAB).longest == 0
    assert LeftOutNgrams(np.tile([0, 1, 0, 2, 0, 0, 3], 700), VOCAB).longest == LONGEST


def test_a_vocabulary_too_large_to_hold_distributions_over_is_refused():
    with pytest.raises(ConfigError, match=r"--ngram-smoothing: for up to .* of 3,000; leave it out"):
        LeftOutNgrams(text(), 3_000)

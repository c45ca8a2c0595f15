from collections import Counter
from itertools import chain

import numpy as np
import pytest

from seqgen.data.kneser_ney import count_ngrams

V = 7


def draw_documents(seed, count, *, least=0):
    draw = np.random.default_rng(seed)
    shares = [0.4, 0.25, 0.15, 0.1, 0.07, 0.03]
    return [draw.choice(np.arange(1, V), draw.integers(least, 25), p=shares).tolist() for _ in range(count)]


def stream(documents, *, closed=True):
    tokens = [[*document, 0] if closed else document for document in documents]
    return np.array([*chain(*tokens)], np.uint8), np.cumsum([0, *map(len, tokens)])


class PlainKneserNey:
    """Dictionaries and recursion, as the papers have it."""

    def __init__(self, documents, order):
        self.order = order
        grams = Counter()
        for document in documents:
            text = [0, *document]
            for end in range(1, len(text)):
                for length in range(1, order + 1):
                    if end - length + 1 >= 0:
                        grams[tuple(text[end - length + 1 : end + 1])] += 1
        self.levels = []
        for length in range(1, order + 1):
            level = {}
            for gram, count in grams.items():
                if len(gram) == length:
                    before = {longer[0] for longer in grams if longer[1:] == gram}
                    raw = length == order or (length > 1 and gram[0] == 0)
                    level[gram] = count if raw else len(before)
            self.levels.append(level)

    def discounts(self, level):
        n = [sum(count == k for count in level.values()) for k in range(5)]
        if 0 in n[1:]:
            return [0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
        return [0, *(d if 0 < d < k else k / 2 for k, d in enumerate(found) if k)]

    def probability(self, history, token, length=None):
        """Return p(token | history); `history` begins with EOS."""
        length = min(self.order, len(history) + 1) if length is None else length
        if length == 0:
            return 1 / V
        context = tuple(history[len(history) - length + 1 :])
        level = self.levels[length - 1]
        followers = {gram: count for gram, count in level.items() if gram[:-1] == context}
        shorter = self.probability(history, token, length - 1)
        total = sum(followers.values())
        if not total:
            return shorter
        discounts = self.discounts(level)
        taken = sum(discounts[min(count, 3)] for count in followers.values())
        count = followers.get((*context, token), 0)
        return (count - discounts[min(count, 3)]) / total + taken / total * shorter


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [3, 60])
def test_probabilities_are_those_of_dictionaries(order, count):
    documents = draw_documents(1, count)
    plain = PlainKneserNey([[*document, 0] for document in documents], order)
    model = count_ngrams(*stream(documents), order=order, vocab_size=V)
    read = draw_documents(2, 4) + documents[:1]
    expected = [
        plain.probability([0, *document[:k]], token)
        for document in read
        for k, token in enumerate([*document, 0])
    ]
    assert model.probabilities(*stream(read)) == pytest.approx(expected)
    assert model.size == sum(map(len, plain.levels))


def test_the_discounts_of_a_larger_text_are_estimated():
    plain = PlainKneserNey(draw_documents(1, 60), 3)
    assert any(plain.discounts(level) != [0, 0.5, 1.0, 1.5] for level in plain.levels)


def test_a_document_without_an_end_tells_nothing_to_the_next():
    documents = draw_documents(3, 20, least=1)
    plain = PlainKneserNey(documents, 3)
    model = count_ngrams(*stream(documents, closed=False), order=3, vocab_size=V)
    read = draw_documents(4, 3, least=1)
    expected = [plain.probability([0, *document[:k]], t) for document in read for k, t in enumerate(document)]
    assert model.probabilities(*stream(read, closed=False)) == pytest.approx(expected)


@pytest.mark.parametrize("history", [[], [1], [6, 6, 6], [1, 2, 1, 1, 3]])
def test_probabilities_sum_to_one(history):
    model = count_ngrams(*stream(draw_documents(1, 60)), order=4, vocab_size=V)
    distribution = model.distribution(np.array(history, np.uint8))
    assert distribution.sum() == pytest.approx(1)
    assert distribution.min() > 0


def test_without_a_text_all_tokens_are_as_likely():
    model = count_ngrams(np.zeros(0, np.uint8), np.zeros(1, np.int64), order=3, vocab_size=V)
    assert model.distribution(np.array([1, 2], np.uint8)) == pytest.approx(np.full(V, 1 / V))


def test_a_token_that_follows_anything_is_likelier_than_one_as_frequent_after_the_same():
    documents = [[1, 2], [1, 2], [1, 2], [1, 3], [4, 3], [5, 3]]
    model = count_ngrams(*stream(documents), order=2, vocab_size=V)
    unseen_context = model.distribution(np.array([6], np.uint8))
    assert unseen_context[3] > unseen_context[2]


def test_an_order_below_one_is_a_mistake():
    with pytest.raises(ValueError, match="order 0"):
        count_ngrams(*stream([[1]]), order=0, vocab_size=V)

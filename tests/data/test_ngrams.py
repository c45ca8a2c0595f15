import numpy as np
import pytest

from seqgen.data import ngrams
from seqgen.data.ngrams import NgramModel, default_weights
from seqgen.data.suffixes import SuffixArray, sort_suffixes
from tests.data.plain_suffixes import contexts_of, counts_after

V = 5


def make_model(tokens):
    text = np.array(tokens, np.uint8)
    return NgramModel(SuffixArray(text, sort_suffixes(text), np.zeros(0, np.int64)), V)


def draw_text(seed, size):
    """Draw documents of the tokens 1 to 4, in which some stretches come again."""
    draw = np.random.default_rng(seed)
    text = draw.choice(V, size, p=[0.06, 0.44, 0.3, 0.15, 0.05])
    text[size // 2 : size // 2 + 30] = text[:30]
    return text.tolist()


def plain_probability(model, text, history, token):
    prob = 1 / V
    for context in contexts_of(text, history, ngrams.LONGEST_CONTEXT):
        counts = counts_after(text, context)
        total, distinct = sum(counts.values()), len(counts)
        if not total:
            continue
        depth, one = np.array([[len(context)]]), np.ones((1, 1), np.int64)
        (bucket,) = ngrams._classes(depth, total * one, distinct * one).ravel()
        weight = model.weights[bucket]
        prob = weight * counts.get(token, 0) / total + (1 - weight) * prob
    return prob


def test_probabilities_are_those_of_counting_by_hand():
    text, read = draw_text(1, 150), draw_text(2, 60)
    read[10:40] = text[20:50]  # a context longer than LONGEST_CONTEXT
    model = make_model(text)
    documents = np.append([0, *(np.flatnonzero(np.array(read) == 0) + 1)], len(read))
    probs = model.probabilities(np.array(read, np.uint8), np.unique(documents))
    expected = [plain_probability(model, text, [0, *read[:k]], read[k]) for k in range(len(read))]
    assert probs == pytest.approx(expected)


def test_a_document_that_was_cut_off_tells_nothing_to_the_next():
    text = draw_text(3, 120)
    model = make_model(text)
    read = np.array([1, 2, 1, 3, 1, 1, 2], np.uint8)
    probs = model.probabilities(read, np.array([0, 4, 7]))
    alone = model.probabilities(read[4:], np.array([0, 3]))
    assert len(probs) == 7
    assert probs[4:] == pytest.approx(alone)


def test_reading_in_pieces_changes_nothing(monkeypatch):
    model = make_model(draw_text(1, 150))
    read, documents = np.array(draw_text(4, 70), np.uint8), np.array([0, 70])
    whole = model.probabilities(read, documents)
    monkeypatch.setattr(ngrams, "_CHUNK", 7)
    assert model.probabilities(read, documents).tolist() == whole.tolist()


def test_a_distribution_sums_to_one_and_agrees_with_the_stream():
    text = draw_text(1, 150)
    model = make_model(text)
    read = np.array([*text[20:50], 3, 1, 2], np.uint8)
    read = read[read > 0]
    probs = model.probabilities(read, np.array([0, len(read)]))
    for k in (0, 1, 5, len(read) - 1):
        distribution = model.distribution(read[:k])
        assert distribution.sum() == pytest.approx(1)
        assert distribution[read[k]] == pytest.approx(probs[k])


def test_fitted_weights_make_the_text_likelier():
    model = make_model(draw_text(1, 400))
    read, documents = np.array(draw_text(5, 300), np.uint8), np.array([0, 300])
    before = np.log(model.probabilities(read, documents)).mean()
    fitted = model.fitted(read, documents)
    assert np.log(fitted.probabilities(read, documents)).mean() > before + 0.01
    assert fitted.weights.min() > 0
    assert fitted.weights.max() < 1


def test_cross_fitting_scores_each_half_by_the_other():
    model = make_model(draw_text(1, 400))
    read, documents = np.array(draw_text(5, 301), np.uint8), np.array([0, 80, 301])
    probs = model.cross_fitted(read, documents)
    first = model.fitted(read[:150], np.array([0, 80, 150]))
    second = model.fitted(read[150:], np.array([0, 151]))
    assert probs[:150].tolist() == second.probabilities(read, documents)[:150].tolist()
    assert probs[150:].tolist() == first.probabilities(read, documents)[150:].tolist()


def test_a_text_that_was_never_seen_has_a_finite_loss():
    model = make_model([1, 1, 1, 2])
    assert model.probabilities(np.array([4, 3, 4], np.uint8), np.array([0, 3])).min() > 0


def test_without_counts_all_tokens_are_as_likely():
    model = make_model([])
    assert model.distribution(np.array([1, 2], np.uint8)).tolist() == [1 / V] * V


def test_the_default_weight_grows_with_the_mean_count():
    weights = default_weights().reshape(ngrams._CLASSES)[4, 2]
    assert (np.diff(weights) > 0).all()

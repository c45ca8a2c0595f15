import math

import numpy as np
import pytest
import torch

from seqgen.config import ClassifyConfig, ModelConfig
from seqgen.data.examples import Part
from seqgen.evaluation.classification import contributions, explain_examples, predict, score_labels
from seqgen.networks.classifier import Classifier

LABELS = ("a", "b", "c")
TRUTH = np.array([0, 0, 0, 1, 1, 2])
GIVEN = np.array([0, 0, 1, 1, 2, 1])


def chances(given):
    table = np.full((len(given), 3), 0.1)
    table[np.arange(len(given)), given] = 0.8
    return table


@pytest.fixture
def model():
    torch.manual_seed(2)
    config = ModelConfig(cell="bow", embedding_size=5, dropout=0.0)
    return Classifier(config, ClassifyConfig(labels=LABELS, pool="mean"), 11)


def test_scores_are_those_computed_by_hand():
    score = score_labels(chances(GIVEN), TRUTH, LABELS)
    assert score.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]
    assert score.accuracy == 3 / 6
    # a: precision 1, recall 2/3; b: precision 1/3, recall 1/2; c: nothing right
    assert score.f1.tolist() == pytest.approx([0.8, 0.4, 0.0])
    assert score.macro_f1 == pytest.approx(0.4)
    assert score.loss_nats == pytest.approx(-(3 * math.log(0.8) + 3 * math.log(0.1)) / 6)


def test_the_best_model_is_chosen_by_accuracy_or_macro_f1_and_between_equals_by_loss():
    score = score_labels(chances(GIVEN), TRUTH, LABELS)
    assert score.merit == pytest.approx(0.5, abs=1e-3)
    assert score_labels(chances(GIVEN), TRUTH, LABELS, by="macro_f1").merit == pytest.approx(0.4, abs=1e-3)
    surer = chances(GIVEN) ** 2 / (chances(GIVEN) ** 2).sum(axis=1, keepdims=True)
    assert score_labels(surer, TRUTH, LABELS).merit != score.merit


def test_predictions_stand_in_the_order_of_the_texts(model):
    texts = [np.arange(1, 1 + size, dtype=np.uint32) % 11 for size in (5, 2, 9, 1)]
    together = predict(model, texts)
    alone = np.concatenate([predict(model, [text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-6)
    assert together.sum(axis=1) == pytest.approx(1)
    assert np.ptp(together[:, 0]) > 1e-3


def test_a_token_contributes_what_the_log_odds_lose_without_it(model):
    text = np.array([3, 7, 7, 2], dtype=np.uint32)
    found, shares = contributions(model, text)
    label = found.argmax()

    def odds(ids):
        chance = predict(model, [np.array(ids, dtype=np.uint32)])[0, label]
        return math.log(chance / (1 - chance))

    assert shares[0] == pytest.approx(odds([3, 7, 7, 2]) - odds([7, 7, 2]), abs=1e-5)
    assert shares[3] == pytest.approx(odds([3, 7, 7, 2]) - odds([3, 7, 7]), abs=1e-5)
    assert shares[1] == pytest.approx(shares[2], abs=1e-6)


def test_explained_texts_go_from_the_surest_hit_to_the_worst_mistake(model):
    sizes = [5, 2, 9, 1, 3, 12, 4]
    texts = [np.arange(start, start + size, dtype=np.uint32) % 11 for start, size in enumerate(sizes, 1)]
    part = Part(texts, np.array([0, 1, 2, 0, 1, 2, 0]))
    found = explain_examples(model, part, 3, longest=9)
    chances = predict(model, texts)[np.arange(7), part.labels]
    ranked = sorted((number for number in range(7) if sizes[number] <= 9), key=lambda n: -chances[n])
    assert [one.ids.tolist() for one in found] == [texts[ranked[place]].tolist() for place in (0, 2, 5)]
    assert [one.truth for one in found] == [part.labels[ranked[place]] for place in (0, 2, 5)]
    assert all(len(one.shares) == len(one.ids) for one in found)
    assert len(explain_examples(model, part, 20, longest=9)) == 6
    assert explain_examples(model, part, 3, longest=0) == []

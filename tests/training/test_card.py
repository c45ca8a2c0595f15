"""What a model card says of the training."""

import pytest

from seqgen.config import build_config
from seqgen.training.card import classifier_card, model_card, translation_card

VALIDATED = [
    {"epoch": 1.2, "train_loss_nats": 1.5, "valid_loss_nats": 1.9},
    {"epoch": 2.4, "train_loss_nats": 1.2, "valid_loss_nats": 1.7},
    {"epoch": 3.6, "train_loss_nats": 0.9, "valid_loss_nats": 1.8},
]


def text(history, card=model_card, **training):
    config = build_config({"training": {"epochs": 5, **training}})
    return " ".join(card("m", config, {}, {}, 1234, history).split())


@pytest.mark.parametrize("card", [model_card, classifier_card, translation_card])
def test_the_weights_are_those_of_the_best_validation(card):
    assert "trained with seqgen for 5 epochs; its weights are those of epoch 2.4, " in text(VALIDATED, card)


def test_what_is_best_is_decided_by_merit_where_there_is_one_and_else_by_training_loss():
    merits = [record | {"merit": merit} for record, merit in zip(VALIDATED, (0.8, 0.7, 0.8), strict=True)]
    assert "of epoch 1.2, the best" in text(merits)
    assert "of epoch 3.6, the best" in text([record | {"valid_loss_nats": None} for record in VALIDATED])


def test_teachers_and_folds_are_named():
    assert "- Taught by: a, b" in text([], teachers=("a", "b"))
    assert "- Trained without fold 1/3 of the training part" in text([], fold="1/3")
    assert "fold" not in text([])


def test_a_training_that_may_stop_early_lasts_at_most_so_long():
    assert "trained with seqgen for at most 5 epochs; its" in text(VALIDATED, patience=3)
    assert "trained with seqgen for 5 epochs." in text([])

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqgen.config import ClassifyConfig, ModelConfig, build_config
from seqgen.data.examples import encode_texts
from seqgen.data.tokenizers import make_tokenizer, ranked_vocab
from seqgen.errors import ArtifactError
from seqgen.evaluation.classification import predict
from seqgen.evaluation.ensemble import Ensemble, restore_ensemble
from seqgen.networks.classifier import Classifier

LABELS = ("a", "b", "c")
OPTIONS = {"normalize": "nfc", "lowercase": False, "words": "spaces"}
TEXTS = ["one two three two", "four one", "", "three"]


def member(words, seed, **settings):
    """A tokenizer of some words and a network that reads with it."""
    tokenizer = make_tokenizer(ranked_vocab("word", {f" {word}": 2 for word in words}, options=OPTIONS))
    torch.manual_seed(seed)
    config = replace(ModelConfig(cell="gru", layers=1, hidden_size=4, embedding_size=5), **settings)
    task = ClassifyConfig(labels=LABELS, pool="mean")
    model = Classifier(config, task, len(tokenizer.tokens)).eval()
    with torch.no_grad():
        model.head.weight.mul_(9)
    return tokenizer, model


def test_probabilities_are_the_mean_of_those_of_the_members_each_with_its_own_vocabulary():
    members = (member(["one", "two", "three"], 1), member(["four", "one"], 2, cell="bow"))
    found = Ensemble(LABELS, members).predict(TEXTS)
    one, other = (predict(model, encode_texts(TEXTS, tokenizer)) for tokenizer, model in members)
    assert np.abs(one - other).max() > 0.05
    assert found == pytest.approx((one + other) / 2)
    assert found.shape == (len(TEXTS), len(LABELS))


def test_members_of_other_labels_are_refused():
    def artifact(name, *labels):
        return SimpleNamespace(path=Path(name), config=build_config({"classify": {"labels": labels}}))

    with pytest.raises(ArtifactError, match="y: its labels are b, a, those of x are a, b; only classifiers"):
        restore_ensemble([artifact("x", "a", "b"), artifact("y", "b", "a")])

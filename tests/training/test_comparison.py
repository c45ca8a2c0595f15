import math

import pytest

from seqgen.artifacts import load_artifact
from seqgen.config import build_config
from seqgen.errors import ConfigError
from seqgen.networks.tasks import LanguageModel
from seqgen.training.comparison import compare_model, with_parameters
from seqgen.training.loop import train
from tests.corpora import MemoryCorpus, sentences

V = 31


@pytest.mark.parametrize("cell", ["window", "bow", "rnn", "gru", "lstm"])
def test_parameters_are_matched_by_the_hidden_size(cell):
    config = build_config({"model": {"cell": cell, "embedding_size": 9, "layers": 1}})
    fitted = with_parameters(config, V, 20_000)
    count = LanguageModel(fitted.model, V).parameter_count()
    assert count == pytest.approx(20_000, rel=0.02)


def test_too_few_parameters_are_refused():
    with pytest.raises(ConfigError, match="--parameters 100: too few for gru"):
        with_parameters(build_config({}), V, 100)


def test_a_model_is_scored_with_what_its_training_told(tmp_path):
    values = {
        "model": {"cell": "bow", "hidden_size": 8, "embedding_size": 5, "context": 3},
        "training": {"batch_size": 4, "bptt": 9, "epochs": 1, "device": "cpu"},
    }
    corpus = MemoryCorpus(sentences(60))
    for step in train(corpus, build_config(values), path=tmp_path / "small", source={}):
        last = step
    found = compare_model(load_artifact(tmp_path / "small"), corpus)
    assert (found.name, found.cell, found.unit) == ("small", "bow", "chars")
    nats = last.validation.loss_nats
    tokens, chars = (corpus.counts("valid")[name] for name in ("tokens", "chars"))
    assert found.bits == pytest.approx(nats / math.log(2) * tokens / chars, rel=0.01)
    assert found.curve[-1][1] == pytest.approx(nats / math.log(2), rel=1e-4)
    assert len(found.curve) == len(load_artifact(tmp_path / "small").history())

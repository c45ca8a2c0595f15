import numpy as np
import pytest
import torch

from seqgen.data.pairs import Example
from seqgen.evaluation.translation import batch_of, score_targets
from seqgen.networks.translation import TranslationModel
from tests.training.test_translation import corpus_of

CPU = torch.device("cpu")


def test_a_batch_pads_sources_before_and_targets_after():
    sides = [([3, 4, 0], [5, 0]), ([0], [6, 7, 8, 0])]
    batch = batch_of([Example(np.array(source), np.array(target)) for source, target in sides], CPU)
    assert batch.source.T.tolist() == [[3, 4, 0], [0, 0, 0]]
    assert batch.lengths.tolist() == [3, 1]
    assert batch.inputs.T.tolist() == [[0, 5, 0, 0], [0, 6, 7, 8]]
    assert batch.targets.T.tolist() == [[5, 0, -1, -1], [6, 7, 8, 0]]


def test_the_loss_is_the_mean_over_all_target_tokens_of_a_part(tmp_path):
    corpus, config = corpus_of(tmp_path)
    torch.manual_seed(0)
    sizes = len(corpus.tokenizer.tokens), len(corpus.target_tokenizer.tokens)
    model = TranslationModel(config.model, config.translate, *sizes).eval()
    score = score_targets(model, corpus, "valid")
    losses = []
    for example in corpus.examples("valid"):
        batch = batch_of([example], CPU)
        with torch.inference_mode():
            log_probs = model.log_probs(model(batch.source, batch.lengths, batch.inputs))
        losses += [-log_probs[t, 0, token].item() for t, token in enumerate(batch.targets[:, 0])]
    assert score.tokens == len(losses)
    assert score.loss_nats == pytest.approx(np.mean(losses), rel=1e-4)
    assert score.units["chars"] == sum(len(pair.target) for pair in corpus.parts["valid"])
    with pytest.raises(ValueError, match="the test part is empty"):
        score_targets(model, corpus, "test")

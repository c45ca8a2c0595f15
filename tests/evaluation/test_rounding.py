import numpy as np
import pytest

from seqgen.config import build_config
from seqgen.evaluation.rounding import FEWEST_TOKENS, rounding_cost
from tests.kernels.plain_decode import random_weights

V, H = 19, 16


def model(cell):
    values = {"cell": cell, "layers": 2, "hidden_size": H, "embedding_size": 5}
    return random_weights(cell, vocab=V, hidden=H, seed=3), build_config({"model": values}).model


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_rounding_costs_a_little_and_is_told_of_the_tokens_read(cell):
    tokens = np.random.default_rng(1).integers(V, size=1_003)
    cost = rounding_cost(*model(cell), tokens)
    assert cost.tokens == 1_000
    assert cost.protocol == "windows:125"
    assert 0 < cost.kl_nats < 1e-2
    assert cost.kl_nats < cost.kl_nats_99th_percentile
    assert cost.loss_nats_exact != cost.loss_nats_rounded
    assert cost.loss_nats_rounded == pytest.approx(cost.loss_nats_exact, abs=0.02)
    assert 0.9 < cost.same_likeliest <= 1


def test_weights_that_int8_holds_exactly_cost_next_to_nothing():
    weights, config = model("rnn")
    coarse = {name: np.sign(array) * np.float32(0.1) for name, array in weights.items()}
    tokens = np.random.default_rng(2).integers(V, size=400)
    assert rounding_cost(coarse, config, tokens).kl_nats < rounding_cost(weights, config, tokens).kl_nats / 3


def test_the_exact_loss_is_that_of_plain_windows(tmp_path):
    from seqgen.evaluation import evaluate, restore_model
    from tests.sampling.models import write_model

    artifact = write_model(tmp_path / "m")
    tokens = np.random.default_rng(4).integers(2, 8, size=160).astype(np.uint16)
    cost = rounding_cost(artifact.weights(), artifact.config.model, tokens)
    score = evaluate(restore_model(artifact), tokens, np.array([0, 160]), protocol="windows:20")
    assert cost.loss_nats_exact == pytest.approx(score.loss_nats, abs=1e-4)


def test_too_short_a_text_is_refused():
    with pytest.raises(ValueError, match="at least 80"):
        rounding_cost(*model("lstm"), np.ones(FEWEST_TOKENS - 1, np.int64))

import numpy as np
import pytest

from seqgen.data.ngrams import best_share
from seqgen.evaluation.ngram import mixed


def draws(share, count=40_000):
    """Return losses and probabilities of two models of 3 tokens, drawn from a mixture of both."""
    random = np.random.default_rng(1)
    network, ngram = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7])
    tokens = random.choice(3, size=count, p=(1 - share) * network + share * ngram)
    return -np.log(network[tokens]).astype(np.float32), ngram[tokens]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.85, 1.0])
def test_the_share_of_a_mixture_is_found_again(share):
    assert best_share(*draws(share)) == pytest.approx(share, abs=0.02)


def test_no_other_share_gives_less_loss():
    losses, probabilities = draws(0.3, count=500)
    places = np.arange(len(losses))

    def loss(share):
        return sum(values.sum() for _, values in mixed([(places, losses)], probabilities, share))

    best = best_share(losses, probabilities)
    assert min(loss(share) for share in np.linspace(0.001, 0.999, 999)) >= loss(best) - 1e-3


def test_tokens_that_the_network_holds_impossible_leave_it_no_share():
    assert best_share(np.full(4, 90.0, np.float32), np.full(4, 0.5)) == pytest.approx(1.0, abs=1e-3)

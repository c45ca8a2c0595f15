import math
from collections import Counter

import numpy as np
import pytest

from seqgen.data.baseline import ngram_loss


def loss_of_order(train, valid, vocab_size, order):
    """Witten and Bell's interpolation, written token by token."""
    counts = Counter(tuple(train[i : i + n]) for n in range(1, order + 1) for i in range(len(train) - n + 1))

    def probability(context, token):
        lower = 1 / vocab_size if not context else probability(context[1:], token)
        followers = {gram[-1]: n for gram, n in counts.items() if gram[:-1] == context}
        if context and not followers:
            return lower
        total, kinds = sum(followers.values()), len(followers)
        return (followers.get(token, 0) + kinds * lower) / (total + kinds)

    losses = [
        -math.log(probability(tuple(valid[max(0, i - order + 1) : i]), token))
        for i, token in enumerate(valid)
    ]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_loss_is_that_of_the_best_order_counted_token_by_token(order):
    random = np.random.default_rng(3)
    walk = np.cumsum(random.integers(-1, 2, 400)) % 7
    train, valid = walk[:300].tolist(), [*walk[300:].tolist(), 7]  # one token is never counted
    expected = min(loss_of_order(train, valid, 8, n) for n in range(1, order + 1))
    found = ngram_loss(np.array(train, np.uint16), np.array(valid, np.uint16), vocab_size=8, order=order)
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_vocabulary_too_large_for_the_order_lowers_it():
    ids = np.arange(40, dtype=np.uint32) % 5
    large = 1 << 31
    assert ngram_loss(ids, ids, vocab_size=large, order=5) == ngram_loss(ids, ids, vocab_size=large, order=2)


def test_without_a_validation_part_the_training_part_is_scored():
    ids = np.arange(50, dtype=np.uint8) % 6
    assert ngram_loss(ids, ids[:0], vocab_size=6) == ngram_loss(ids, ids, vocab_size=6)

import numpy as np

from seqgen.data.buckets import PADDING, bucketed_batches, padded

LENGTHS = np.random.default_rng(3).integers(1, 60, size=997)


def test_every_sequence_is_in_one_batch():
    batches = bucketed_batches(LENGTHS, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(997))
    assert max(map(len, batches)) == 16


def test_batches_are_of_similar_lengths_and_in_random_order():
    batches = bucketed_batches(LENGTHS, 16, np.random.default_rng(1))
    spread = [np.ptp(LENGTHS[batch]) for batch in batches]
    assert np.mean(spread) < 8
    means = [LENGTHS[batch].mean() for batch in batches]
    assert means != sorted(means)


def test_the_number_of_batches_is_that_of_full_ones_rounded_up():
    for count in (1, 15, 16, 17, 512, 513):
        assert len(bucketed_batches(LENGTHS[:count], 16, np.random.default_rng(1))) == -(-count // 16)


def test_padding_follows_each_sequence_and_lengths_tell_where():
    tokens, lengths = padded([np.array([5, 6, 7]), np.array([], dtype=np.int64), np.array([8])])
    assert lengths.tolist() == [3, 0, 1]
    assert tokens.T.tolist() == [[5, 6, 7], [PADDING] * 3, [8, PADDING, PADDING]]
    assert padded([np.array([], dtype=np.int64)])[0].shape == (1, 1)

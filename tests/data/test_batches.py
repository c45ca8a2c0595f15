import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.batches import IGNORED, TrainingBatches, evaluation_batches, segments
from seqgen.errors import ConfigError

TEXT = np.array([5, 3, 4, 0, 7, 6, 0, 2, 9, 8, 1, 0], dtype=np.uint8)
DOCUMENTS = np.array([0, 4, 7, 12])


@given(st.integers(1, 90), st.integers(1, 9), st.integers(1, 12), st.integers(0, 200))
def test_an_epoch_charges_every_token_exactly_once(length, rows, bptt, offset):
    tokens = np.arange(1, length + 1, dtype=np.uint16)
    batches = TrainingBatches(tokens, batch_size=rows, bptt=bptt, offset=offset)
    charged = np.concatenate([batches[k].targets.ravel() for k in range(len(batches))])
    assert sorted(charged[charged != IGNORED]) == list(tokens)
    assert all(len(batches[k].inputs) <= bptt for k in range(len(batches)))


@given(st.integers(1, 90), st.integers(1, 9), st.integers(1, 12), st.integers(0, 200), st.integers(0, 9))
def test_random_windows_charge_every_token_exactly_once(length, rows, bptt, offset, seed):
    tokens = np.arange(1, length + 1, dtype=np.uint16)
    sizes = {"batch_size": rows, "bptt": bptt, "offset": offset}
    batches = TrainingBatches(tokens, **sizes, random=np.random.default_rng(seed))
    targets = [batches[k].targets for k in range(len(batches))]
    charged = np.concatenate([array.ravel() for array in targets])
    assert sorted(charged[charged != IGNORED]) == list(tokens)
    assert min(map(len, targets)) > 0
    assert len(batches) == len(TrainingBatches(tokens, **sizes))
    assert sum(map(batches.relative_length, range(len(batches)))) == pytest.approx(len(batches))


def test_random_windows_are_around_bptt_and_one_in_twenty_is_half_as_long():
    batches = TrainingBatches(
        np.zeros(700_000, np.uint8), batch_size=1, bptt=70, random=np.random.default_rng(1)
    )
    lengths = np.diff(batches.cuts)
    halved = lengths < 52
    assert halved.mean() == pytest.approx(0.05, abs=0.01)
    assert lengths[~halved].mean() == pytest.approx(70 / 0.975, rel=0.01)
    assert lengths[~halved].std() == pytest.approx(5, rel=0.1)


def test_a_row_goes_on_where_it_stopped():
    batches = TrainingBatches(np.arange(1, 41, dtype=np.uint8), batch_size=2, bptt=7)
    first, second = batches[0], batches[1]
    assert (second.inputs[0] == first.targets[-1]).all()


def test_the_input_is_the_token_before_the_target_and_eos_before_the_first():
    batch = TrainingBatches(TEXT, batch_size=1, bptt=50)[0]
    assert list(batch.inputs[:, 0]) == [0, *TEXT[:-1]]
    assert list(batch.targets[:, 0]) == list(TEXT)


def test_state_is_reset_before_each_document():
    batch = TrainingBatches(TEXT, batch_size=1, bptt=50)[0]
    assert list(np.flatnonzero(batch.resets[:, 0])) == [0, 4, 7]


def test_a_rotated_stream_starts_its_first_document_from_eos():
    batch = TrainingBatches(np.array([3, 4, 5], dtype=np.uint8), batch_size=1, bptt=9, offset=2)[0]
    assert list(batch.targets[:, 0]) == [5, 3, 4]
    assert list(batch.inputs[:, 0]) == [4, 0, 3]


def test_windows_are_never_a_few_tokens_long():
    batches = TrainingBatches(np.ones(1001, dtype=np.uint8), batch_size=1, bptt=100)
    assert {len(batches[k].inputs) for k in range(len(batches))} == {91}


def losses(protocol, **options):
    return list(evaluation_batches(TEXT, segments(DOCUMENTS, protocol), **options))


@pytest.mark.parametrize("protocol", ["carried", "windows:2", "windows:100", "chunks:4", "chunks:1"])
@pytest.mark.parametrize(("max_rows", "steps"), [(1, 3), (2, 5), (64, 128)])
def test_every_protocol_charges_every_token_exactly_once(protocol, max_rows, steps):
    batches = losses(protocol, max_rows=max_rows, steps=steps)
    positions = np.concatenate([b.positions[b.targets != IGNORED] for b in batches])
    targets = np.concatenate([b.targets[b.targets != IGNORED] for b in batches])
    assert sorted(positions) == list(range(len(TEXT)))
    assert (TEXT[positions] == targets).all()


def test_windows_begin_from_a_fresh_state():
    batch = losses("windows:2", max_rows=1)[0]
    starts = batch.positions[batch.resets[:, 0], 0]
    assert {0, 2, 4, 6, 7, 9, 11} <= set(starts)


def test_carried_state_is_reset_only_between_documents():
    batch = losses("carried", max_rows=1)[0]
    assert sorted(batch.positions[batch.resets[:, 0], 0]) == [0, 4, 7]


def test_chunks_warm_up_without_charging():
    batches = list(evaluation_batches(TEXT, segments(np.array([0, 12]), "chunks:8")))
    targets = np.concatenate([b.targets.ravel() for b in batches])
    positions = np.concatenate([b.positions.ravel() for b in batches])
    assert (np.sort(positions[(targets == IGNORED) & (positions >= 0)]) == [6, 7]).all()


@pytest.mark.parametrize("protocol", ["windows", "windows:0", "windows:x", "random"])
def test_an_unknown_protocol_is_refused(protocol):
    with pytest.raises(ConfigError, match="choose carried"):
        segments(DOCUMENTS, protocol)

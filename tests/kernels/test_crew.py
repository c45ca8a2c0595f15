import time
from concurrent.futures import Future

import numpy as np
import pytest

from seqgen.kernels import crew, decode
from seqgen.kernels.constraint import FREE
from seqgen.kernels.crew import (
    BYTES_A_THREAD,
    MOST_THREADS,
    Helpers,
    _carry_out,
    crew_size,
    join,
    with_helpers,
)
from seqgen.kernels.decode import Decoder
from seqgen.kernels.jit import compiled
from seqgen.kernels.layout import lay_out, weight_bytes
from seqgen.kernels.team import count_up, wait_until
from tests.kernels.plain_decode import random_weights
from tests.kernels.test_decode import FILTERS, in_two_parts, rule
from tests.kernels.test_decode_context import CONTEXT
from tests.kernels.test_decode_context import random_weights as random_context_weights

CELLS = {
    "lstm": {"hidden": 90},
    "gru": {"hidden": 41, "layers": 3},
    "rnn": {"hidden": 300, "vocab": 2100},  # its matrices come in several tiles
    "gru, gated and normalised": {"hidden": 50, "rounds": 3, "norm": True},
    "lstm, gated": {"hidden": 50, "rounds": 4, "rank": 3},
}


def make_decoder(name, *, exact):
    cell = name.partition(",")[0]
    if cell in ("window", "bow"):
        return Decoder(random_context_weights(cell), cell=cell, context=CONTEXT, exact=exact)
    return Decoder(random_weights(cell, spread=1.5, **CELLS[name]), cell=cell, exact=exact)


@pytest.fixture(autouse=True)
def helpers_for_short_calls(monkeypatch):
    monkeypatch.setattr(crew, "BYTES_A_CALL", 0)
    crew._loading().result()


def drawn(decoder, *, threads, batch=1, constraint=None, **filters):
    """Return what two chunks draw after a prompt, and the state they leave, as bytes."""
    drawing, more = rule(vocab=decoder.vocab, **filters), {"constraint": constraint or FREE}
    past = np.array([[3, 2, 3]] * batch)
    state, found = decoder.start(range(batch), past[0]), []
    for count in (1, 14):
        tokens, logprobs = decoder.draw(state, drawing, count, past=past, threads=threads, **more)
        past = np.concatenate([past, tokens], axis=1)
        found += [tokens.tobytes(), logprobs.tobytes()]
    return [*found, state.hidden.tobytes()]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", [*CELLS, "window", "bow"])
def test_the_number_of_threads_never_changes_a_bit(name, exact):
    decoder = make_decoder(name, exact=exact)
    for batch in (1, 3):
        alone = drawn(decoder, threads=1, batch=batch)
        assert all(drawn(decoder, threads=threads, batch=batch) == alone for threads in (2, 3, 5))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", [*CELLS, "window"])
def test_reading_on_any_number_of_threads_never_changes_a_bit(name, exact, monkeypatch):
    monkeypatch.setattr(crew, "BYTES_A_THREAD", 1)
    decoder, text = make_decoder(name, exact=exact), np.array([3, 2, 9, 0, 4, 3, 3, 1])
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(decode, "cpu_count", lambda threads=threads: threads)
        state = decoder.start(range(3), text[:5])
        judged = decoder.read(decoder.start([0]), text)
        arrays = [*judged, state.hidden, decoder.logits(state)]
        found.append([array.tobytes() for array in arrays])
    assert found[0] == found[1] == found[2]


def test_calls_that_read_little_have_no_helpers(monkeypatch):
    monkeypatch.setattr(crew, "BYTES_A_THREAD", 1)
    monkeypatch.setattr(decode, "cpu_count", lambda: 2)
    decoder, sizes = make_decoder("lstm", exact=True), []
    monkeypatch.setattr(crew, "run_together", lambda work, threads: sizes.append(threads))
    reads = weight_bytes(lay_out(random_weights("lstm", **CELLS["lstm"]), "lstm", exact=True))
    monkeypatch.setattr(crew, "BYTES_A_CALL", 6 * reads)
    for batch, count in ((1, 5), (1, 6), (2, 2), (2, 3)):
        state = decoder.start(range(batch))
        decoder.draw(state, rule(vocab=decoder.vocab), count, threads=2)
    decoder.read(decoder.start([0]), np.ones(6, np.int64))
    decoder.start([0], np.ones(5, np.int64))
    decoder.logits(decoder.start(range(6)))
    assert sizes == [1, 2, 1, 2, 2, 1, 2]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_draw_the_same_with_helpers(filters):
    decoder = Decoder(random_weights("lstm", spread=1.5), cell="lstm", exact=False)
    assert drawn(decoder, threads=2, **filters) == drawn(decoder, threads=1, **filters)


def test_a_constraint_draws_the_same_with_helpers():
    decoder, limits = make_decoder("gru", exact=False), in_two_parts().tables(30)
    assert drawn(decoder, threads=2, constraint=limits) == drawn(decoder, threads=1, constraint=limits)


def test_helpers_end_with_sequences_that_do():
    decoder = Decoder(random_weights("lstm"), cell="lstm")
    state = decoder.start(range(4))
    tokens, _ = decoder.draw(state, rule(), 300, threads=2)
    assert not state.draws.live.any()
    assert tokens.tolist() == decoder.draw(decoder.start(range(4)), rule(), 300)[0].tolist()


def test_a_network_that_gives_no_numbers_is_reported_with_helpers():
    weights = random_weights("lstm")
    weights["encoder.1.bias_ih"][:] = 50  # hidden states near 1
    weights["head.weight"][:] = 3e38
    decoder = Decoder(weights, cell="lstm")
    with pytest.raises(FloatingPointError, match="not finite"):
        decoder.draw(decoder.start([0]), rule(), 3, threads=2)


def test_helpers_end_when_the_loop_is_interrupted(monkeypatch):
    ended, help_out = [], crew._help

    def help_and_tell(*arguments):
        help_out(*arguments)
        ended.append(arguments[1])

    def interrupted(_crew):
        raise KeyboardInterrupt

    monkeypatch.setattr(crew, "_help", help_and_tell)
    with pytest.raises(KeyboardInterrupt):
        with_helpers(interrupted, 3)
    assert sorted(ended) == [1, 2]


@compiled
def _help_once(crew, thread):
    wait_until(crew.counters[0].ctypes.data, 1, crew.barrier.ctypes.data + 8)
    _carry_out(crew.orders[0], thread, crew.threads)
    count_up(crew.counters[thread].ctypes.data)


def test_a_helper_that_is_late_is_called_off_and_never_changes_a_bit(monkeypatch):
    decoder, help_out, ordered = make_decoder("lstm", exact=False), crew._help, []
    expected = drawn(decoder, threads=1)

    def help_late(crew, thread):
        _help_once(crew, thread)
        time.sleep(0.2)
        help_out(crew, thread)
        ordered.append(int(crew.counters[0, 0]))

    monkeypatch.setattr(crew, "_help", help_late)
    assert drawn(decoder, threads=2) == expected
    # It sleeps after its first order, of the five of the first chunk; the second chunk is drawn alone.
    assert len(ordered) == 1
    assert ordered[0] <= 2


def test_helpers_are_called_once_their_code_is_loaded(monkeypatch):
    loading, sizes = Future(), []
    monkeypatch.setattr(crew, "_loading", lambda: loading)
    monkeypatch.setattr(crew, "with_helpers", lambda _loop, threads: sizes.append(threads) or True)
    helpers = Helpers()
    helpers.call(lambda crew: None, 2, 100)
    loading.set_result(None)
    helpers.call(lambda crew: None, 2, 100)
    assert sizes == [1, 2]


def test_after_a_late_helper_more_and_more_calls_pass_without(monkeypatch):
    in_time, sizes = iter([True, False, False, False, True, False, True]), []

    def call(_loop, threads):
        sizes.append(threads)
        return next(in_time) if threads > 1 else True

    monkeypatch.setattr(crew, "with_helpers", call)
    helpers = Helpers()
    for _ in range(18):
        helpers.call(lambda crew: None, 2, 100)
    assert sizes == [2, 2, 1, 2, *[1] * 3, 2, *[1] * 7, 2, 2, 1]


@compiled
def _wait_for_orders_nobody_carries_out(crew):
    crew.counters[0, 0] = 1
    join(crew)


def test_the_loop_does_not_wait_for_a_helper_that_failed(monkeypatch):
    def fail(_crew, _thread):
        raise MemoryError("no room")

    monkeypatch.setattr(crew, "_help", fail)
    with pytest.raises(MemoryError, match="no room"):
        with_helpers(_wait_for_orders_nobody_carries_out, 2)


@pytest.mark.parametrize(
    ("weight_bytes", "most", "expected"),
    [
        (0, 4, 1),
        (2 * BYTES_A_THREAD - 1, 4, 1),
        (2 * BYTES_A_THREAD, 4, 2),
        (9 * BYTES_A_THREAD, 4, 4),
        (10**9, 1, 1),
        (10**9, 64, MOST_THREADS),
    ],
)
def test_small_networks_and_machines_take_fewer_threads(weight_bytes, most, expected):
    assert crew_size(weight_bytes, most) == expected


def test_the_weights_of_a_token_are_those_of_all_its_products():
    hidden, vocab = 32, 16  # the 11 tokens of the network, padded
    weights = random_weights("lstm", hidden=hidden, layers=2)
    recurrent, inputs = 2 * 4 * hidden * hidden, 4 * hidden * hidden
    assert weight_bytes(lay_out(weights, "lstm", exact=True)) == 4 * (recurrent + inputs + vocab * hidden)

import threading

import numpy as np
import pytest

from seqgen.kernels.jit import compiled
from seqgen.kernels.team import meet, run_together, share


@compiled
def _pass_on(values, thread, threads, rounds, barrier):
    for step in range(rounds):
        values[step + 1, thread] = values[step].sum() + thread
        if not meet(barrier, threads * (step + 1)):
            return


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_step_sees_all_of_the_step_before(threads):
    rounds = 12
    values = np.zeros((rounds + 1, threads), np.int64)
    run_together(lambda thread, barrier: _pass_on(values, thread, threads, rounds, barrier), threads)
    expected = np.zeros(threads, np.int64)
    for _ in range(rounds):
        expected = expected.sum() + np.arange(threads)
    assert np.array_equal(values[-1], expected)


def test_other_threads_stop_when_the_first_fails():
    values = np.zeros((3, 2), np.int64)
    stopped = threading.Event()

    def work(thread, barrier):
        if thread == 0:
            raise KeyboardInterrupt
        _pass_on(values, thread, 2, 2, barrier)
        stopped.set()

    with pytest.raises(KeyboardInterrupt):
        run_together(work, 2)
    assert stopped.is_set()


@pytest.mark.parametrize(("items", "threads"), [(7, 3), (2, 4), (0, 2), (16, 2)])
def test_shares_cover_all_items_once(items, threads):
    shares = [share(items, thread, threads) for thread in range(threads)]
    assert [item for part in shares for item in part] == list(range(items))

import platform
import sys
import threading

import numpy as np
import pytest
import torch

from seqgen.kernels import openmp, team
from seqgen.kernels.jit import compiled
from seqgen.kernels.openmp import run_in_openmp
from seqgen.kernels.team import flush_denormals, meet, restore_denormals, run_together, share


@compiled
def _pass_on(values, thread, threads, rounds, barrier):
    for step in range(rounds):
        values[step + 1, thread] = values[step].sum() + thread
        if not meet(barrier, threads * (step + 1)):
            return


@pytest.fixture(params=["openmp", "pool"])
def _threads_of(request, monkeypatch):
    """Run in torch's threads where it has some to lend, and in Python's."""
    if request.param == "pool":
        monkeypatch.setattr(team, "run_in_openmp", lambda work, threads: False)


@pytest.mark.usefixtures("_threads_of")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_step_sees_all_of_the_step_before(threads):
    rounds = 12
    values = np.zeros((rounds + 1, threads), np.int64)
    run_together(lambda thread, barrier: _pass_on(values, thread, threads, rounds, barrier), threads)
    expected = np.zeros(threads, np.int64)
    for _ in range(rounds):
        expected = expected.sum() + np.arange(threads)
    assert np.array_equal(values[-1], expected)


@pytest.mark.usefixtures("_threads_of")
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


@pytest.mark.skipif(sys.platform != "linux", reason="torch's OpenMP lends its threads under Linux")
def test_torch_lends_its_threads():
    seen = []
    assert run_in_openmp(seen.append, 3)
    assert sorted(seen) == [0, 1, 2]


def test_torch_is_not_imported_for_its_threads(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    seen = []
    run_together(lambda thread, barrier: seen.append(thread), 2)
    assert sorted(seen) == [0, 1]
    assert "torch" not in sys.modules


def test_an_error_in_another_thread_is_raised():
    def work(thread, barrier):
        if thread == 1:
            raise ValueError("thread 1")

    with pytest.raises(ValueError, match="thread 1"):
        run_together(work, 2)


def test_a_forked_process_runs_in_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(openmp, "_PROCESS", -1)
    assert not run_in_openmp(lambda thread: None, 2)


@pytest.mark.parametrize(("items", "threads"), [(7, 3), (2, 4), (0, 2), (16, 2)])
def test_shares_cover_all_items_once(items, threads):
    shares = [share(items, thread, threads) for thread in range(threads)]
    assert [item for part in shares for item in range(*part)] == list(range(items))


@compiled
def _halve(values, flush):
    before = flush_denormals()
    if not flush:
        restore_denormals(before)
    for i in range(len(values)):
        values[i] *= np.float32(0.5)
    restore_denormals(before)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86 only")
def test_tiny_numbers_are_zero_while_they_are_flushed():
    values = np.full(3, 2e-38, np.float32)
    _halve(values, True)
    assert not values.any()


def test_tiny_numbers_are_kept_otherwise():
    torch.set_flush_denormal(False)  # training earlier in this process flushes them for good
    values = np.full(3, 2e-38, np.float32)
    _halve(values, False)
    assert values.all()

"""Settings that all tests share."""

import os
import signal

from hypothesis import settings

from seqgen.runtime import cache_dir

settings.register_profile("seqgen", deadline=None)  # the first call of a kernel may compile it
settings.load_profile("seqgen")

# Started in the background, pytest ignores Ctrl-C, and commands that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests with a cache folder of their own, and the commands they start, would compile every kernel again.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir("compiled")))


def _keep_to_one_core() -> None:
    """Give each worker of pytest-xdist a core, or threads that wait for each other wait for it, too."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


_keep_to_one_core()

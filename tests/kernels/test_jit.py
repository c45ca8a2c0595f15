import os
import subprocess
import sys

SCRIPT = """
import numpy as np
from seqgen.kernels.jit import telling_of_compilation
from seqgen.kernels.philox import uniform
with telling_of_compilation(lambda: print("compiling")):
    place = np.uint64(1), np.uint64(2), np.uint64(3)
    print(uniform(*place) == uniform(*place))
"""


def run(cache):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env=environment | {"SEQGEN_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_only_the_first_run_compiles_and_tells_so_once(tmp_path):
    assert run(tmp_path) == ["compiling", "True"]
    assert run(tmp_path) == ["True"]


def test_kernels_run_where_no_cache_can_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert run(blocked) == ["compiling", "True"]

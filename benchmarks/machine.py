"""What a benchmark ran on, and whether it had the machine to itself."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqgen.runtime import cpu_count


def describe_machine() -> dict[str, Any]:
    """Return the facts that a figure depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="ascii").splitlines() if info.is_file() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    flags = next((line.partition(": ")[2].split() for line in lines if line.startswith("flags")), [])
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    return {
        "cpu": model or platform.processor(),
        "cores": cpu_count(),
        "features": [flag for flag in wanted if flag in flags],
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def busy_seconds() -> float:
    """Return the CPU seconds that all processes of the machine have used; Linux only."""
    user, nice, system, _, _, *other = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + sum(other)) / os.sysconf("SC_CLK_TCK")


def timed(action: Callable[[], object], repeats: int = 1) -> tuple[float, float]:
    """Return the seconds one `action` took, and how many cores other processes used meanwhile."""
    busy, own, start = busy_seconds(), time.process_time(), time.perf_counter()
    for _ in range(repeats):
        action()
    seconds = time.perf_counter() - start
    foreign = (busy_seconds() - busy) - (time.process_time() - own)
    return seconds / repeats, max(0.0, foreign / seconds)

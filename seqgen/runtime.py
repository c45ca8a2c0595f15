"""The machine: device, precision, threads and seeds. Imports torch only inside functions."""

import os
from pathlib import Path


def cpu_count() -> int:
    """Count the cores this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_dir(*parts: str) -> Path:
    """Return a folder below the user's cache (`SEQGEN_CACHE` overrides the place), made if absent."""
    from platformdirs import user_cache_path

    root = os.environ.get("SEQGEN_CACHE")
    path = (Path(root) if root else user_cache_path("seqgen")).joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path

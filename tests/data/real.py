"""Where the real inputs lie; tests that need them skip, saying so, where they are absent."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "data"


def real(name):
    """Return the path of a real input, or skip the test."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path

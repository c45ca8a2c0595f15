"""Shared by the tests of data: no deadlines (kernels compile on first use) and a cache of its own."""

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep every test away from the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEQGEN_CACHE", str(folder))
    return folder

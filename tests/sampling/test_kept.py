"""Constraints from the cache are those that were made."""

import numpy as np
import pytest

from seqgen.errors import ConfigError
from seqgen.sampling.kept import kept
from tests.sampling.test_counting import letters_then_stops


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path))
    return tmp_path


def never():
    raise AssertionError("made anew")


def same(one, other):
    tables = zip(one.tables(9), other.tables(9), strict=True)
    return one.begin == other.begin and all(np.array_equal(*pair) for pair in tables)


def test_what_was_made_once_is_read(cache):
    made = kept(["rules", 1], letters_then_stops)
    assert same(kept(["rules", 1], never), made)
    assert same(made, letters_then_stops())


def test_another_rule_is_another_constraint(cache):
    kept(["rules", 1], letters_then_stops)
    with pytest.raises(AssertionError, match="made anew"):
        kept(["rules", 2], never)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", None])
def test_a_damaged_file_is_made_anew(cache, content):
    made = kept("rules", letters_then_stops)
    (place,) = cache.rglob("*.npz")
    place.write_bytes(place.read_bytes()[:-200] if content is None else content)
    assert same(kept("rules", letters_then_stops), made)
    assert same(kept("rules", never), made)


def test_nothing_is_kept_of_what_cannot_be_made(cache):
    def impossible():
        raise ConfigError("--bars 3: none")

    with pytest.raises(ConfigError):
        kept("rules", impossible)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "file"))
    assert same(kept("rules", letters_then_stops), letters_then_stops())

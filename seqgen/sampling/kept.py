"""Constraints kept in the user's cache: to find the states of a grammar takes seconds, to read them does not.

A file holds the tables of a `CountingAutomaton`, compressed; of distances it holds by how much each layer
differs from the one before, which is mostly the same number. It is named by a hash of what the constraint was
made from, in a folder named by a hash of the code that makes it.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seqgen.data.provenance import code_hash
from seqgen.data.vocab import canonical_hash
from seqgen.files import replacing
from seqgen.runtime import cache_dir
from seqgen.sampling.counting import CountingAutomaton, Graph, Reader


def kept(made_from: Any, make: Callable[[], CountingAutomaton]) -> CountingAutomaton:
    """Return the constraint that is kept for this, or make it and keep it.

    Args:
        made_from: All that decides what the constraint is, as values that JSON has.
        make: Makes it; what it raises passes through and nothing is kept.
    """
    try:
        folder = cache_dir("rules", code_hash("sampling", "music")[:16])
    except OSError:
        return make()  # without a cache everything works, only slower
    place = folder / f"{canonical_hash(made_from)[:32]}.npz"
    found = _load(place)
    if found is None:
        found = make()
        _keep(place, found)
    return found


def _load(place: Path) -> CountingAutomaton | None:
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as tables:
            edges = (tables[name].astype(np.int64) for name in ("sources", "labels", "targets", "rises"))
            graph = Graph(range(int(tables["states"])), *edges)
            reader = Reader(tables["kinds"], tables["following"])
            distance = tables["distances"].cumsum(axis=0, dtype=np.int32)
            return CountingAutomaton(reader, graph, distance.reshape(-1), int(tables["place"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None  # never made, or damaged: make it now


def _keep(place: Path, found: CountingAutomaton) -> None:
    graph, reader = found.graph, found.reader
    edges = {name: getattr(graph, name) for name in ("sources", "labels", "targets", "rises")}
    layers = found.distance.reshape(-1, len(graph.states))
    tables = {
        **{name: values.astype(np.int32) for name, values in edges.items()},
        "states": np.array(len(graph.states)),
        "kinds": reader.kinds,
        "following": reader.following,
        "distances": np.diff(layers, axis=0, prepend=np.int32(0)),
        "place": np.array(found.place),
    }
    try:
        with replacing(place) as aside, aside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **tables)
    except OSError:
        return  # a full disk only costs time

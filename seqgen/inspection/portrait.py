"""What a report shows of a language model, taken from what the model itself writes: no corpus is needed."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.errors import ConfigError
from seqgen.inspection.gates import Readings, Selective, find_marks, most_selective, read_gates
from seqgen.inspection.gradients import WARM_UP, GradientFlow, flow_back
from seqgen.inspection.neighbours import flat_map, most_frequent
from seqgen.networks.tasks import LanguageModel

Floats = NDArray[np.float64]
MAP_TOKENS = 110
PLACES = 64
DISTANCES = (100, 60, 30)
RAREST = 0.01
"""Share of the tokens below which a mark is rather noise, such as the bar lines of a prose text."""


class WatchedMark(NamedTuple):
    """A mark and the cell that tells it best."""

    mark: str
    cell: Selective
    values: Floats


def watched_marks(model: LanguageModel, ids: Sequence[int], names: Sequence[str]) -> list[WatchedMark]:
    """Return the cell that tells each mark best, the clearest first; none where cells cannot be looked into.

    Args:
        model: A language model.
        ids: Tokens that it reads, (T,).
        names: Of them.
    """
    try:
        readings: Readings = read_gates(model, ids)
    except ConfigError:
        return []
    marks = {mark: marked for mark, marked in find_marks(names).items() if marked.mean() >= RAREST}
    ranked = most_selective(readings.values, marks, count=1)
    found = [
        WatchedMark(mark, best, readings.values[best.layer - 1][:, best.cell])
        for mark, (best,) in ranked.items()
    ]
    return sorted(found, key=lambda watched: -watched.cell.score)


def own_flow(model: LanguageModel, texts: Sequence[Sequence[int]]) -> GradientFlow | None:
    """Return how the gradient flows back where a model reads its own texts, as far as they are long enough.

    Returns:
        None where the texts are too short or the cells cannot be unrolled.
    """
    for distance in DISTANCES:
        length = WARM_UP + distance + 2
        spans = [
            text[start : start + length]
            for text in texts
            for start in range(0, len(text) - length + 1, max(1, distance // 8))
        ]
        if not spans:
            continue
        chosen = [
            spans[number] for number in np.linspace(0, len(spans) - 1, min(PLACES, len(spans))).astype(int)
        ]
        try:
            return flow_back(model, torch.tensor(chosen).t(), distance=distance)  # (B, T + 1) -> (T + 1, B)
        except ConfigError:
            return None
    return None


def map_of_tokens(vectors: Floats, names: Sequence[str]) -> tuple[Floats, list[str], list[str], float]:
    """Return a flat map of the most frequent tokens.

    Args:
        vectors: (V, E).
        names: V of them; see `most_frequent`.

    Returns:
        Their places (N, 2), names, kinds, and the share of the variance that the map shows.
    """
    chosen = most_frequent(names, MAP_TOKENS)
    points, share = flat_map(vectors[chosen])
    return points, [names[token] for token in chosen], [token_kind(names[token]) for token in chosen], share


def token_kind(name: str) -> str:
    """Return what kind of token a name is: a sort of note event, of character, or a word."""
    if name in ("Rest", "Tie"):
        return "others"
    before, mark, _ = name.partition("_")
    if mark and before.isalpha() and before[0].isupper():
        return {"Pitch": "pitches", "Duration": "durations", "Bar": "bar lines"}.get(before, "others")
    if len(name) != 1:
        return "words" if any(char.isalpha() for char in name) else "others"
    if name.lower() in "aeiouyáéíóúàèìòùäëïöüâêîôûæøå":
        return "vowels"
    return {"L": "consonants", "N": "digits"}.get(unicodedata.category(name)[0], "marks")

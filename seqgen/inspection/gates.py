"""What each cell of a recurrent model does while it reads a text, and which cells watch what.

After Karpathy et al. 2016, who found cells for quotes, brackets, line ends and indentation by eye. Here they
are ranked: a cell is as selective for a mark as its value tells tokens with the mark from those without.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.networks.tasks import LanguageModel
from seqgen.networks.unrolled import LayerStep, unroll

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
FEWEST = 5
"""Tokens with and without a mark, for a ranking that is more than chance."""
QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“"}
OPENING, CLOSING = "([{", ")]}"


class Readings(NamedTuple):
    """What the cells of each layer did, every array (T, H).

    Attributes:
        gates: Of each layer, by name, within 0 and 1; empty for a tanh RNN.
        values: Of each layer: the hidden state, or of an LSTM tanh of its cell state; within ±1.
    """

    gates: list[dict[str, Floats]]
    values: list[Floats]


class Selective(NamedTuple):
    """A cell and how well it tells a mark.

    Attributes:
        layer: From 1.
        cell: From 0.
        score: 0 is chance and 1 perfect: twice the distance of the area under the ROC curve from one half.
        rises: Whether its value is higher where the mark is.
    """

    layer: int
    cell: int
    score: float
    rises: bool


def read_gates(model: LanguageModel, ids: Sequence[int]) -> Readings:
    """Read a document from its beginning.

    Args:
        model: Of plain recurrent cells.
        ids: Its tokens, without EOS, (T,).

    Raises:
        ConfigError: If the model's cells are others.
    """
    with torch.inference_mode():
        start = torch.tensor([[0], *([int(token)] for token in ids)])
        steps = list(unroll(model, start))[1:]
        layers = list(zip(*steps, strict=True))
        gates = [
            {name: torch.cat([step.gates[name] for step in layer]).numpy() for name in layer[0].gates}
            for layer in layers
        ]
        values = [torch.cat([_value(step) for step in layer]).numpy() for layer in layers]
    return Readings(gates, values)


def _value(step: LayerStep) -> torch.Tensor:
    return step.hidden if step.memory is step.hidden else step.memory.tanh()


def find_marks(names: Sequence[str]) -> dict[str, Marks]:
    """Tell of each token whether it is within quotes, within brackets, a line end, and so on, each (T,).

    Args:
        names: The tokens as the vocabulary names them.
    """
    quoted, bracketed, indented = [], [], []
    closing, depth, at_start = "", 0, True
    for name in names:
        for char in name:
            closing = closing.replace(char, "") if closing else QUOTES.get(char, "")
            depth = max(0, depth + (char in OPENING) - (char in CLOSING))
        blank = not name.strip(" \t▁")
        indented.append(at_start and blank)
        at_start = name.endswith("\n") or (at_start and blank)
        quoted.append(bool(closing))
        bracketed.append(depth > 0)
    return {
        "quotes": np.array(quoted, bool),
        "brackets": np.array(bracketed, bool),
        "line ends": np.array(["\n" in name for name in names], bool),
        "indentation": np.array(indented, bool),
        "bar lines": np.array(["|" in name for name in names], bool),
    }


def best_stretch(marks: Mapping[str, Marks], length: int) -> int:
    """Return where the stretch of tokens begins that holds most of all marks, each kind weighing the same.

    Args:
        marks: By name, (T,).
        length: Of the stretch.
    """
    count = max(map(len, marks.values()), default=0)
    starts = np.arange(max(1, count - length + 1))
    shares = np.zeros(len(starts))
    for marked in marks.values():
        sums = np.concatenate([[0], np.cumsum(marked)])
        seen = sums[np.minimum(starts + length, count)] - sums[starts]
        shares += seen / max(1, sums[-1])
    return int(shares.argmax())


def most_selective(
    values: Sequence[Floats], marks: Mapping[str, Marks], *, count: int
) -> dict[str, list[Selective]]:
    """Rank cells by how well their value tells each mark; marks that are too rare are left out.

    Args:
        values: Of each layer, (T, H).
        marks: By name, (T,).
        count: How many cells of each.
    """
    ranked: dict[str, list[Selective]] = {}
    for name, marked in marks.items():
        if min(marked.sum(), (~marked).sum()) < FEWEST:
            continue
        cells = [
            Selective(layer + 1, cell, abs(2 * float(area) - 1), bool(area > 0.5))
            for layer, part in enumerate(values)
            for cell, area in enumerate(areas(part, marked))
        ]
        ranked[name] = sorted(cells, key=lambda cell: -cell.score)[:count]
    return ranked


def areas(values: Floats, marked: Marks) -> Floats:
    """Return of each column the area under its ROC curve: how often a marked value is above another, (H,).

    Args:
        values: (T, H).
        marked: (T,); some are and some are not.
    """
    inside, outside = values[marked], np.sort(values[~marked], axis=0)
    columns = range(values.shape[1])
    below = [np.searchsorted(outside[:, j], inside[:, j], side="left") for j in columns]
    not_above = [np.searchsorted(outside[:, j], inside[:, j], side="right") for j in columns]
    wins = np.array([(a + b).sum() / 2 for a, b in zip(below, not_above, strict=True)])
    result: Floats = wins / (len(inside) * len(outside))
    return result

"""Folds: the parts of a training stream that are left out of it in turn, for models that teach another.

A model's expectations of a text are honest where it has not learned that text. In cross-fitting every token
of the training part is predicted by a model that has seen all but the token's fold.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.errors import ConfigError


class Fold(NamedTuple):
    """One of some parts of equal length, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def span(self, count: int) -> tuple[int, int]:
        """Return where it begins and ends in a stream of `count` tokens."""
        return (self.number - 1) * count // self.of, self.number * count // self.of

    def left_out(self, tokens: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
        """Return a stream without this part."""
        begin, stop = self.span(len(tokens))
        return np.concatenate([tokens[:begin], tokens[stop:]])


def parse_fold(text: str) -> Fold:
    """Read `K/N`.

    Raises:
        ConfigError: If it is not one of at least two parts.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    fold = Fold(*map(int, found.groups())) if found else Fold(1, 1)
    if fold.of < 2 or fold.number > fold.of:
        raise ConfigError(f"training.fold = {text}: expected K/N, such as 2/4 for the second of four parts")
    return fold

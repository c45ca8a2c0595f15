"""Unicode normalisation (NFC) at the speed of text that is already normalised, as nearly all text is.

`unicodedata.normalize` takes 20 to 35 MB/s, because it looks every character up. Only few characters can
change or be changed, the active ones: NFC_Quick_Check is not Yes, or the combining class is not 0 (Unicode
Standard Annex 15). All others are inert: they stay as they are and combine with nothing before them, so it is
enough to normalise each run of active characters together with the one inert character before it.
"""

import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FIRST_ACTIVE = 0x300
"""Every character below is inert."""
_END_ACTIVE = 0x30000
_JAMO_MEDIAL_OR_FINAL = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
_WORTH_A_TABLE = 1 << 20
"""Characters from which looking for active ones beats normalising the whole text."""


def nfc(text: str) -> str:
    """Return a text in normalisation form C."""
    if text.isascii():
        return text
    if len(text) < _WORTH_A_TABLE:
        return unicodedata.normalize("NFC", text)
    return _normalize_runs(text)


def _normalize_runs(text: str) -> str:
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    places = np.flatnonzero(points >= FIRST_ACTIVE)
    table = active_characters()
    places = places[table[np.minimum(points[places], len(table) - 1)]]
    if not len(places):
        return text
    breaks = np.flatnonzero(np.diff(places) > 1) + 1
    pieces = []
    done = 0
    for run in np.split(places, breaks):
        start, stop = max(int(run[0]) - 1, 0), int(run[-1]) + 1
        pieces += [text[done:start], unicodedata.normalize("NFC", text[start:stop])]
        done = stop
    return "".join([*pieces, text[done:]])


def is_inert(char: str) -> bool:
    """Tell whether a character stays as it is under NFC and combines with nothing before it."""
    table = active_characters()
    return char < chr(FIRST_ACTIVE) or not table[min(ord(char), len(table) - 1)]


@lru_cache(maxsize=1)
def active_characters() -> NDArray[np.bool_]:
    """Return, by code point, which characters are active; the last entry stands for all beyond."""
    table = np.zeros(_END_ACTIVE + 1, dtype=bool)
    table[list(_JAMO_MEDIAL_OR_FINAL)] = True
    for point in range(FIRST_ACTIVE, _END_ACTIVE):
        char = chr(point)
        decomposition = unicodedata.decomposition(char)
        if decomposition and decomposition[0] != "<":
            # The second character of a pair may combine with what stands before it.
            table[[int(code, 16) for code in decomposition.split()[1:]]] = True
            table[point] |= unicodedata.normalize("NFC", char) != char
        if unicodedata.combining(char):
            table[point] = True
    return table

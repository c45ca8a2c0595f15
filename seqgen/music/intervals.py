"""Melodies in any key: one symbol a note, made of the interval from the note before and of its rhythm.

Two melodies have the same symbols if one is the other transposed, however their bars, keys and beats are
written. The symbol of a note or rest holds the interval in semitones from the last pitch of the document and
the tokens of duration, tuplet and tie since the note before; for REMI, where a duration follows its note, it
is that of the note before. The first pitch of a document has no interval, and a drum is itself.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqgen.music.pieces import parse_pitch

_OTHER, _PITCH, _REST, _DRUM, _EOS, _UNKNOWN = range(6)
_RHYTHM = ("Duration", "Tuplet", "Tie")
_FIRST_PITCH, _REST_STEP, _FIRST_DRUM, _STEPS = 256, 257, 258, 512  # 1 to 255 are intervals, 128 a unison

UNKNOWN = 1 << 62
"""The symbol of a token that the vocabulary lacks: it may be a note."""

Integers = NDArray[np.int64]


class IntervalReader:
    """Turns note tokens into symbols that do not depend on the key.

    Args:
        tokens: The display form of every id; id 0 ends a document, and 1 is unknown.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        kinds = [token.partition("_")[0] for token in tokens]
        self._size = len(tokens)
        self._values = np.zeros(self._size, dtype=np.int64)
        self._kinds = np.full(self._size, _OTHER)
        self._rhythm = np.array([_RHYTHM.index(kind) if kind in _RHYTHM else -1 for kind in kinds])
        self._kinds[0], self._kinds[1] = _EOS, _UNKNOWN
        for number, (kind, token) in enumerate(zip(kinds, tokens, strict=True)):
            if kind in ("Pitch", "PitchDrum", "NoteOn", "DrumOn"):
                self._kinds[number] = _PITCH if kind in ("Pitch", "NoteOn") else _DRUM
                self._values[number] = _midi(token.partition("_")[2])
            elif kind == "Rest":
                self._kinds[number] = _REST

    def read(self, ids: NDArray[np.unsignedinteger]) -> tuple[Integers, Integers]:
        """Return the symbol of every note, rest, EOS and unknown token, (M,), and where it stands, (M,).

        The symbol of EOS is 0 and no other is; they are not dense.
        """
        kinds = self._kinds[ids]
        places = np.flatnonzero(kinds != _OTHER)
        kinds, values = kinds[places], self._values[ids[places]]
        code = np.zeros(len(places), dtype=np.int64)
        for number in range(len(_RHYTHM)):
            here = np.flatnonzero(self._rhythm[ids] == number)
            note = np.searchsorted(places, here)  # what comes between two notes belongs to the second
            here, note = here[note < len(places)], note[note < len(places)]
            column = np.zeros(len(places), dtype=np.int64)
            column[note] = ids[here]
            code = code * self._size + column
        code = code * _STEPS + _steps(kinds, values)
        code[kinds == _EOS], code[kinds == _UNKNOWN] = 0, UNKNOWN
        return code, places


def _midi(name: str) -> int:
    return int(name) if name.isdigit() else parse_pitch(name).midi


def _steps(kinds: Integers, values: Integers) -> Integers:
    """Return the interval of every symbol, or what stands for it."""
    steps = np.where(kinds == _DRUM, _FIRST_DRUM + values, _REST_STEP)
    pitched = np.flatnonzero(kinds == _PITCH)
    pitches, documents = values[pitched], np.cumsum(kinds == _EOS)[pitched]
    first = np.diff(documents, prepend=-1) > 0
    steps[pitched] = np.where(first, _FIRST_PITCH, np.diff(pitches, prepend=0) + 128)
    return steps

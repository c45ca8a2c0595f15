"""Other encodings of MidiTok, in one stream for all parts as REMI is, with the same grid and parameters.

TSD and MIDI-Like (Oore et al. 2018, "This time with feeling"; Fradet et al. 2023 for TSD) move on in time by
shifts instead of bars and positions, MIDI-Like ends each note by a token of its own, and Structured (Hadjeres
and Crestel 2021, "The piano inpainting application") always writes the same kinds of tokens in turn, without
tempos and meters.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from seqgen.music.remi import RemiEncoding


class TsdEncoding(RemiEncoding):
    """TSD: time shifts and durations."""

    name: ClassVar[str] = "tsd"
    family: ClassVar[str] = "TSD"

    def bar_numbers(self, tokens: Sequence[str]) -> list[int]:
        """Return nothing: it has no bars."""
        return []

    def encode_midi(self, path: Path) -> None:
        """Return None: there is no way but by the piece."""
        return


class MidiLikeEncoding(TsdEncoding):
    """MIDI-Like: notes begin and end by tokens of their own."""

    name: ClassVar[str] = "midilike"
    family: ClassVar[str] = "MIDILike"
    lasting_pedals: ClassVar[bool] = False


class StructuredEncoding(TsdEncoding):
    """Structured: program, pitch, velocity, duration and time shift in turn."""

    name: ClassVar[str] = "structured"
    family: ClassVar[str] = "Structured"
    has_pedals: ClassVar[bool] = False


FAMILIES: dict[str, type[RemiEncoding]] = {
    encoding.name: encoding for encoding in (RemiEncoding, TsdEncoding, MidiLikeEncoding, StructuredEncoding)
}

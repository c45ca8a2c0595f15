"""Note encodings: pieces as token strings. A new one is a class with these members."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from seqgen.errors import TokenError
from seqgen.music.melody import MelodyEncoding, suits_melody
from seqgen.music.pieces import Piece

__all__ = ["NoteEncoding", "count_notes", "note_encoding", "suits_melody"]

NO_SINGLE_STREAM = (
    "its tokens are no single stream: each step holds eight at once, which share one embedding and are drawn "
    "from eight outputs; take remi or tsd, which hold the same notes one token after the other"
)


class NoteEncoding(Protocol):
    """A way to write a piece as tokens of the form Type_Value."""

    @property
    def name(self) -> str:
        """`melody`, `chorale`, `remi`, `tsd`, `midilike` or `structured`."""

    @property
    def voices(self) -> int:
        """How many voices take turns at its pitches, holds and rests; 1 where the order does not tell."""

    def encode(self, piece: Piece) -> list[str]:
        """Return the tokens of a piece; TokenError if it does not suit the encoding."""

    def encode_midi(self, path: Path) -> list[str] | None:
        """Return the tokens of the piece in a MIDI file, None if only the piece tells them."""

    def decode(self, tokens: Sequence[str]) -> Piece:
        """Return the piece of any list of tokens; what makes no sense is passed over."""

    def bar_numbers(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of the bar that each token stands in; nothing if the encoding has no bars."""

    def parameters(self) -> dict[str, Any]:
        """Return plain values from which `note_encoding` rebuilds the encoding."""


def note_encoding(name: str, parameters: Mapping[str, Any] | None = None) -> NoteEncoding:
    """Build an encoding by name.

    Raises:
        TokenError: If there is none of that name, or it does not know a parameter.
    """
    if name == "melody":
        return MelodyEncoding.build(parameters or {})
    if name in ("remi", "tsd", "midilike", "structured"):
        from seqgen.music.midi_tokens import FAMILIES

        return FAMILIES[name].build(parameters or {})
    if name == "chorale":
        from seqgen.music.chorale import ChoraleEncoding

        return ChoraleEncoding.build(parameters or {})
    if name == "octuple":
        raise TokenError(f"note encoding octuple: {NO_SINGLE_STREAM}")
    known = "melody, chorale, remi, tsd, midilike and structured"
    raise TokenError(f"note encoding {name} with parameters {dict(parameters or {})}: known are {known}")


def count_notes(tokens: Sequence[str]) -> int:
    """Count the notes among tokens of any encoding; rests do not count."""
    return sum(token.startswith(("Pitch_", "PitchDrum_", "NoteOn_", "DrumOn_")) for token in tokens)

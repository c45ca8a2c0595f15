"""The REMI encoding (Huang and Yang 2020) of polyphonic and played pieces, by MidiTok.

All parts are one stream: bar, position and tempo tokens, then for each note its program, pitch, velocity
and duration. Round trips keep onsets and durations to the nearest 1/`grid` of a quarter (durations from 4
quarters on to a third of that, from 16 on to quarters, 64 at most), velocities and tempos to the nearest
bin. Parts of the same program become one part, 2/2 becomes 4/4, and keys, part names, bar lines and
spelling are left out; spelling is guessed anew when decoding.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from seqgen.errors import TokenError
from seqgen.music.midi import piece_of_score, score_of_piece
from seqgen.music.pieces import Meter, Piece
from seqgen.music.playback import join_ties

if TYPE_CHECKING:
    from symusic import Score

MOST_BEATS = {4: 12, 8: 15, 16: 15}
"""The meters that have a token, by their unit; others are read as if the one before went on."""


@dataclass(frozen=True, slots=True)
class RemiEncoding:
    """REMI with the parameters below."""

    grid: int = 12
    """Positions a quarter; 12 holds sixteenths and triplets of eighths."""
    velocities: int = 16
    slowest_bpm: int = 30
    fastest_bpm: int = 300

    name: ClassVar[str] = "remi"
    family: ClassVar[str] = "REMI"
    """MidiTok's class."""
    voices: ClassVar[int] = 1

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        """Build it from what `parameters` returned.

        Raises:
            TokenError: If a parameter is unknown or out of range.
        """
        known = {field.name for field in fields(cls)}
        if not set(parameters) <= known or not all(isinstance(v, int) and v > 0 for v in parameters.values()):
            raise TokenError(
                f"{cls.name} encoding with {dict(parameters)}: known are {', '.join(sorted(known))}"
            )
        return cls(**parameters)

    def parameters(self) -> dict[str, Any]:
        """Return what rebuilds it."""
        return asdict(self)

    def encode(self, piece: Piece) -> list[str]:
        """Return the tokens of any piece; repeats are not played out."""
        parts = tuple(replace(part, notes=join_ties(part.notes)) for part in piece.parts)
        meters = tuple((onset, in_quarters(meter) if meter else None) for onset, meter in piece.meters)
        return miditok_tokens(score_of_piece(replace(piece, parts=parts, meters=meters), self.grid), self)

    def encode_midi(self, path: Path) -> list[str] | None:
        """Return the tokens of the piece in a MIDI file, by a shorter way where there is one."""
        from seqgen.music.remi_midi import midi_tokens

        return midi_tokens(path, self)

    def decode(self, tokens: Sequence[str]) -> Piece:
        """Return the piece of any tokens at all; misplaced ones are passed over."""
        tokenizer = _tokenizer(self)
        ids = [tokenizer.vocab[token] for token in tokens if token in tokenizer.vocab]
        return piece_of_score(tokenizer.decode(ids)) if ids else Piece(parts=())

    def bar_numbers(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of the bar that each token stands in."""
        return list(accumulate(token.startswith("Bar_") for token in tokens))


def miditok_tokens(score: "Score", encoding: RemiEncoding) -> list[str]:
    """Return the tokens that MidiTok makes of a score of `grid` ticks a quarter."""
    tokens: list[str] = _tokenizer(encoding).encode(score).tokens
    return tokens


def in_quarters(meter: Meter) -> Meter:
    """Write 3/2 as 6/4: MidiTok lays its grid over the meter's unit, and halves would make it too coarse."""
    if meter.unit >= 4:
        return meter
    return Meter(meter.beats * 4 // meter.unit, 4)


def _midi_tok() -> Any:
    """Import MidiTok without its data loaders, which would load torch: it takes them for not installed."""
    loaders = "miditok.pytorch_data"
    if "miditok" in sys.modules:
        return sys.modules["miditok"]
    modules: dict[str, Any] = sys.modules
    modules[loaders] = None
    try:
        return import_module("miditok")
    finally:
        del modules[loaders]


@lru_cache(maxsize=4)
def _tokenizer(encoding: RemiEncoding) -> Any:
    miditok = _midi_tok()
    return getattr(miditok, encoding.family)(
        miditok.TokenizerConfig(
            pitch_range=(0, 127),
            drums_pitch_range=(0, 127),
            beat_res={(0, 4): encoding.grid, (4, 16): max(1, encoding.grid // 3), (16, 64): 1},
            num_velocities=encoding.velocities,
            use_programs=True,
            one_token_stream_for_programs=True,
            use_tempos=True,
            num_tempos=encoding.fastest_bpm - encoding.slowest_bpm + 1,
            tempo_range=(encoding.slowest_bpm, encoding.fastest_bpm),
            use_time_signatures=True,
            time_signature_range={unit: list(range(1, most + 1)) for unit, most in MOST_BEATS.items()},
        )
    )

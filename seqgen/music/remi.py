"""The REMI encoding (Huang and Yang 2020) of polyphonic and played pieces, by MidiTok.

All parts are one stream: bar, position and tempo tokens, then for each note its program, pitch, velocity
and duration. Round trips keep onsets and durations to the nearest 1/`grid` of a quarter (durations from 4
quarters on to a third of that, from 16 on to quarters, 64 at most), velocities and tempos to the nearest
bin, and sustain pedals, if wanted, to the same places as notes. Parts of the same program become one part,
2/2 becomes 4/4, and keys, part names, bar lines and spelling are left out; spelling is guessed anew when
decoding.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from seqgen.errors import TokenError
from seqgen.music.midi import piece_of_score, score_of_piece
from seqgen.music.pieces import Meter, Part, Piece
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
    """How many are told apart; 0 leaves them out, and notes have none when decoded."""
    slowest_bpm: int = 30
    fastest_bpm: int = 300
    programs: bool = True
    """Without programs all parts become one of program 0, and drums are left out."""
    tempos: bool = True
    pedals: bool = False

    name: ClassVar[str] = "remi"
    family: ClassVar[str] = "REMI"
    """MidiTok's class."""
    has_pedals: ClassVar[bool] = True
    lasting_pedals: ClassVar[bool] = True
    """Whether a pedal has a duration, as notes have, and no token for its end."""
    voices: ClassVar[int] = 1

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        """Build it from what `parameters` returned.

        Raises:
            TokenError: If a parameter is unknown or out of range, or the family has no pedals.
        """
        defaults = asdict(cls())
        if not all(_fits(name, value, defaults.get(name)) for name, value in parameters.items()):
            known = ", ".join(sorted(defaults))
            raise TokenError(f"{cls.name} encoding with {dict(parameters)}: known are {known}")
        if parameters.get("pedals") and not cls.has_pedals:
            raise TokenError(f"the {cls.name} encoding has no pedals; use remi, tsd or midilike")
        return cls(**parameters)

    def parameters(self) -> dict[str, Any]:
        """Return what rebuilds it; what is kept or left out is named only where it is not the default."""
        defaults = asdict(type(self)())
        values = asdict(self).items()
        return {name: v for name, v in values if not isinstance(v, bool) or v != defaults[name]}

    def encode(self, piece: Piece) -> list[str]:
        """Return the tokens of any piece; repeats are not played out.

        Raises:
            TokenError: If there are no programs, and it has only drums.
        """
        parts = tuple(
            replace(part, notes=join_ties(part.notes), pedals=part.pedals if self.pedals else ())
            for part in piece.parts
        )
        if not self.programs:
            parts = (_joined(parts),)
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
        if not ids:
            return Piece(parts=())
        piece = piece_of_score(tokenizer.decode(ids if self.programs else [ids]))
        if not self.tempos:
            piece = replace(piece, tempos=())
        return piece if self.velocities else _without_velocities(piece)

    def bar_numbers(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of the bar that each token stands in."""
        return list(accumulate(token.startswith("Bar_") for token in tokens))


def _fits(name: str, value: object, default: object) -> bool:
    """Tell whether a parameter is of the type of its default and in range."""
    if type(value) is not type(default):
        return False
    if isinstance(value, bool):
        return True
    return isinstance(value, int) and value >= (0 if name == "velocities" else 1)


def miditok_tokens(score: "Score", encoding: RemiEncoding) -> list[str]:
    """Return the tokens that MidiTok makes of a score of `grid` ticks a quarter."""
    found = _tokenizer(encoding).encode(score)
    tokens: list[str] = (found if encoding.programs else found[0]).tokens
    return tokens


def _joined(parts: Sequence[Part]) -> Part:
    """Make one part of all but drums."""
    pitched = [part for part in parts if not part.is_drum]
    sounding = [(note, note.pitch) for part in pitched for note in part.notes if note.pitch]
    if not sounding:
        raise TokenError("it holds no notes but of drums, which only programs tell apart; keep programs")
    sounding.sort(key=lambda pair: (pair[0].onset, pair[1].midi, pair[0].duration))
    pedals = sorted(pedal for part in pitched for pedal in part.pedals)
    return Part(tuple(note for note, _ in sounding), pedals=tuple(pedals))


def _without_velocities(piece: Piece) -> Piece:
    parts = (
        replace(part, notes=tuple(replace(note, velocity=None) for note in part.notes))
        for part in piece.parts
    )
    return replace(piece, parts=tuple(parts))


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
            use_velocities=encoding.velocities > 0,
            num_velocities=max(1, encoding.velocities),
            use_programs=encoding.programs,
            one_token_stream_for_programs=encoding.programs,
            use_sustain_pedals=encoding.pedals,
            sustain_pedal_duration=encoding.pedals and encoding.lasting_pedals,
            use_tempos=encoding.tempos,
            num_tempos=encoding.fastest_bpm - encoding.slowest_bpm + 1,
            tempo_range=(encoding.slowest_bpm, encoding.fastest_bpm),
            use_time_signatures=True,
            time_signature_range={unit: list(range(1, most + 1)) for unit, most in MOST_BEATS.items()},
        )
    )

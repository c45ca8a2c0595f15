"""The fields of ABC headers (K: M: L: Q: V:) as values, after standard 2.1 and the older forms in use.

Every function raises ValueError with a reason; the reader adds the place.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from seqgen.music.pieces import METER_UNITS, SEMITONES, Key, Meter, parse_meter

_TONIC = re.compile(r"(?:(HP|Hp)|([A-H])(#|b|s|es|is|n|♯|♭)?)\s*([A-Za-z]*)")
_SIGNS = {"#": "#", "♯": "#", "is": "#", "b": "b", "♭": "b", "s": "b", "es": "b", "n": "", None: ""}
_MODES = {
    "": "major",
    "maj": "major",
    "ion": "major",
    "m": "minor",
    "min": "minor",
    "aeo": "minor",
    "dor": "dorian",
    "phr": "phrygian",
    "lyd": "lydian",
    "mix": "mixolydian",
    "loc": "locrian",
}
_NOT_MODES = re.compile(
    r"(exp|treble|bass|alto|tenor|perc|none|clef|oct|trans|mid|staff|sta|sco|sou|shi)", re.I
)
_ACCIDENTAL = re.compile(r"(?<![\w\"])(\^\^|\^|__|_|=)([A-Ga-g])(?![\w=])")
_OCTAVE = re.compile(r"\boctave=(-?\d)")
_CLEF_OCTAVE = re.compile(r"\b(?:treble|bass|alto|tenor)\d?([+-])8")
_TRANSPOSE = re.compile(r"\btranspose=(-?\d+)")
ALTERS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}


@dataclass(frozen=True, slots=True)
class KeyField:
    """What a K: field says. `sets_key` is False where it only names a clef."""

    key: Key | None
    accidentals: tuple[tuple[str, int], ...] = ()
    sets_key: bool = True


def read_key(text: str) -> KeyField:
    """Read a K: field: `D`, `Ador`, `G Mixolydian`, `HP`, `none`, `D exp _b ^f`, with or without a clef."""
    text = text.strip()
    accidentals = _read_accidentals(text)
    if not text or text.lower().startswith("none"):
        return KeyField(None, accidentals)
    match = _TONIC.match(text)
    if match is not None:  # an accidental may follow the mode at once, as in Dmix=c
        accidentals = _read_accidentals(text[match.end() :])
    if match is None or (_NOT_MODES.match(text) and match[4] != ""):
        if _NOT_MODES.match(text) or accidentals:
            return KeyField(None, accidentals, sets_key=bool(accidentals))
        raise ValueError(f"unknown key {text[:20]!r}")
    if match[1]:
        return KeyField(Key("A", "mixolydian"), accidentals)  # the Highland pipes: F and C sharp, G natural
    if match[4].lower() == "exp":
        return KeyField(None, accidentals)
    tonic = match[2].replace("H", "B") + _SIGNS[match[3]]
    return KeyField(Key(tonic, _read_mode(match[4], text)), accidentals)


def _read_accidentals(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((step.upper(), ALTERS[sign]) for sign, step in _ACCIDENTAL.findall(text))


def _read_mode(word: str, text: str) -> str:
    if word == "M" or _NOT_MODES.match(word):
        return "major"
    mode = _MODES.get(word.lower()[:3])
    if mode is None:
        raise ValueError(f"unknown mode in key {text[:20]!r}")
    return mode


def signature(field: KeyField) -> dict[str, int]:
    """Return how the field alters each step."""
    alters = {step: field.key.alter(step) if field.key else 0 for step in SEMITONES}
    return alters | dict(field.accidentals)


def octave_shift(text: str) -> int | None:
    """Return by how many octaves a K: or V: field (`octave=-1`) moves its notes; None if unsaid."""
    octave = _OCTAVE.search(text)
    clef = _CLEF_OCTAVE.search(text)
    if octave is None and clef is None:
        return None
    return (int(octave[1]) if octave else 0) + (int(clef[1] + "1") if clef else 0)


def transposes(text: str) -> bool:
    """Say whether a K: or V: field asks for a transposition, which is not carried out."""
    return any(int(amount) for amount in _TRANSPOSE.findall(text))


def read_meter(text: str) -> Meter | None:
    """Read an M: field: `6/8`, `C`, `C|`, `2+3/8`, `2/4 3/4`, `none`, or a number alone, of halves."""
    text = text.strip()
    if not text or text.lower().startswith(("none", "frei")):  # "frei" is the Essen collection's word for it
        return None
    if re.fullmatch(r"\d+/\d+(\s+\d+/\d+)+", text):
        return None  # of meters that take turns none is in force throughout
    if text in ("C", "c"):
        return Meter(4, 4)
    if text in ("C|", "c|"):
        return Meter(2, 2)
    beats, slash, unit = re.sub(r"[\s()]", "", text).partition("/")
    if not slash:
        unit = "2"  # as abcm2ps has it
    sums = beats.split("+")
    if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in [*sums, unit]):
        raise ValueError(f"unknown meter {text[:20]!r}")
    try:
        return parse_meter(f"{sum(map(int, sums))}/{int(unit)}")
    except ValueError as error:
        raise ValueError(f"unknown meter {text[:20]!r}") from error


def read_unit(text: str) -> Fraction:
    """Read an L: field, the length of a plain note, as quarters."""
    match = re.fullmatch(r"\s*(\d{1,3})\s*(?:/\s*(\d{1,3}))?\s*", text)
    if (
        match is None
        or not int(match[1])
        or (match[2] is not None and int(match[2]) not in (*METER_UNITS, 128))
    ):
        raise ValueError(f"unknown unit note length {text.strip()[:20]!r}")
    return Fraction(4 * int(match[1]), int(match[2] or 1))


def default_unit(meter: Meter | None) -> Fraction:
    """Return the unit note length where no L: field gives one, as quarters."""
    return Fraction(1, 4) if meter is not None and meter.bar_quarters < 3 else Fraction(1, 2)


def read_tempo(text: str, unit: Fraction) -> float | None:
    """Read a Q: field (`1/4=120`, `3/8=60 "Lively"`, `120`, `C3=40`) as quarters a minute; None for words."""
    text = re.sub(r'"[^"]*"?', " ", text).strip()
    beats, equals, rate = text.rpartition("=")
    match = re.match(r"\s*(\d{1,4}(?:\.\d{1,3})?)", rate if equals else text)
    if match is None:
        return None
    quarters = sum(
        (Fraction(4 * int(a), int(b)) for a, b in re.findall(r"(\d{1,3})/([1-9]\d{0,2})", beats)), Fraction()
    )
    if equals and not quarters:
        count = re.search(r"\d{1,2}", beats)
        quarters = unit * (int(count[0]) if count else 1)
    bpm = float(match[1]) * float(quarters if equals else unit)
    return round(bpm, 3) if 4 <= bpm <= 1000 else None

"""Scales: which pitches belong to one, given the key."""

from collections.abc import Callable

from seqgen.music.abc_fields import read_key
from seqgen.music.pieces import MODES, SEMITONES, Key, Pitch, parse_key

_GAPPED = {
    "pentatonic": ((0, 2, 4, 7, 9), (0, 3, 5, 7, 10)),
    "blues": ((0, 2, 3, 4, 7, 9), (0, 3, 5, 6, 7, 10)),
}
"""Semitones above the tonic, in keys with a major and with a minor third."""
_WITH_MAJOR_THIRD = ("major", "lydian", "mixolydian")
SCALES = ("key", *MODES, *_GAPPED, "chromatic")
"""`key` is that of the key itself, the other ones are built on its tonic."""


def parse_key_name(text: str) -> Key:
    """Read a key as musicians write it: G, Bb, F#m, Am, Ador, Gmix, "D minor", or as a token has it, D-minor.

    Raises:
        ValueError: If it is none.
    """
    try:
        return parse_key(text)
    except ValueError:
        key = read_key(text).key
    if key is None or text.lower().startswith("h"):
        raise ValueError(f"{text!r} is no key")
    return key


def pitch_class(tonic: str) -> int:
    """Return the semitones from C up to a note without octave, such as F# or Bb.

    Raises:
        ValueError: If it is none.
    """
    if tonic[:1] not in SEMITONES or tonic[1:] not in ("", "#", "b", "##", "bb"):
        raise ValueError(f"{tonic!r} is no note")
    return (SEMITONES[tonic[0]] + tonic.count("#") - tonic[1:].count("b")) % 12


def scale_of(name: str, key: Key) -> Callable[[Pitch], bool]:
    """Return what tells whether a pitch is in a scale; one of seven notes also says how they are spelled.

    Args:
        name: One of `SCALES`.
        key: Gives the tonic, and the scale for `key`.
    """
    if name == "chromatic":
        return lambda pitch: True
    if name in _GAPPED:
        steps = _GAPPED[name][key.mode not in _WITH_MAJOR_THIRD]
        tonic = pitch_class(key.tonic)
        return lambda pitch: (pitch.midi - tonic) % 12 in steps
    scale = key if name == "key" else Key(key.tonic, name)
    return lambda pitch: pitch.alter == scale.alter(pitch.step)

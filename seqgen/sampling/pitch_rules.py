"""Which pitches a key, scale and range leave, for encodings that write pitches as MIDI numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqgen.music.pieces import Key, Pitch, spelling
from seqgen.music.scales import pitch_class, scale_of
from seqgen.sampling.tune_wishes import ImpossibleError, TuneRules, joined


def pitch_of(midi: int) -> Pitch:
    """Return a pitch, spelled as in C."""
    return spelling(0)[midi]


def scale_classes(name: str, key: Key) -> frozenset[int]:
    """Return the semitones from C up to each note of a scale, whatever its spelling."""
    belongs = scale_of(name, key)
    spelled = (spelling(fifths)[60 + step] for fifths in range(-7, 8) for step in range(12))
    return frozenset(pitch.midi % 12 for pitch in spelled if belongs(pitch))


def allowed_pitches(
    rules: TuneRules, heights: Sequence[int], key: Key | None, *, silent: bool
) -> NDArray[np.bool_]:
    """Return which pitches may be, (P,).

    Args:
        rules: Of them the scale and the range.
        heights: The pitches, as MIDI numbers.
        key: That of the tune; None where no scale needs one.
        silent: Whether the key is in no token: then it stands for its scale unless another is asked.

    Raises:
        ImpossibleError: If none may be.
    """
    if not heights:
        raise ImpossibleError("the vocabulary has no pitches")
    low, high = rules.parsed("range") or (0, 127)
    inside = np.array([low <= height <= high for height in heights], np.bool_)
    if not inside.any():
        lowest, highest = (pitch_of(height).name for height in (min(heights), max(heights)))
        raise ImpossibleError(f"--range {rules.range}: the model's pitches go from {lowest} to {highest}")
    scale = rules.scale or ("key" if silent and key is not None else "chromatic")
    if scale == "chromatic" or key is None:
        return inside
    classes = scale_classes(scale, key)
    return inside & np.array([height % 12 in classes for height in heights], np.bool_)


def ending_class(rules: TuneRules, key: Key | None) -> int | None:
    """Return the semitones from C up to the note that is to be the last; None if it may be any."""
    if rules.end_on is None:
        return None
    if rules.end_on != "tonic":
        return pitch_class(rules.end_on)
    return None if key is None else pitch_class(key.tonic)


def needs_key(rules: TuneRules) -> str | None:
    """Return the option that speaks of the key of a tune, None if there is none."""
    if rules.scale not in (None, "chromatic"):
        return joined(rules, ["scale"])
    return joined(rules, ["end_on"]) if rules.end_on == "tonic" else None


def none_so(rules: TuneRules) -> ImpossibleError:
    """Return the error that no pitch is as asked."""
    names = [name for name in ("key", "scale", "range", "end_on") if name in rules.given]
    return ImpossibleError(f"{joined(rules, names)}: none of the model's pitches are so")

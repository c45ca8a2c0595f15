"""Sound small enough for a page: MP3 through libsndfile (soundfile, an extra), else a WAV file."""

import io
from importlib.util import find_spec

from seqgen.music.pieces import Piece
from seqgen.music.sound import render, wav_bytes

RATE = 22_050
"""Samples a second; plucked strings lose little above 11 kHz."""


def small_sound(piece: Piece) -> tuple[bytes, str]:
    """Return a piece as an audio file and its media type."""
    samples = render(piece, RATE)
    if find_spec("soundfile") is None:
        return wav_bytes(samples, RATE), "audio/wav"
    import soundfile

    if "MP3" not in soundfile.available_formats():
        return wav_bytes(samples, RATE), "audio/wav"
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3")
    return file.getvalue(), "audio/mpeg"

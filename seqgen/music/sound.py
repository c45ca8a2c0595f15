"""A piece as sound: plucked strings in numpy, without soundfonts, and as a WAV file.

A string plucked at one place rings in modes whose frequencies are multiples of the pitch and which fade the
faster the higher they are (Fletcher and Rossing 1998, ch. 2). Adding them up keeps every pitch exact, where a
delay line (Karplus and Strong 1983) rounds it to whole samples.
"""

import io
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqgen.errors import ConfigError, CorpusError
from seqgen.music.midi import VELOCITY
from seqgen.music.pieces import Note, Piece
from seqgen.music.playback import DEFAULT_TEMPO, played

Signal = NDArray[np.float32]

RATE = 44_100
"""Samples a second."""
LONGEST_MINUTES = 60
_PEAK = 0.7  # of full scale, -3 dB
_MODES = 24
_PLUCKED_AT = 0.21  # of the string's length: its fifth mode is nearly silent
_RELEASE_S = 0.05  # how fast a string falls silent when it is let go
_TAIL_S = 0.6
_KICKS = frozenset({35, 36, 41, 43, 45, 47, 48, 50})
"""Bass drums and toms of General MIDI; the rest of the kit is noise."""
_METALS = frozenset({42, 44, 46, 49, 51, 52, 53, 54, 55, 56, 57, 59})


def render(piece: Piece, rate: int = RATE) -> Signal:
    """Return a piece as it sounds: one channel of samples between -1 and 1.

    Repeats are played out, ties joined; for a piece without a tempo see `usual_tempo`.

    Raises:
        CorpusError: If it lasts longer than an hour.
    """
    sounding = played(piece)
    seconds = clock(sounding.tempos)
    length_s = seconds(sounding.duration) + _TAIL_S
    if length_s > 60 * LONGEST_MINUTES:
        raise CorpusError(
            f"{piece.title or 'the piece'}: {length_s / 60:.0f} minutes of sound; "
            f"at most {LONGEST_MINUTES} are written"
        )
    mixed = np.zeros(round(length_s * rate), dtype=np.float32)
    for part in sounding.parts:
        strike = _drum if part.is_drum else _pluck
        _play(mixed, part.notes, seconds, strike, rate)
    peak = float(np.abs(mixed).max(initial=0.0))
    return mixed * np.float32(_PEAK / peak) if peak else mixed


def clock(tempos: Sequence[tuple[Fraction, float]]) -> Callable[[Fraction], float]:
    """Return the function from quarters to seconds that the tempos (quarters a minute) make."""
    starts, bpms, passed = [0.0], [DEFAULT_TEMPO], [0.0]
    for onset, bpm in tempos:
        if onset:
            passed.append(passed[-1] + (float(onset) - starts[-1]) * 60 / bpms[-1])
            starts.append(float(onset))
            bpms.append(bpm)
        else:
            bpms[0] = bpm

    def seconds(quarters: Fraction) -> float:
        place = int(np.searchsorted(starts, float(quarters), side="right")) - 1
        return passed[place] + (float(quarters) - starts[place]) * 60 / bpms[place]

    return seconds


def _play(
    mixed: Signal,
    notes: Sequence[Note],
    seconds: Callable[[Fraction], float],
    strike: Callable[[int, int, int], Signal],
    rate: int,
) -> None:
    """Add notes to the mix. Each pitch is made once, as long as its longest note needs it."""
    events: dict[int, list[tuple[int, int, float]]] = {}
    for note in notes:
        if note.pitch is not None:
            start, held = round(seconds(note.onset) * rate), seconds(note.end) - seconds(note.onset)
            loudness = ((note.velocity or VELOCITY) / 127) ** 1.5
            events.setdefault(note.pitch.midi, []).append((start, round(held * rate), loudness))
    release = np.exp(-np.arange(round(_TAIL_S / 2 * rate)) / (_RELEASE_S * rate)).astype(np.float32)
    for midi, struck in events.items():
        ringing = strike(midi, max(held for _, held, _ in struck) + len(release), rate)
        for start, held, loudness in struck:
            sound = ringing[: held + len(release)] * np.float32(loudness)
            sound[held:] *= release[: max(0, len(sound) - held)]
            room = mixed[start : start + len(sound)]
            room += sound[: len(room)]


def _pluck(midi: int, samples: int, rate: int) -> Signal:
    """Return the sound of a string; low strings ring longer than high ones."""
    pitch_hz = 440.0 * 2 ** ((midi - 69) / 12)
    ring_s = 1.4 * (220 / pitch_hz) ** 0.5
    time_s = np.arange(min(samples, round(7 * ring_s * rate))) / rate
    sound = np.zeros(len(time_s), dtype=np.float32)
    for mode in range(1, _MODES + 1):
        if mode * pitch_hz > 0.45 * rate:
            break
        strength = np.sin(np.pi * mode * _PLUCKED_AT) / mode
        fade = (1 + 0.12 * (mode - 1) ** 1.3) / ring_s
        sound += (strength * np.exp(-fade * time_s) * np.sin(2 * np.pi * mode * pitch_hz * time_s)).astype(
            np.float32
        )
    return sound


def _drum(midi: int, samples: int, rate: int) -> Signal:
    """Return a struck drum: a falling tone for bass drums and toms, noise for the others."""
    time_s = np.arange(min(samples, round(0.5 * rate))) / rate
    if midi in _KICKS:
        sweep = (45 + 2.2 * (midi - 35)) * time_s + 4.0 * (1 - np.exp(-time_s / 0.03)) * 0.3
        return (np.exp(-time_s / 0.12) * np.sin(2 * np.pi * sweep)).astype(np.float32)
    noise = np.random.default_rng(midi).uniform(-1, 1, len(time_s))
    if midi in _METALS:
        noise = np.diff(noise, prepend=0.0)  # takes the low end away
    fade_s = 0.15 if midi in (46, 49, 51, 52, 55, 57, 59) else 0.03 if midi in _METALS else 0.06
    return (0.5 * np.exp(-time_s / fade_s) * noise).astype(np.float32)


def wav_bytes(samples: Signal, rate: int = RATE) -> bytes:
    """Return samples between -1 and 1 as a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def play_soundfont(midi: bytes, soundfont: Path, rate: int = RATE) -> bytes:
    """Return a WAV file of a MIDI file played by FluidSynth.

    Raises:
        ConfigError: If FluidSynth is not installed, or the soundfont is none.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise ConfigError("--soundfont: the program fluidsynth is not installed; without it, strings play")
    with tempfile.TemporaryDirectory(prefix="seqgen-") as folder:
        score, sound = Path(folder, "tune.mid"), Path(folder, "tune.wav")
        score.write_bytes(midi)
        options = ["-n", "-i", "-q", "-T", "wav", "-r", str(rate), "-F", str(sound)]
        command = [program, *options, str(soundfont), str(score)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (a list)
        if not sound.is_file() or "Failed to load" in done.stderr or not soundfont.is_file():
            raise ConfigError(f"{soundfont}: FluidSynth cannot load it as a soundfont")
        return sound.read_bytes()

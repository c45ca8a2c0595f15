"""Pieces as sound: pitch, time, loudness."""

import io
import wave
from fractions import Fraction

import numpy as np
import pytest

from seqgen.errors import ConfigError, CorpusError
from seqgen.music.abc_reader import read_tune
from seqgen.music.pieces import Note, Part, Piece, Pitch
from seqgen.music.sound import clock, play_soundfont, render, wav_bytes

RATE = 22_050


def tune(music, fields=""):
    return read_tune(f"X:1\nM:4/4\nL:1/4\n{fields}K:C\n{music}", source="tune")


def pitch_hz(samples):
    """The lowest strong frequency, by the spectrum."""
    window = samples * np.hanning(len(samples))
    strength = np.abs(np.fft.rfft(window, 8 * len(samples)))
    first = np.flatnonzero(strength > 0.5 * strength.max())[0]
    peak = first + strength[first : first + 40].argmax()
    return peak * RATE / (8 * len(samples))


@pytest.mark.parametrize(("note", "hz"), [("A", 440.0), ("^c", 554.365), ("C,,", 65.406), ("b''", 3951.07)])
def test_a_note_has_its_pitch_to_three_cents(note, hz):
    samples = render(tune(f"{note}4 |]"), RATE)
    assert abs(1200 * np.log2(pitch_hz(samples[:RATE]) / hz)) < 3


def test_notes_begin_when_the_tempo_says():
    samples = render(tune("A z z [Q:1/4=60] A | z z z e |]", "Q:1/4=120\n"), RATE)
    hop = RATE // 50
    level = np.abs(samples[: len(samples) // hop * hop]).reshape(-1, hop).max(axis=1)
    begins = [k / 50 for k in range(1, len(level)) if level[k] > 0.2 and level[k] > 3 * level[k - 1]]
    assert level[0] > 0.2
    assert begins == pytest.approx([1.5, 5.5], abs=0.02)


def test_the_clock_equals_counting_in_small_steps():
    tempos = ((Fraction(0), 90.0), (Fraction(5, 2), 60.0), (Fraction(4), 200.0))
    seconds = clock(tempos)
    step, passed = Fraction(1, 20), 0.0
    for k in range(140):
        now = k * step
        assert seconds(now) == pytest.approx(passed, abs=1e-9)
        passed += float(step) * 60 / [bpm for onset, bpm in tempos if onset <= now][-1]


def test_repeats_are_played_out_and_ties_joined():
    once, twice = render(tune("ABcd |]"), RATE), render(tune("|: ABcd :|"), RATE)
    assert len(twice) - len(once) == 2 * RATE
    tied, whole = render(tune("A2- A2 |]"), RATE), render(tune("A4 |]"), RATE)
    np.testing.assert_array_equal(tied, whole)


def test_soft_notes_are_softer_and_the_peak_is_not_full_scale():
    def played(onset, velocity):
        return Note(Fraction(onset), Fraction(1), Pitch("A", 0, 4), velocity=velocity)

    samples = render(Piece(parts=(Part((played(0, 100), played(4, 40))),)), RATE)
    loud, soft = np.abs(samples[:RATE]).max(), np.abs(samples[2 * RATE :]).max()
    assert loud == pytest.approx(0.7)
    assert soft / loud == pytest.approx((40 / 100) ** 1.5, rel=1e-3)


def test_drums_make_noise_and_the_same_noise_every_time():
    piece = tune("%%MIDI channel 10\nC, D, F G |]")
    assert piece.parts[0].is_drum
    np.testing.assert_array_equal(render(piece, RATE), render(piece, RATE))
    assert np.abs(render(piece, RATE)).max() > 0.5


def test_more_than_an_hour_is_refused():
    long = Piece(parts=(Part((Note(Fraction(0), Fraction(9000), Pitch("A", 0, 4)),)),), title="Drone")
    with pytest.raises(CorpusError, match="Drone: 75 minutes of sound; at most 60 are written"):
        render(long, RATE)


def test_a_wav_file_holds_the_samples_as_16_bits():
    samples = np.array([0.0, 0.5, -1.0, 1.0], dtype=np.float32)
    with wave.open(io.BytesIO(wav_bytes(samples, RATE))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert np.frombuffer(file.readframes(9), "<i2").tolist() == [0, 16384, -32767, 32767]


def test_a_missing_fluidsynth_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="fluidsynth is not installed"):
        play_soundfont(b"", tmp_path / "font.sf2")

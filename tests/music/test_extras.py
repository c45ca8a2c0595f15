import io
import wave

import pytest

from seqgen.music import compress, engrave
from tests.sampling.models import TUNE, abc_piece


def test_without_soundfile_a_sound_is_a_wav_file(monkeypatch):
    monkeypatch.setattr(compress, "find_spec", lambda _: None)
    content, kind = compress.small_sound(abc_piece(TUNE))
    assert kind == "audio/wav"
    with wave.open(io.BytesIO(content)) as file:
        assert file.getframerate() == compress.RATE


def test_with_soundfile_it_is_a_fraction_of_that(monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile writes no MP3")
    small, kind = compress.small_sound(abc_piece(TUNE))
    monkeypatch.setattr(compress, "find_spec", lambda _: None)
    assert kind == "audio/mpeg"
    assert 4 * len(small) < len(compress.small_sound(abc_piece(TUNE))[0])


def test_notation_holds_every_note_and_is_taller_where_it_is_narrow():
    pytest.importorskip("verovio")
    piece = abc_piece(TUNE)
    wide, narrow = (engrave.engrave(piece, width_mm=width) for width in (engrave.WIDE_MM, engrave.NARROW_MM))
    assert wide.startswith("<svg")
    assert wide.count('class="note"') == narrow.count('class="note"') == piece.note_count
    assert wide.count('class="system"') < narrow.count('class="system"')

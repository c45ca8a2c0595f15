"""MIDI files to REMI tokens by arrays, compared with MidiTok on their pieces."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Score, Tempo, TimeSignature, Track

from seqgen.errors import CorpusError
from seqgen.music.read import MusicUnit, parse_unit
from seqgen.music.remi import RemiEncoding
from seqgen.music.remi_midi import midi_tokens
from tests.data.real import real

ENCODING = RemiEncoding()


def write(path, tracks, *, ticks=480, meters=((0, 4, 4),), tempos=((0, 97.0),)):
    """Write a MIDI file; a track is a program (None for drums) and rows of time, length, pitch, velocity."""
    score = Score(ticks)
    score.time_signatures.extend([TimeSignature(*meter) for meter in meters])
    score.tempos.extend([Tempo(*tempo) for tempo in tempos])
    for program, rows in tracks:
        track = Track("", program or 0, program is None)
        track.notes.extend([Note(*row) for row in rows])
        score.tracks.append(track)
    Path(path).write_bytes(score.dumps_midi())
    return Path(path)


def slowly(path, encoding=ENCODING):
    return encoding.encode(parse_unit(MusicUnit(path)))


rows = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(1, 3000), st.integers(0, 127), st.integers(1, 127)),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[2],  # a pitch that begins again while it sounds means something else in MIDI
)
programs = st.sampled_from([None, 0, 0, 7, 40])
meters = st.sampled_from(
    [
        ((0, 4, 4),),
        ((0, 6, 8),),
        ((0, 2, 2),),
        ((0, 1, 4), (480, 4, 4)),
        ((0, 3, 8), (720, 6, 8), (720 + 1440, 9, 8)),
        ((0, 3, 4), (10 * 1440, 2, 4)),
    ]
)


@settings(max_examples=80)
@given(st.lists(st.tuples(programs, rows), min_size=1, max_size=3), meters, st.sampled_from([4, 12]))
def test_arrays_make_the_tokens_that_miditok_makes(tmp_path_factory, tracks, meters, grid):
    path = write(tmp_path_factory.mktemp("midi") / "a.mid", tracks, meters=meters)
    encoding = RemiEncoding(grid=grid)
    found = midi_tokens(path, encoding)
    if len({pitch for _, rows in tracks for _, _, pitch, _ in rows}) == sum(len(rows) for _, rows in tracks):
        assert found is not None
        assert found == slowly(path, encoding)


@pytest.mark.parametrize(
    "odd",
    [
        {"tempos": ((0, 90.0), (960, 120.0))},
        {"meters": ((0, 4, 4), (480, 3, 4))},
        {"meters": ((0, 4, 4), (1920, 6, 8))},
        {"meters": ((0, 13, 4),)},
    ],
)
def test_what_is_rare_is_left_to_miditok(tmp_path, odd):
    path = write(tmp_path / "a.mid", [(0, [(0, 480, 60, 80)])], **odd)
    assert midi_tokens(path, ENCODING) is None
    assert slowly(path)


def test_without_meter_and_tempo_the_usual_ones_hold(tmp_path):
    path = write(tmp_path / "a.mid", [(3, [(1920, 480, 60, 80)])], meters=(), tempos=())
    assert midi_tokens(path, ENCODING) == slowly(path)
    assert midi_tokens(path, ENCODING)[:4] == ["Bar_None", "TimeSig_4/4", "Position_0", "Tempo_120.0"]


def test_long_notes_and_odd_divisions_are_rounded_alike(tmp_path):
    notes = [(7 * k, 1 + 41 * k * k, 30 + k, 1 + k) for k in range(60)]
    for ticks in (96, 220, 1024):
        path = write(tmp_path / "a.mid", [(0, notes)], ticks=ticks)
        assert midi_tokens(path, ENCODING) == slowly(path)


def test_broken_and_silent_files_are_left_to_the_reader(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"MThd\0\0")
    assert midi_tokens(tmp_path / "a.mid", ENCODING) is None
    assert midi_tokens(tmp_path / "none.mid", ENCODING) is None
    path = write(tmp_path / "b.mid", [])
    assert midi_tokens(path, ENCODING) is None
    with pytest.raises(CorpusError):
        slowly(path)


def test_real_files_have_the_tokens_that_miditok_makes():
    files = sorted(real("nottingham_midi").glob("*.mid"))[::90]
    quick = [midi_tokens(path, ENCODING) for path in files]
    assert sum(tokens is not None for tokens in quick) > 0.8 * len(files)
    assert all(tokens is None or tokens == slowly(path) for path, tokens in zip(files, quick, strict=True))

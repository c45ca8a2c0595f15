"""MIDI files in and out."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings

from seqgen.errors import CorpusError
from seqgen.music.abc_reader import read_tune
from seqgen.music.midi import choose_ticks, read_midi
from seqgen.music.pieces import Key, Meter, Note, Part, Piece, Pitch, parse_pitch
from seqgen.music.playback import unfold
from seqgen.music.write import write_midi
from tests.music.pieces_strategy import melodies


def note(onset: Fraction | int, duration: Fraction | int, name: str, velocity: int = 64) -> Note:
    return Note(Fraction(onset), Fraction(duration), parse_pitch(name), velocity=velocity)


PIECE = Piece(
    parts=(
        Part((note(0, 1, "D4"), note(0, 1, "F#4"), note(1, Fraction(2, 3), "A4", 90)), "Harp", 46),
        Part((note(0, Fraction(1, 4), "D2"), note(2, 2, "G2")), "Drums", 0, is_drum=True),
    ),
    title="two",
    keys=((Fraction(0), Key("D")),),
    meters=((Fraction(0), Meter(3, 4)), (Fraction(3), Meter(6, 8))),
    tempos=((Fraction(0), 90.0), (Fraction(3), 100.0)),
)
WRITTEN = write_midi(PIECE)


def round_trip(piece: Piece, tmp_path) -> Piece:
    path = tmp_path / "two.mid"
    path.write_bytes(write_midi(piece))
    return read_midi(path)


def test_a_played_piece_survives_a_midi_file(tmp_path):
    assert round_trip(PIECE, tmp_path) == PIECE


@settings(max_examples=30)
@given(melodies())
def test_every_note_sounds_when_it_should(tmp_path_factory, piece):
    sounding = [note for note in unfold(piece).parts[0].notes if note.pitch]
    if not sounding or (choose_ticks(unfold(piece)) % 480 and choose_ticks(unfold(piece)) == 480):
        return
    again = round_trip(piece, tmp_path_factory.mktemp("midi"))
    played = sorted(
        (note.onset, note.duration, note.pitch.midi) for note in again.parts[0].notes if note.pitch
    )
    assert played == sorted((note.onset, note.duration, note.pitch.midi) for note in sounding if note.pitch)


def test_repeats_are_played_out(tmp_path):
    tune = read_tune("X:1\nL:1/4\nM:2/4\nK:C\n|:CD|1EF:|2GA|]", source="x")
    notes = round_trip(tune, tmp_path).parts[0].notes
    assert [note.pitch.name for note in notes if note.pitch] == [
        "C4",
        "D4",
        "E4",
        "F4",
        "C4",
        "D4",
        "G4",
        "A4",
    ]


def test_tied_notes_are_one_note(tmp_path):
    tune = read_tune("X:1\nL:1/4\nM:2/4\nK:C\nC2-|C2|]", source="x")
    assert [note.duration for note in round_trip(tune, tmp_path).parts[0].notes] == [4]


def test_a_file_without_meter_and_tempo_means_four_four_at_120(tmp_path):
    again = round_trip(replace(PIECE, meters=(), tempos=(), keys=()), tmp_path)
    assert (again.meters, again.tempos) == (((0, Meter(4, 4)),), ((0, 120.0),))


def test_pitches_are_spelled_by_the_key(tmp_path):
    flat = replace(PIECE, keys=((Fraction(0), Key("Ab")),))
    names = [note.pitch.name for note in round_trip(flat, tmp_path).parts[0].notes if note.pitch]
    assert names == ["D4", "Gb4", "A4"]


def test_septuplets_get_a_finer_grid():
    piece = Piece(parts=(Part((note(Fraction(1, 7), Fraction(1, 7), "C4"),)),))
    assert choose_ticks(piece) % 7 == 0
    assert choose_ticks(PIECE) == 480


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, I am no music", "not a MIDI file"),
        (
            write_midi(PIECE)[:-10],
            r"truncated MIDI file: the chunk at byte \d+ should have \d+ bytes, \d+ are left",
        ),
        (write_midi(replace(PIECE, parts=())), "a MIDI file with no notes"),
        (
            write_midi(PIECE)[:12] + b"\xe7\x28" + write_midi(PIECE)[14:],
            "its times are in seconds .SMPTE., not",
        ),
        (write_midi(PIECE).replace(b"\x90\x3e", b"\x90\xfe"), "broken MIDI file|truncated"),
        (
            write_midi(Piece(parts=(Part((note(90_000, 1, "C4"),)),))),
            "a note ends after 90001 quarters; the file must be broken",
        ),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "broken.mid"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=f"broken.mid: ({message})") as caught:
        read_midi(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no such file"):
        read_midi(tmp_path / "none.mid")


def test_velocity_of_written_music_is_even(tmp_path):
    tune = Piece(parts=(Part((Note(Fraction(0), Fraction(1), Pitch("C", 0, 4)),)),))
    assert [note.velocity for note in round_trip(tune, tmp_path).parts[0].notes] == [80]


def test_a_title_names_the_track_of_a_lone_part():
    from symusic import Score

    tune = read_tune("X:1\nT:Air\nL:1/4\nM:2/4\nK:C\nCD|EF|]", source="x")
    assert [track.name for track in Score.from_midi(write_midi(tune)).tracks] == ["Air"]

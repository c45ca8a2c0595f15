"""Played pieces on paper."""

from fractions import Fraction

from seqgen.music.encodings import note_encoding, suits_melody
from seqgen.music.midi import read_midi
from seqgen.music.pieces import Key, Meter, Note, Part, Piece, Tuplet, parse_pitch
from seqgen.music.transcribe import find_key, transcribe, was_played
from seqgen.music.write import write_abc, write_midi

THIRD = Fraction(1, 3)


def played(*notes: tuple[Fraction | float, Fraction | float, str], program: int = 40) -> Piece:
    made = (
        Note(Fraction(onset), Fraction(length), parse_pitch(name), velocity=70)
        for onset, length, name in notes
    )
    return Piece(parts=(Part(tuple(made), program=program),), meters=((Fraction(0), Meter(3, 4)),))


def lengths(piece: Piece) -> list[Fraction]:
    return [note.duration for note in piece.parts[0].notes]


def test_unsteady_notes_move_to_the_beat_and_silence_is_written():
    piece = transcribe(played((0.02, 0.9, "C4"), (0.98, 0.3, "E4"), (2.03, 0.99, "G4")))
    assert [note.pitch.name if note.pitch else "z" for note in piece.parts[0].notes] == [
        "C4",
        "E4",
        "z",
        "G4",
    ]
    assert lengths(piece) == [1, Fraction(1, 4), Fraction(3, 4), 1]


def test_triplets_are_heard_and_marked():
    piece = transcribe(played((0, 0.33, "C4"), (0.34, 0.33, "D4"), (0.66, 0.34, "E4"), (1, 2, "F4")))
    assert lengths(piece) == [THIRD, THIRD, THIRD, 2]
    assert piece.parts[0].notes[0].tuplet == Tuplet(3, 2, 3)


def test_a_note_over_a_bar_line_is_tied():
    notes = transcribe(played((2, 2, "C4"))).parts[0].notes
    assert [(note.onset, note.duration, note.tie) for note in notes if note.pitch] == [
        (2, 1, True),
        (3, 1, False),
    ]


def test_bars_follow_the_meter_to_the_last_note():
    assert [(bar.onset, bar.kind) for bar in transcribe(played((0, 4, "C4"))).bars] == [(3, "|"), (6, "|]")]


def test_a_played_line_suits_the_melody_encoding():
    piece = transcribe(played((0, 1, "C4"), (1.5, 2, "D4")))
    assert suits_melody(piece)
    assert note_encoding("melody").encode(piece)[-1] == "Bar_|]"


def test_the_key_is_found_and_spells_the_notes():
    scale = [
        (index, 1, name)
        for index, name in enumerate(["Eb4", "F4", "G4", "Ab4", "Bb4", "C5", "D5", "Eb5", "Bb4", "G4", "Eb4"])
    ]
    piece = played(*scale)
    assert find_key(piece) == Key("Eb")
    assert [note.pitch.name for note in transcribe(piece).parts[0].notes if note.pitch][3:5] == ["Ab4", "Bb4"]


def test_a_piano_gets_two_staves():
    piece = transcribe(played((0, 2, "C3"), (0, 1, "C5"), (1, 1, "E5"), program=0))
    assert [[note.pitch.name for note in part.notes if note.pitch] for part in piece.parts] == [
        ["C5", "E5"],
        ["C3"],
    ]


def test_written_music_is_left_alone():
    piece = Piece(parts=(Part((Note(Fraction(0), Fraction(1, 5), parse_pitch("C4")),)),))
    assert not was_played(piece)
    assert transcribe(piece) is piece


def test_a_midi_file_is_written_as_readable_abc(tmp_path):
    path = tmp_path / "line.mid"
    path.write_bytes(write_midi(played((0, 0.5, "G4"), (0.5, 0.5, "A4"), (1, 2, "B4"))))
    assert write_abc([read_midi(path)]).splitlines()[-1] == "GA B4 |]"

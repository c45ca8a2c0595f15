"""What the encodings of MidiTok keep and leave out: velocities, programs, tempos, sustain pedals."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from symusic import ControlChange, Note, Score, Track

from seqgen.errors import TokenError
from seqgen.music.encodings import count_notes, note_encoding
from seqgen.music.midi import read_midi
from seqgen.music.midi_tokens import FAMILIES
from seqgen.music.pieces import Part, Piece
from seqgen.music.read import parse_unit, split_music
from seqgen.music.remi import RemiEncoding
from seqgen.music.remi_midi import midi_tokens
from seqgen.music.transposing import stretch, transpose
from seqgen.music.write import write_tune
from tests.data.real import real
from tests.music.test_midi_tokens import PIECE, sounds
from tests.music.test_remi_midi import meters, programs, rows, slowly, write

PEDALLED = ["remi", "tsd", "midilike"]
PEDALS = ((Fraction(1, 3), Fraction(2)), (Fraction(4), Fraction(5, 4)))
NOTHING = {"velocities": 0, "programs": False, "tempos": False}
CHOICES = [
    {"velocities": velocities, "programs": programs, "tempos": tempos}
    for velocities, programs, tempos in product((0, 16), (False, True), (False, True))
]


def with_pedals(piece=PIECE):
    return replace(piece, parts=tuple(replace(part, pedals=PEDALS) for part in piece.parts[:2]))


def kinds(tokens):
    return {token.partition("_")[0] for token in tokens}


def left_in(piece, chosen):
    """Return the notes that an encoding keeps of a piece."""
    found = sounds(piece) if chosen["programs"] else [n for n in sounds(piece) if not n[1]]
    return sorted(
        (program if chosen["programs"] else 0, drum, *note, velocity if chosen["velocities"] else None)
        for program, drum, *note, velocity in found
    )


@pytest.mark.parametrize("chosen", CHOICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_kept_survives_and_what_is_left_out_has_no_tokens(name, chosen):
    encoding = note_encoding(name, chosen)
    tokens = encoding.encode(PIECE)
    again = encoding.decode(tokens)
    assert sounds(again) == left_in(PIECE, chosen)
    assert ("Velocity" in kinds(tokens)) == bool(chosen["velocities"])
    assert ("Program" in kinds(tokens)) == chosen["programs"]
    assert ("Tempo" in kinds(tokens)) == (chosen["tempos"] and name != "structured")
    if name != "structured":
        assert again.meters == PIECE.meters
        assert again.tempos == (PIECE.tempos if chosen["tempos"] else ())


@pytest.mark.parametrize("programs", [True, False])
@pytest.mark.parametrize("name", PEDALLED)
def test_pedals_survive_where_they_are_kept(name, programs):
    encoding = note_encoding(name, {"pedals": True, "programs": programs})
    again = encoding.decode(encoding.encode(with_pedals()))
    assert [set(part.pedals) for part in again.parts] == [set(PEDALS)] * (2 if programs else 1)
    assert sounds(again) == left_in(with_pedals(), {"programs": programs, "velocities": 16})


@pytest.mark.parametrize("name", FAMILIES)
def test_pedals_change_nothing_where_they_are_not_kept(name):
    without = replace(PIECE, parts=PIECE.parts[:2])
    assert note_encoding(name).encode(with_pedals()) == note_encoding(name).encode(without)


def test_structured_has_no_pedals():
    with pytest.raises(TokenError, match="no pedals; use remi, tsd or midilike"):
        note_encoding("structured", {"pedals": True})


def test_drums_alone_need_programs():
    drums = Piece(parts=PIECE.parts[2:])
    assert count_notes(RemiEncoding(velocities=0).encode(drums)) == 2
    with pytest.raises(TokenError, match="no notes but of drums"):
        RemiEncoding(programs=False).encode(drums)


def test_an_encoding_is_rebuilt_from_parameters_old_and_new():
    chosen = RemiEncoding(velocities=0, pedals=True, tempos=False)
    assert chosen.parameters() == {
        "grid": 12,
        "velocities": 0,
        "slowest_bpm": 30,
        "fastest_bpm": 300,
        "tempos": False,
        "pedals": True,
    }
    assert note_encoding("remi", chosen.parameters()) == chosen
    assert RemiEncoding().parameters() == {
        "grid": 12,
        "velocities": 16,
        "slowest_bpm": 30,
        "fastest_bpm": 300,
    }


@pytest.mark.parametrize("wrong", [{"programs": 1}, {"grid": True}, {"velocities": -1}, {"grid": 0}])
def test_parameters_of_another_type_or_out_of_range_are_refused(wrong):
    with pytest.raises(TokenError, match="known are fastest_bpm, grid, pedals, programs"):
        note_encoding("remi", wrong)


def test_pedals_of_midi_files_are_read_written_and_moved(tmp_path):
    piece = with_pedals()
    (tmp_path / "a.mid").write_bytes(write_tune(piece, "midi"))
    again = read_midi(tmp_path / "a.mid")
    assert [part.pedals for part in again.parts] == [PEDALS, PEDALS]
    assert not dict(again.omitted)
    assert transpose(again, 2).parts[0].pedals == PEDALS
    doubled = stretch(again, Fraction(2))
    assert doubled.parts[0].pedals == tuple((2 * onset, 2 * length) for onset, length in PEDALS)
    assert Part(()).pedals == ()


def test_a_pedal_that_is_never_released_ends_with_the_last_note(tmp_path):
    score = Score(480)
    score.tracks.append(Track())
    score.tracks[0].notes.append(Note(0, 960, 60, 80))
    score.tracks[0].controls.extend([ControlChange(480, 64, 100), ControlChange(500, 64, 90)])
    (tmp_path / "a.mid").write_bytes(score.dumps_midi())
    assert read_midi(tmp_path / "a.mid").parts[0].pedals == ((Fraction(1), Fraction(1)),)


@pytest.mark.parametrize("chosen", [NOTHING, *CHOICES, {"pedals": True}, {"velocities": 5}])
def test_arrays_make_the_tokens_of_the_same_choice(tmp_path_factory, chosen):
    encoding = RemiEncoding(**chosen)

    @settings(max_examples=15)
    @given(rows, programs, meters)
    def same(notes, program, changes):
        path = write(tmp_path_factory.mktemp("midi") / "a.mid", [(program, notes)], meters=changes)
        found = midi_tokens(path, encoding)
        if program is None and not encoding.programs:
            assert found is None
        else:
            assert found == slowly(path, encoding)

    same()


def test_what_arrays_do_not_join_is_left_to_miditok(tmp_path):
    two = [(0, [(0, 480, 60, 80)]), (7, [(480, 480, 62, 80)])]
    path = write(tmp_path / "a.mid", two)
    assert midi_tokens(path, RemiEncoding(programs=False)) is None
    (tmp_path / "b.mid").write_bytes(write_tune(with_pedals(), "midi"))
    assert midi_tokens(tmp_path / "b.mid", RemiEncoding(pedals=True)) is None
    faster = write(tmp_path / "c.mid", two, tempos=((0, 90.0), (960, 120.0)))
    assert midi_tokens(faster, RemiEncoding(tempos=False)) == slowly(faster, RemiEncoding(tempos=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FAMILIES))
def test_real_performances_survive_without_and_with_everything(name):
    for path in sorted(real("nottingham_midi").rglob("*.mid"))[::40]:
        piece = parse_unit(split_music(path)[0])
        for chosen in (NOTHING, {"velocities": 127, "pedals": name != "structured"}):
            encoding = note_encoding(name, chosen)
            again = encoding.decode(encoding.encode(piece))
            assert places(again) == places(piece), path


def places(piece):
    return sorted((round(n.onset * 12), n.pitch.midi) for part in piece.parts for n in part.notes if n.pitch)

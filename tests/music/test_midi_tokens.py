from fractions import Fraction

import pytest

from seqgen.errors import TokenError
from seqgen.music.encodings import count_notes, note_encoding
from seqgen.music.midi_tokens import FAMILIES, MidiLikeEncoding, TsdEncoding
from seqgen.music.pieces import Meter, Note, Part, Piece, spelling
from seqgen.music.read import parse_unit, split_music
from tests.data.real import real

NAMES = ["tsd", "midilike", "structured"]
GRID = 12


def sounds(piece):
    return sorted(
        (
            part.program,
            part.is_drum,
            round(n.onset * GRID),
            n.pitch.midi,
            round(n.duration * GRID),
            n.velocity,
        )
        for part in piece.parts
        for n in part.notes
        if n.pitch
    )


def part(*notes, **fields):
    made = (
        Note(Fraction(onset, GRID), Fraction(length, GRID), spelling(0)[midi], velocity=velocity)
        for onset, length, midi, velocity in notes
    )
    return Part(tuple(made), **fields)


PIECE = Piece(
    parts=(
        part((0, 6, 60, 79), (0, 18, 64, 63), (20, 4, 67, 79), (500, 12, 60, 127), program=24),
        part((8, 8, 40, 95), (16, 24, 43, 95), program=40),
        part((0, 12, 36, 111), (12, 12, 38, 111), is_drum=True),
    ),
    meters=((Fraction(0), Meter(3, 4)), (Fraction(6), Meter(4, 4))),
    tempos=((Fraction(0), 96.0),),
)


@pytest.mark.parametrize("name", NAMES)
def test_notes_programs_and_drums_survive(name):
    encoding = note_encoding(name)
    tokens = encoding.encode(PIECE)
    assert count_notes(tokens) == PIECE.note_count
    assert sounds(encoding.decode(tokens)) == sounds(PIECE)


@pytest.mark.parametrize("name", ["tsd", "midilike"])
def test_meters_and_tempos_survive_where_there_are_tokens_for_them(name):
    again = note_encoding(name).decode(note_encoding(name).encode(PIECE))
    assert (again.meters, again.tempos) == (PIECE.meters, PIECE.tempos)


def test_the_families_are_told_apart_by_their_tokens():
    kinds = {n: {token.partition("_")[0] for token in note_encoding(n).encode(PIECE)} for n in NAMES}
    assert "TimeShift" in kinds["tsd"] & kinds["midilike"] & kinds["structured"]
    assert "NoteOff" in kinds["midilike"] - kinds["tsd"]
    assert "Duration" in kinds["tsd"] - kinds["midilike"]
    assert "Bar" not in kinds["tsd"] | kinds["midilike"] | kinds["structured"]


def test_families_of_equal_parameters_are_different_encodings():
    assert TsdEncoding() != MidiLikeEncoding()
    assert note_encoding("tsd", {"grid": 8}) == TsdEncoding(grid=8)
    with pytest.raises(TokenError, match=r"^tsd encoding with .*known are fastest_bpm, grid"):
        note_encoding("tsd", {"bars": 4})


@pytest.mark.parametrize("name", NAMES)
def test_any_order_of_tokens_decodes_to_a_piece(name):
    encoding = note_encoding(name)
    tokens = encoding.encode(PIECE)
    assert encoding.decode(tokens[::-1]).note_count <= PIECE.note_count
    assert encoding.decode([]).note_count == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FAMILIES))
def test_nottingham_midi_survives_to_the_nearest_place(name):
    encoding = note_encoding(name)
    for path in sorted(real("nottingham_midi").rglob("*.mid"))[::20]:
        piece = parse_unit(split_music(path)[0])
        again = encoding.decode(encoding.encode(piece))
        assert starts(again) == starts(piece), path


def starts(piece):
    return sorted(
        (round(n.onset * GRID), n.pitch.midi) for part in piece.parts for n in part.notes if n.pitch
    )


def test_octuple_is_refused_with_the_reason_and_another_to_take():
    with pytest.raises(TokenError, match=r"octuple: its tokens are no single stream.*take remi or tsd"):
        note_encoding("octuple")

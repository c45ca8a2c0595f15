"""The chorale encoding: single lines frame by frame."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import TokenError
from seqgen.music.chorale import ChoraleEncoding
from seqgen.music.encodings import count_notes, note_encoding
from seqgen.music.pieces import Bar, Key, Meter, Note, Part, Piece, spelling
from seqgen.music.playback import join_ties
from seqgen.music.score_reader import read_score
from seqgen.music.transposing import Interval, move_token, transpose

ENCODING = ChoraleEncoding()
ZERO = Fraction(0)
LOWEST = (72, 60, 48, 36)


@st.composite
def lines(draw, lowest, frames, grid):
    """A voice of notes and rests that lasts so many frames."""
    notes, frame = [], 0
    while frame < frames:
        count = min(draw(st.sampled_from([1, 2, 3, 4, 8])), frames - frame)
        pitch = draw(st.none() | st.integers(0, 11))
        if pitch is not None or frame == 0:  # each voice has a note, or it would be none
            midi = lowest + (pitch or 0)
            notes.append(Note(Fraction(frame, grid), Fraction(count, grid), spelling(0)[midi]))
        frame += count
    return tuple(notes)


@st.composite
def chorales(draw, grid=4):
    frames = draw(st.integers(1, 40))
    parts = tuple(Part(draw(lines(low, frames, grid))) for low in LOWEST)
    end = Fraction(frames, grid)
    bars = tuple(Bar(Fraction(at)) for at in range(3, int(end), 3))
    return Piece(
        parts=parts,
        keys=((ZERO, draw(st.sampled_from([Key("D"), Key("Bb"), Key("A", "minor")]))),),
        meters=((ZERO, Meter(3, 4)),),
        bars=(*bars, Bar(end, "|]")),
    )


def sounds(piece):
    return [
        [(note.onset, note.duration, note.pitch.midi) for note in join_ties(part.notes) if note.pitch]
        for part in piece.parts
    ]


@settings(max_examples=100)
@given(chorales())
def test_what_is_on_the_grid_comes_back(piece):
    again = ENCODING.decode(ENCODING.encode(piece))
    assert sounds(again) == sounds(piece)
    assert (again.keys, again.meters, again.bars) == (piece.keys, piece.meters, piece.bars)


@settings(max_examples=40)
@given(chorales(grid=6), st.sampled_from([1, 2, 3, 4]))
def test_a_coarser_grid_keeps_what_sounds_at_each_frame(piece, grid):
    encoding = ChoraleEncoding(grid=grid, marks=False)
    again = encoding.decode(encoding.encode(piece))
    for part, new in zip(piece.parts, again.parts, strict=True):
        for frame in range(int(piece.duration * grid)):
            time = Fraction(frame, grid)
            found = [
                {note.pitch.midi for note in line.notes if note.pitch and note.onset <= time < note.end}
                for line in (part, new)
            ]
            assert found[0] == found[1]
    assert encoding.encode(again) == encoding.encode(piece)


def line(*notes, quarters=1):
    return Part(
        tuple(Note(Fraction(k * quarters), Fraction(quarters), spelling(0)[m]) for k, m in enumerate(notes))
    )


PIECE = Piece(
    parts=(line(43, 45), line(71, 72), line(62, 62), line(67, 69)),
    keys=((ZERO, Key("G")),),
    meters=((ZERO, Meter(2, 4)),),
    bars=(Bar(Fraction(2), "|]"),),
)


def test_voices_interleave_the_highest_first():
    encoding = ChoraleEncoding(grid=1)
    assert encoding.encode(PIECE) == [
        "Key_G-major", "Meter_2/4", "Pitch_71", "Pitch_67", "Pitch_62", "Pitch_43",
        "Beat_2", "Pitch_72", "Pitch_69", "Pitch_62", "Pitch_45", "Bar_|]",
    ]  # fmt: skip
    again = encoding.decode(encoding.encode(PIECE))
    assert [part.name for part in again.parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert count_notes(encoding.encode(PIECE)) == 8


def test_a_held_note_is_told_from_a_repeated_one():
    encoding = ChoraleEncoding(grid=1, marks=False)
    long = replace(PIECE, parts=(*PIECE.parts[:2], line(62, quarters=2), PIECE.parts[3]))
    assert encoding.encode(PIECE)[6] == "Pitch_62"
    assert encoding.encode(long)[6] == "Hold"
    assert sounds(encoding.decode(encoding.encode(long)))[2] == [(0, 2, 62)]


def test_notes_across_bar_lines_are_cut_and_tied():
    long = Piece(
        parts=tuple(line(midi, quarters=4) for midi in (71, 67, 62, 43)),
        meters=((ZERO, Meter(3, 4)),),
        bars=(Bar(Fraction(3)), Bar(Fraction(4), "|]")),
    )
    (first, second) = ENCODING.decode(ENCODING.encode(long)).parts[0].notes
    assert (first.duration, first.tie, second.duration, second.tie) == (3, True, 1, False)


def test_without_bar_lines_a_piece_counts_as_played():
    again = ENCODING.decode(ENCODING.encode(replace(PIECE, bars=(), keys=(), meters=())))
    assert all(note.velocity is not None for part in again.parts for note in part.notes)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (PIECE.parts[:3], "has 3 parts; the chorale encoding takes 4 single lines"),
        ((*PIECE.parts[:3], Part(PIECE.parts[0].notes + PIECE.parts[1].notes)), "has chords in a part"),
    ],
)
def test_other_pieces_are_refused(parts, message):
    parts = tuple(
        replace(part, notes=tuple(sorted(part.notes, key=lambda note: note.onset))) for part in parts
    )
    with pytest.raises(TokenError, match=message):
        ENCODING.encode(replace(PIECE, parts=parts))


SOME = [
    "Hold",
    "Rest",
    "Pitch_60",
    "Pitch_61",
    "Pitch_128",
    "Bar_|",
    "Bar_x",
    "Key_none",
    "Key_G-major",
    "Beat_2",
]


@settings(max_examples=100)
@given(st.lists(st.sampled_from([*SOME, "Meter_3/4", "Meter_x", "Ending_1", "Ending_0", "Odd"]), max_size=40))
def test_any_tokens_decode_to_a_piece_that_is_encoded_again(tokens):
    piece = ENCODING.decode(tokens)
    if all(any(note.pitch for note in part.notes) for part in piece.parts):
        again = sounds(ENCODING.decode(ENCODING.encode(piece)))
        assert again == sorted(sounds(piece), key=mean, reverse=True)


def mean(notes):
    return Fraction(sum(midi for _, _, midi in notes), len(notes))


@settings(max_examples=30)
@given(chorales())
def test_moving_tokens_equals_moving_the_piece(piece):
    moved = transpose(piece, 1)
    shift = Interval(1, moved.keys[0][1].fifths - piece.keys[0][1].fifths)
    assert [move_token(token, shift) for token in ENCODING.encode(piece)] == ENCODING.encode(moved)


def test_it_is_rebuilt_from_its_parameters():
    other = ChoraleEncoding(grid=2, voices=3, marks=False)
    assert note_encoding("chorale", other.parameters()) == other
    with pytest.raises(TokenError, match="known are grid, marks, voices"):
        note_encoding("chorale", {"bars": 1})
    with pytest.raises(TokenError, match="grid goes up to 96"):
        note_encoding("chorale", {"grid": 97})


def test_tokens_know_their_bar():
    encoding = ChoraleEncoding(grid=1, voices=2)
    bar = [*["Pitch_60", "Rest"] * 3]
    tokens = ["Meter_3/4", *bar, "Bar_|", *bar, "Bar_|]"]
    assert encoding.bar_numbers(tokens) == [1] * 7 + [2] * 8


@pytest.mark.parametrize("name", ["bwv269.mxl", "bwv66.6.mxl", "bwv389.mxl"])
def test_chorales_of_music21_come_back(name):
    music21 = pytest.importorskip("music21")
    path = Path(music21.__file__).parent / "corpus" / "bach" / name
    piece = read_score(path)
    again = ENCODING.decode(ENCODING.encode(piece))
    assert (again.keys, again.meters, again.bars) == (piece.keys, piece.meters, piece.bars)
    for part, new in zip(piece.parts, again.parts, strict=True):
        found = [note for note in join_ties(new.notes) if note.pitch]
        written = [note for note in join_ties(part.notes) if note.pitch]
        on_grid = [
            note for note in written if (4 * note.onset).denominator == (4 * note.end).denominator == 1
        ]
        assert {(n.onset, n.duration, n.pitch.midi) for n in on_grid} <= {
            (n.onset, n.duration, n.pitch.midi) for n in found
        }
        assert len(on_grid) > 0.9 * len(written)

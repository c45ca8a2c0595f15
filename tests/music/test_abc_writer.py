"""The ABC writer."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given

from seqgen.music.abc_reader import read_tune
from seqgen.music.notation import layers, symbol_lengths
from seqgen.music.pieces import Note, Part, Piece, Pitch
from seqgen.music.playback import join_ties
from seqgen.music.score_reader import quiet
from seqgen.music.write import write_abc
from tests.music.pieces_strategy import melodies

HEADER = "X:1\nT:Tune\nM:4/4\nL:1/8\nK:D\n"


def read(text: str) -> Piece:
    return read_tune(text, source="test.abc")


def body(text: str, header: str = HEADER) -> list[str]:
    """Read ABC, write it, return the lines after the key."""
    lines = write_abc([read(header + text)]).splitlines()
    return lines[[line[:2] for line in lines].index("K:") + 1 :]


def sounding(piece: Piece) -> list[tuple[Fraction, Fraction, Pitch | None]]:
    notes = join_ties([note for note in piece.parts[0].notes if note.pitch])
    return [(note.onset, note.duration, note.pitch) for note in notes]


@given(melodies())
def test_reading_undoes_writing(piece):
    if not piece.note_count:
        return
    again = read(write_abc([piece]))
    assert sounding(again) == sounding(piece)
    assert (again.title, again.keys, again.meters, again.bars) == (
        piece.title,
        piece.keys,
        piece.meters,
        piece.bars,
    )


@pytest.mark.parametrize(
    "text",
    [
        "A2|:d2fd afd2|(3efg f>e d4-|d4 ^c=cBA|1 A4 z2A2:|2 A8|]",
        'V:1 name="Flute"\n%%MIDI program 73\nd4 f4|a8|]\nV:2\n[DF]4 [A,D]4|[D-F]4[DA]4|]',
        "d8|\nM:6/8\nd3 f3|\nK:Gm\nQ:1/4=100\nB3 g3|]",
        "(5defga (3:2:2d2f [dfa]2|z8|]",
        "_B=c__e^^f|B c'' D,,,|]",
    ],
)
def test_a_written_tune_is_read_as_the_same_piece(text):
    piece = replace(read(HEADER + text), omitted=())
    assert read(write_abc([piece])) == piece


def test_notes_are_grouped_by_beats():
    assert body("defgabd'2|") == ["defg abd'2 |"]
    assert body("defgab|", "X:1\nM:6/8\nL:1/8\nK:D\n") == ["def gab |"]


def test_four_bars_stand_on_a_line():
    bar = "defg abd'2 |"
    assert body("A2|" + bar * 6) == [f"A2 | {bar} {bar} {bar} {bar}", f"{bar} {bar}"]


def test_accidentals_are_written_so_that_every_rule_reads_them_alike():
    assert body("^d d d' =d|d4") == ["^d^d^d'=d | d4"]


def test_a_note_of_no_single_sign_is_tied():
    assert body("d5 f3|defgabd'2|") == ["d4-d f3 | defg abd'2 |"]


def test_tunes_are_numbered_and_set_apart():
    piece = read(HEADER + "d|")
    text = write_abc([piece, piece])
    assert [line for line in text.splitlines() if line.startswith("X")] == ["X:1", "X:2"]
    assert "\n\nX:2" in text


def test_words_of_a_title_stay_in_their_field():
    piece = replace(read(HEADER + "d|"), title='50% "off"\nK:G', omitted=())
    assert read(write_abc([piece])) == replace(piece, title="50% 'off' K:G")


def test_a_piece_without_title_is_untitled():
    assert "T:Untitled" in write_abc([replace(read(HEADER + "d|"), title="")])


def test_notes_that_overlap_are_parted_into_voices():
    notes = (
        Note(Fraction(0), Fraction(4), Pitch("D", 0, 4)),
        Note(Fraction(0), Fraction(1), Pitch("F", 1, 4)),
        Note(Fraction(1), Fraction(3), Pitch("A", 0, 4)),
    )
    part = Part(notes)
    assert [[chord.duration for chord in line] for line in layers(part)] == [[4], [1, 3]]
    assert len(read(write_abc([Piece(parts=(part,))])).parts) == 2


@pytest.mark.parametrize(
    ("duration", "signs"),
    [(Fraction(1), [1]), (Fraction(7, 4), [1.75]), (Fraction(5, 2), [2, 0.5]), (Fraction(9, 8), [1, 0.125])],
)
def test_a_duration_is_a_sum_of_signs(duration, signs):
    assert symbol_lengths(duration) == signs


@pytest.fixture
def choir() -> Piece:
    voices = {"Soprano": "c4 d4", "Alto": "E4 G4", "Tenor": "C2 G,2 ^A4", "Bass": "A,,4 B,4"}
    text = "".join(f'V:{k} name="{name}"\n{music}|]\n' for k, (name, music) in enumerate(voices.items(), 1))
    return replace(read(HEADER + text), omitted=())


def test_tenor_and_bass_have_their_clefs_and_their_pitches(choir):
    text = write_abc([choir])
    assert [line for line in text.splitlines() if line.startswith("V:")] == [
        'V:1 name="Soprano"',
        'V:2 name="Alto"',
        'V:3 name="Tenor" clef=treble-8',
        'V:4 name="Bass" clef=bass',
    ]
    assert read(text) == choir


def test_symusic_reads_the_same_pitches_below_those_clefs(choir, tmp_path):
    from symusic import Score

    path = tmp_path / "choir.abc"
    path.write_text(write_abc([choir]))
    wanted = [[note.pitch.midi for note in part.notes] for part in choir.parts]
    assert [[note.pitch for note in track.notes] for track in Score(path).tracks] == wanted


def test_a_tenor_alone_has_no_clef_and_its_own_octave(choir):
    alone = replace(choir, parts=choir.parts[2:3])
    assert write_abc([alone]).splitlines()[-1] == "CG, ^A2 |]"


def test_music21_reads_the_same_pitches_and_durations():
    from music21 import converter

    piece = read(HEADER + "A2|:d2fd afd2|(3efg f>e d4|d4 ^c=cBA|1 A4 z2A2:|2 [DFA]8|]")
    with quiet():
        score = converter.parse(write_abc([piece]), format="abc")
        found = [
            (note.getOffsetInHierarchy(score), note.quarterLength, pitch.midi)
            for note in score.recurse().notes
            for pitch in note.pitches
        ]
    wanted = [(note.onset, note.duration, note.pitch.midi) for note in piece.parts[0].notes if note.pitch]
    assert found == wanted

"""Chord symbols: read, kept as tokens, moved, written, whatever the notes below them."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import TokenError
from seqgen.music.abc_reader import read_tune
from seqgen.music.chords import KINDS, ChordSymbol, parse_chord_symbol, read_chord_symbol, tidy_symbols
from seqgen.music.encodings import note_encoding
from seqgen.music.melody import MelodyEncoding, melody_of
from seqgen.music.playback import join_ties, unfold
from seqgen.music.read import parse_unit, split_music
from seqgen.music.score_reader import read_score
from seqgen.music.transposing import (
    interval_from,
    mark_in_any_key,
    move_symbol,
    move_token,
    stretch,
    transpose,
)
from seqgen.music.write import write_abc, write_midi, write_musicxml
from tests.data.real import real
from tests.music.pieces_strategy import melodies

ENCODING = MelodyEncoding(chords=True)
TUNE = 'X:1\nM:6/8\nL:1/8\nK:G\n"D7"D |: "G"GAB "C/e"c2d | (3"Am"efg "D7"f3 "G"g :| "Em"g3- g3 |]\n'
roots = st.builds(lambda step, sign: step + sign, st.sampled_from("CDEFGAB"), st.sampled_from(["", "#", "b"]))
symbols = st.builds(ChordSymbol, roots, st.sampled_from(KINDS))
times = st.builds(Fraction, st.integers(0, 90), st.sampled_from([1, 2, 3, 8]))


def read(text):
    return read_tune(text, source="test.abc")


def names(piece):
    return [(at, symbol.name) for at, symbol in piece.chords]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Am", "Am"), ("Gmin7", "Gm7"), ("F#d", "F#dim"), ("D/f+", "D/F#"), ("Bb7sus", "Bb7sus4"),
        ("C+", "Caug"), ("E M7", "Emaj7"), ("A7,,", "A7"), ("Gm/bb", "Gm/Bb"), ("A/a", "A"),
        ("C♯m", "C#m"), ("D-", "Dm"),
    ],
)  # fmt: skip
def test_what_people_write_is_read_in_one_spelling(text, name):
    assert read_chord_symbol(text).name == name


@pytest.mark.parametrize("text", ["fine", "^slow", "Da Capo", "(A7)", "", "24", "Bravura", "a", "A/B/C"])
def test_other_words_are_no_chord_symbols(text):
    assert read_chord_symbol(text) is None


@given(symbols, roots)
def test_a_name_says_all_of_a_symbol(symbol, bass):
    over = replace(symbol, bass="" if bass == symbol.root else bass)
    assert (parse_chord_symbol(symbol.name), parse_chord_symbol(over.name)) == (symbol, over)


def test_a_tune_keeps_its_chord_symbols_and_what_they_are_not_is_told():
    piece = read('X:1\nM:4/4\nL:1/8\nK:C\n"Am"AB"^up""D7""G"cd>"E"e[c"F"e]fg"C"|"fine"a8"B"|')
    places = [(Fraction(0), "Am"), (Fraction(1), "D7"), (Fraction(9, 4), "E"), (Fraction(5, 2), "F")]
    assert names(piece) == [*places, (Fraction(4), "C")]
    assert dict(piece.omitted) == {
        "annotations": 2,
        "chord symbols without a note": 1,
        "further chord symbols above a note": 1,
    }


def test_a_chord_takes_a_token_before_its_note_and_no_time():
    tokens = ENCODING.encode(read(TUNE))
    shown = "Chord_D7 Pitch_D4 Bar_|: Chord_G Pitch_G4 Pitch_A4 Pitch_B4 Beat_2 Chord_C/E Duration_1 Pitch_C5"
    assert " ".join(tokens[3:]).startswith(shown)
    assert [token for token in tokens if not token.startswith("Chord")] == MelodyEncoding().encode(read(TUNE))
    assert ENCODING.bar_numbers(tokens)[3:6] == [0, 0, 1]


@given(melodies(), st.lists(st.tuples(times, symbols), max_size=9))
def test_decoding_undoes_encoding_with_chords(piece, chords):
    piece = replace(piece, chords=tidy_symbols(chords))
    kept = melody_of(piece, chords=True)
    assert ENCODING.decode(ENCODING.encode(piece)) == kept
    assert ENCODING.encode(kept) == ENCODING.encode(piece)
    assert melody_of(kept) == replace(kept, chords=())
    assert MelodyEncoding().decode(MelodyEncoding().encode(piece)) == melody_of(piece)


@given(melodies(), st.lists(st.tuples(times, symbols), max_size=9))
def test_notes_cut_for_a_chord_sound_as_before(piece, chords):
    kept = melody_of(replace(piece, chords=tidy_symbols(chords)), chords=True)
    assert sounding(kept) == sounding(piece)
    assert {at for at, _ in kept.chords} <= {note.onset for note in kept.parts[0].notes}


def sounding(piece):
    return [(note.onset, note.end, note.pitch) for note in join_ties(piece.parts[0].notes) if note.pitch]


def test_a_note_over_which_the_chord_changes_is_cut_and_tied():
    half = Fraction(1, 2)
    piece = replace(read("X:1\nM:4/4\nL:1/4\nK:C\nc4|"), chords=((2 + half, ChordSymbol("F")),))
    tokens = ["Duration_5/2", "Pitch_C5", "Tie", "Chord_F", "Pitch_C5", "Bar_|"]
    assert ENCODING.encode(piece)[2:] == ["Unit_5/2", *tokens[1:4], "Duration_3/2", *tokens[4:]]
    assert write_abc([piece]).endswith('c4-c- "F"c3 |\n')


def test_a_chord_within_a_triplet_stands_at_the_note_that_sounds():
    piece = replace(read("X:1\nM:2/4\nL:1/4\nK:C\n(3cde|"), chords=((Fraction(1, 2), ChordSymbol("F")),))
    assert names(melody_of(piece, chords=True)) == [(Fraction(0), "F")]


@given(melodies(), st.lists(st.tuples(times, symbols), max_size=9))
def test_abc_holds_the_same_chords(piece, chords):
    kept = melody_of(replace(piece, chords=tidy_symbols(chords)), chords=True)
    if kept.note_count:
        assert read(write_abc([kept])).chords == kept.chords


@pytest.mark.parametrize("write", [write_abc, write_musicxml])
def test_both_ways_to_write_a_tune_keep_its_chords(write, tmp_path):
    piece = read(TUNE)
    path = tmp_path / f"tune.{'abc' if write is write_abc else 'musicxml'}"
    path.write_text(write([piece]) if write is write_abc else write(piece))
    (unit,) = split_music(path)
    again = parse_unit(unit)
    assert names(again) == names(piece)
    assert sounding(again) == sounding(piece)


def test_every_kind_survives_musicxml(tmp_path):
    notes = "".join(f'"F#{kind}/C"c4|' for kind in KINDS)
    piece = read(f"X:1\nM:4/4\nL:1/4\nK:C\n{notes}\n")
    (tmp_path / "kinds.musicxml").write_text(write_musicxml(piece))
    again = read_score(tmp_path / "kinds.musicxml")
    assert len(piece.chords) == len(KINDS)
    assert (again.chords, dict(again.omitted)) == (piece.chords, {})


def test_a_chord_in_the_middle_of_a_note_survives_musicxml(tmp_path):
    piece = replace(read("X:1\nM:4/4\nL:1/4\nK:C\nc4|d4|"), chords=((Fraction(7), ChordSymbol("Bb", "m")),))
    (tmp_path / "half.musicxml").write_text(write_musicxml(piece))
    again = read_score(tmp_path / "half.musicxml")
    assert (again.chords, again.parts[0].notes) == (piece.chords, piece.parts[0].notes)


def test_chords_change_neither_clef_nor_accidentals_of_a_score():
    tune = 'X:1\nM:4/4\nL:1/4\nK:C\n"Ebm"c"F#m7"fgf|'
    text = write_musicxml(read(tune))
    assert ("<accidental" in text, "<sign>G</sign>" in text, text.count("<harmony")) == (False, True, 2)


def test_sound_has_no_chords():
    assert write_midi(read(TUNE)) == write_midi(replace(read(TUNE), chords=()))


def test_repeats_play_their_chords_again():
    piece = read('X:1\nM:2/4\nL:1/4\nK:C\n"C"c"F"d:|"G"e2|')
    assert names(unfold(piece)) == [(Fraction(n), name) for n, name in enumerate("CFCFG")]


@pytest.mark.parametrize("semitones", range(-5, 7))
def test_moved_tokens_are_those_of_the_moved_tune(semitones):
    piece = read(TUNE)
    interval = interval_from(1, semitones)
    moved = [move_token(token, interval) for token in ENCODING.encode(piece)]
    assert moved == ENCODING.encode(transpose(piece, semitones))


def test_chords_are_spelled_as_the_new_key_asks():
    piece = transpose(read('X:1\nM:2/4\nL:1/4\nK:D\n"D"d"A7/c+"c"F#m"f"A#dim"^A'), 1)
    assert [name for _, name in names(piece)] == ["Eb", "Bb7/D", "Gm", "Bdim"]


@given(symbols, st.integers(-11, 11), st.integers(-7, 7))
def test_a_moved_symbol_is_as_far_and_has_one_sign_at_most(symbol, semitones, fifths):
    moved = move_symbol(symbol, interval_from(fifths, semitones))
    assert (height(moved) - height(symbol) - semitones) % 12 == 0
    assert parse_chord_symbol(moved.name) == moved


def height(symbol):
    return "C D EF G A B".index(symbol.root[0]) + symbol.root.count("#") - symbol.root.count("b")


def test_a_tune_in_another_key_is_the_same_tune():
    marks = [mark_in_any_key(f"Chord_{name}") for name in ("Am7/E", "F#m7", "Am")]
    assert marks == ["Chord_m7", "Chord_m7", "Chord_m"]


def test_chords_follow_a_stretched_tune():
    slow = stretch(read(TUNE), Fraction(2))
    assert [at for at, _ in slow.chords] == [2 * at for at, _ in read(TUNE).chords]


def test_chords_are_an_option_of_melody_alone():
    assert note_encoding("melody", ENCODING.parameters()) == ENCODING
    assert MelodyEncoding().parameters() == {}
    with pytest.raises(TokenError, match="known is chords"):
        note_encoding("melody", {"grid": 4})
    with pytest.raises(TokenError, match="remi encoding"):
        note_encoding("remi", {"chords": True})


def test_chords_of_real_scores_are_read():
    piece = read_score(real("musicxml_suite") / "71f-AllChordTypes.xml")
    assert len(piece.chords) == 28
    assert dict(piece.omitted)["chord symbols of other kinds"] == 10  # Tristan and the like

"""The ABC reader."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import CorpusError
from seqgen.music.abc_fields import read_meter
from seqgen.music.abc_reader import read_tune
from seqgen.music.pieces import Key, Meter, Piece, Tuplet

HEADER = "X:1\nM:4/4\nL:1/8\n"


def read(text: str) -> Piece:
    return read_tune(text, source="test.abc")


def names(body: str, key: str = "C", header: str = HEADER) -> list[str]:
    piece = read(f"{header}K:{key}\n{body}")
    return [note.pitch.name if note.pitch else "z" for note in piece.parts[0].notes]


def lengths(body: str, header: str = HEADER) -> list[Fraction]:
    """Durations in eighths."""
    return [2 * note.duration for note in read(f"{header}K:C\n{body}").parts[0].notes]


def bars(body: str) -> list[tuple[float, str, str]]:
    return [(float(bar.onset), bar.kind, bar.ending) for bar in read(f"{HEADER}K:C\n{body}").bars]


def omitted(body: str) -> dict[str, int]:
    return dict(read(f"{HEADER}K:C\n{body}").omitted)


def test_letters_and_marks_give_octaves():
    assert names("C,, C, C c c' c'', C'") == ["C2", "C3", "C4", "C5", "C6", "C6", "C5"]


def test_the_key_alters_notes():
    assert names("FGABc", key="D") == ["F#4", "G4", "A4", "B4", "C#5"]


def test_an_accidental_holds_to_the_end_of_the_bar_in_every_octave():
    assert names("^F F f =F F | F") == ["F#4", "F#4", "F#5", "F4", "F4", "F4"]


def test_a_directive_keeps_accidentals_to_their_octave():
    assert names("^F F f", header="%%propagate-accidentals octave\n" + HEADER) == ["F#4", "F#4", "F5"]


def test_a_tie_carries_an_accidental_over_the_bar_line():
    assert names("^F8-|F4 F4") == ["F#4", "F#4", "F4"]


def test_double_accidentals_are_kept():
    assert names("^^F __B") == ["F##4", "Bbb4"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("D", Key("D")),
        ("D major", Key("D")),
        ("F#m", Key("F#", "minor")),
        ("Bb Minor", Key("Bb", "minor")),
        ("Ador", Key("A", "dorian")),
        ("G Mixolydian", Key("G", "mixolydian")),
        ("AMix", Key("A", "mixolydian")),
        ("Eaeolian", Key("E", "minor")),
        ("HP", Key("A", "mixolydian")),
        ("D clef=bass", Key("D")),
        ("G treble-8", Key("G")),
        ("none", None),
        ("", None),
        ("bass", None),
    ],
)
def test_keys_of_every_form_are_read(text, key):
    found = read(f"X:1\nK:{text}\nC|").keys
    assert found == (((Fraction(0), key),) if key else ())


def test_accidentals_in_a_key_sound_and_are_counted():
    piece = read("X:1\nK:D exp _b ^f\nFBc|")
    assert [note.pitch.name for note in piece.parts[0].notes if note.pitch] == ["F#4", "Bb4", "C5"]
    assert dict(piece.omitted)["accidentals in keys"] == 2


def test_an_unknown_key_is_refused_with_its_line():
    with pytest.raises(CorpusError, match=r"test\.abc:3: unknown mode in key 'Dzzz'"):
        read("X:1\nT:x\nK:Dzzz\nC")


@pytest.mark.parametrize(
    ("text", "meter"),
    [("C", Meter(4, 4)), ("C|", Meter(2, 2)), ("6/8", Meter(6, 8)), ("(2+3)/8", Meter(5, 8)), ("none", None)],
)
def test_meters_of_every_form_are_read(text, meter):
    found = read(f"X:1\nM:{text}\nK:C\nC|").meters
    assert found == (((Fraction(0), meter),) if meter else ())


def test_without_a_unit_the_meter_gives_it():
    assert read("X:1\nM:2/4\nK:C\nC").parts[0].notes[0].duration == Fraction(1, 4)
    assert read("X:1\nM:4/4\nK:C\nC").parts[0].notes[0].duration == Fraction(1, 2)


def test_lengths_multiply_and_divide_the_unit():
    assert lengths("C2 C/ C// C3/2 C/4 C3/") == [
        2,
        Fraction(1, 2),
        Fraction(1, 4),
        Fraction(3, 2),
        Fraction(1, 4),
        1.5,
    ]


def test_broken_rhythm_lengthens_one_note_and_shortens_the_other():
    assert lengths("C>D E<F G>>A") == [1.5, 0.5, 0.5, 1.5, 1.75, 0.25]


def test_broken_rhythm_acts_twice_on_a_note_between_two_signs():
    assert lengths("C>D>E") == [1.5, 0.75, 0.5]


def test_a_tuplet_shortens_its_notes_and_is_kept():
    notes = read(f"{HEADER}K:C\n(3CDE F").parts[0].notes
    assert [note.duration for note in notes] == [Fraction(1, 3)] * 3 + [Fraction(1, 2)]
    assert [note.tuplet for note in notes] == [Tuplet(3, 2, 3), None, None, None]


def test_a_tuplet_may_say_ratio_and_count():
    notes = read(f"{HEADER}K:C\n(5:4:3CDE F").parts[0].notes
    assert [note.duration for note in notes] == [Fraction(2, 5)] * 3 + [Fraction(1, 2)]


def test_five_notes_fill_three_in_compound_meter():
    assert lengths("(5CDEFG", header="X:1\nM:6/8\nL:1/8\n")[0] == Fraction(3, 5)


def test_a_tuplet_across_a_bar_line_becomes_two_groups():
    notes = read(f"{HEADER}K:C\n(3CD|E").parts[0].notes
    assert [note.tuplet for note in notes] == [Tuplet(3, 2, 2), None, Tuplet(3, 2, 1)]


def test_rests_of_every_kind_take_their_time():
    assert names("C z2 x Z C") == ["C4", "z", "z", "z", "C4"]
    assert lengths("C z2 x Z C") == [1, 2, 1, 8, 1]


def test_a_rest_of_several_bars_has_bar_lines():
    assert [onset for onset, _, _ in bars("C8|Z2|D8|")] == [4, 8, 12, 16]


def test_chords_hold_notes_of_one_onset():
    notes = read(f"{HEADER}K:C\n[CEG]2 c").parts[0].notes
    assert [(note.pitch.name, note.onset) for note in notes if note.pitch] == [
        ("C4", 0),
        ("E4", 0),
        ("G4", 0),
        ("C5", 1),
    ]


def test_lengths_inside_and_behind_a_chord_multiply():
    assert lengths("[C2E2]3") == [6, 6]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("C8|D8|]", [(4, "|", ""), (8, "|]", "")]),
        ("|:C8:|D8||", [(0, "|:", ""), (4, ":|", ""), (8, "||", "")]),
        ("C8::D8:|", [(4, ":|:", ""), (8, ":|", "")]),
        ("C8:| |:D8|", [(4, ":|:", ""), (8, "|", "")]),
        ("C8:||:D8|", [(4, ":|:", ""), (8, "|", "")]),
        ("C8|1D8:|2E8|", [(4, "|", "1"), (8, ":|", "2"), (12, "|", "")]),
        ("C8| [1 D8 :| [2 E8 |", [(4, "|", "1"), (8, ":|", "2"), (12, "|", "")]),
        ("C8|[1,3 D8:|", [(4, "|", "1,3"), (8, ":|", "")]),
        ("C8[|]D8.|", [(4, "|]", ""), (8, "|", "")]),
        ("|C8|", [(4, "|", "")]),
        ("C8|\n: D8 : |", [(4, "|:", ""), (8, ":|", "")]),
        ("C8|\n1 D8:|", [(4, "|", "1"), (8, ":|", "")]),
    ],
)
def test_bar_lines_of_every_form_are_read(body, lines):
    assert bars(body) == lines


def test_keys_and_meters_change_within_a_tune():
    piece = read(f"{HEADER}K:C\nF8|[K:G][M:3/4]F6|\nK:F\nB6|")
    assert piece.keys == ((0, Key("C")), (4, Key("G")), (7, Key("F")))
    assert piece.meters == ((0, Meter(4, 4)), (4, Meter(3, 4)))
    assert [note.pitch.name for note in piece.parts[0].notes if note.pitch] == ["F4", "F#4", "Bb4"]


def test_voices_become_parts():
    piece = read(f'{HEADER}V:1 name="Flute"\nV:2\nK:C\nV:1\nCDEF|\nV:2\nC,4|\nV:1\nGABc|')
    assert [(part.name, len(part.notes)) for part in piece.parts] == [("Flute", 8), ("", 1)]


def test_inline_voices_and_octaves_are_read():
    piece = read(f"{HEADER}K:C\n[V:a]C4|[V:b octave=-1]C4|[V:a]D4|")
    assert [[note.pitch.name for note in part.notes if note.pitch] for part in piece.parts] == [
        ["C4", "D4"],
        ["C3"],
    ]


def test_an_overlay_of_bars_sounds_with_all_of_them():
    piece = read("X:1\nM:2/4\nL:1/4\nK:C\nG2 | (& c2 | d2 & E F | A2 &) | e2 |]")
    found = [(note.onset, note.pitch.name) for part in piece.parts for note in part.notes]
    expected = [(0, "G4"), (2, "E4"), (2, "C5"), (3, "F4"), (4, "A4"), (4, "D5"), (6, "E5")]
    assert sorted(found) == sorted(expected)
    assert [bar.onset for bar in piece.bars] == [2, 4, 6, 8]


def test_an_overlay_that_never_began_is_refused():
    with pytest.raises(CorpusError, match=r"&\) without \(& before it"):
        read("X:1\nM:2/4\nL:1/4\nK:C\nG2 &) | e2 |]")


def test_a_meter_of_one_number_counts_halves():
    assert read("X:1\nM:2\nL:1/4\nK:C\nC4").meters[0][1].name == "2/2"


def test_an_overlay_sounds_with_its_bar():
    notes = read(f"{HEADER}K:C\nC8&E4G4|D8|").parts[0].notes
    assert [(note.onset, note.pitch.name) for note in notes if note.pitch] == [
        (0, "C4"),
        (0, "E4"),
        (2, "G4"),
        (4, "D4"),
    ]


@pytest.mark.parametrize(
    ("body", "what", "count"),
    [
        ('"G"C "fine"D', "annotations", 1),
        ('"^slowly"C', "annotations", 1),
        ("{ga}C", "grace notes", 2),
        ("~C .D uE !trill!F +fermata+G", "decorations", 5),
        ("C\nw:la\nW:more", "lines of lyrics", 2),
        ("C-D", "slurs written as ties", 1),
        ("C\nN:a note", "lines of description", 1),
        ("^/C", "microtones", 1),
    ],
)
def test_what_a_piece_does_not_hold_is_counted(body, what, count):
    assert omitted(body)[what] == count


def test_old_line_breaks_lose_no_music():
    assert names("CDE!FGA|!c!d|\n!e!") == ["C4", "D4", "E4", "F4", "G4", "A4", "C5", "D5", "E5"]


def test_traces_of_mail_are_passed_over():
    assert names("C ^F =3DF =20\nG =\nA|") == ["C4", "F#4", "F4", "G4", "A4"]


def test_comments_continuations_and_spaces_are_passed_over():
    assert names("C D \\\n E `F % a comment\n y G (A B) $ *") == ["C4", "D4", "E4", "F4", "G4", "A4", "B4"]


def test_a_music_line_that_looks_like_a_field_is_music():
    assert names("C\nE:|\nG::A") == ["C4", "E4", "G4", "A4"]


def test_blocks_of_text_are_passed_over():
    assert names("C\n%%begintext\nABC DEF\n%%endtext\nD") == ["C4", "D4"]


def test_music_after_an_empty_line_is_read_and_other_text_counted():
    piece = read(f"{HEADER}K:C\nCDEF|\n\nGABc|\n\nThis tune was collected by hand.\n")
    assert (piece.note_count, dict(piece.omitted)) == (8, {"lines of text after the tune": 1})


def test_tempo_is_in_quarters_a_minute():
    assert read("X:1\nL:1/8\nQ:3/8=60\nK:C\nC").tempos == ((0, 90.0),)
    assert read('X:1\nL:1/8\nQ:"Fast" 1/4=120\nK:C\nC').tempos == ((0, 120.0),)
    assert read("X:1\nL:1/8\nQ:120\nK:C\nC").tempos == ((0, 60.0),)


def test_a_tune_without_a_key_is_read():
    assert names("C", key="none") == [
        note.pitch.name for note in read("X:1\nCDE").parts[0].notes[:1] if note.pitch
    ]


def test_fields_of_the_file_hold_for_its_tunes():
    piece = read_tune("X:1\nK:C\nC|", source="x", header="L:1/4\nM:3/4")
    assert (piece.parts[0].notes[0].duration, piece.meters) == (1, ((0, Meter(3, 4)),))


def test_the_pickup_is_the_short_first_bar():
    assert read(f"{HEADER}K:C\nG2|C8|").pickup == 1
    assert read(f"{HEADER}K:C\nC8|").pickup == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("CDE|F?\nG & (H) [", r"test\.abc:6: cannot read '\[' at column 9"),
        ('"open C', r":5: cannot read"),
        ("C0", "a note of length 0"),
        ("C99999", "cannot read|a note of"),
        ("C>|", "the tune ends after < or >"),
        (">C", "< or > must stand between two notes"),
        ("C,,,,,,,", "outside the range of MIDI"),
        ("[M:5/7]C", "unknown meter '5/7'"),
        ("[L:x]C", "unknown unit note length 'x'"),
        ("[H]", "cannot read the chord|has no notes"),
        ("C 3 D", "the number 3 belongs to no note"),
        ("z4|", "the tune has no notes"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(body, message):
    with pytest.raises(CorpusError, match=message) as caught:
        read(f"{HEADER}K:C\n{body}")
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ABCDEFGabcdefgzxZ0123456789/|:[]()<>-^_=,'\"!{} \n&~.KMLVQTw%+\\y", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        piece = read(f"X:1\nK:D\n{text}")
    except CorpusError:
        return
    assert piece.note_count


def test_of_meters_that_take_turns_none_is_in_force():
    assert read_meter("2/4 3/4") is None
    assert read_meter("(2+3)/8") == Meter(5, 8)

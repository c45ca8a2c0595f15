"""Tunes under rules: valid at any temperature, the rules possible, what is impossible told."""

from fractions import Fraction

import numpy as np
import pytest

from seqgen.errors import ConfigError
from seqgen.music.measures import measures, wrong_measures
from seqgen.music.melody import MelodyEncoding
from seqgen.music.pieces import parse_pitch
from seqgen.music.playback import join_ties, playback_spans
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.tune_rules import constrain_tune
from seqgen.sampling.tune_wishes import TuneRules
from tests.sampling.models import abc_piece, char_tokenizer, note_tokenizer, write_model
from tests.sampling.walks import assert_tokens_lead_nearer

REEL = "X:1\nM:4/4\nL:1/8\nK:D\n|: ABcd e2f2 | gfed c4 :| d2-d4 z2 |]\n"
JIG = (
    "X:1\nM:6/8\nL:1/8\nK:G\n"
    "D | GAB def | gfe d2 B | c3-c>BA |1 G3 G2 :|2 G3 z2 || B | (3cde d g3 | G3 G2 |]\n"
)
WALTZ = "X:1\nM:3/4\nL:1/4\nK:Am\nE/F/ | A2 B | c>d (3e/f/g/ | A3/2 ^G3/2 | A2 :|: e | a2 g | f e2 | A2 |]\n"
SLOW = "X:1\nM:3/4\nL:1/4\nK:Edor\nB A | G2 F | E :|\n"
TUNES = [abc_piece(abc) for abc in (REEL, JIG, WALTZ, SLOW)]
KNOWN = note_tokenizer(TUNES)
ENCODING = MelodyEncoding()


def ids(piece):
    return KNOWN.encode(piece).tolist()


def constrained(*, prompt=(), length=400, tokenizer=KNOWN, **rules):
    found, remark = constrain_tune(TuneRules(**rules), tokenizer, prompt=prompt, length=length)
    assert remark == ""
    return found


def samples(tmp_path, *, count=100, length=160, prompt=(), temperature=3.0, seed=1, known=KNOWN, **rules):
    """Return the tokens of samples of a random model under rules, the prompt included."""
    sampler = Sampler(write_model(tmp_path / "m", known))
    constraint = constrained(prompt=prompt, length=length, tokenizer=known, **rules)
    config = SampleConfig(count=count, length=length, temperature=temperature, seed=seed)
    drawn = collect(sampler.generate(config, prompt=prompt, constraint=constraint))
    return [known.decode_tokens([*prompt, *sample.tokens]) for sample in drawn]


def clock(piece):
    """Return the times in the bar at which sections and the piece begin, end and go on, as played."""
    meter = piece.meters[0][1].bar_quarters
    pickup = piece.pickup if measures(piece)[0].number == 0 else Fraction(0)
    now = -pickup % meter
    found = []
    for start, end in playback_spans(piece.bars, piece.duration):
        found.append(now)
        now = (now + end - start) % meter
    return [*found, now], -pickup % meter


def assert_whole(tokens):
    """Check everything that makes a tune valid, on the piece that its tokens stand for."""
    kinds = [token.split("_")[0] for token in tokens]
    assert kinds[:3] == ["Key", "Meter", "Unit"]
    assert kinds.count("Meter") == kinds.count("Unit") == 1
    piece = ENCODING.decode(tokens)
    assert wrong_measures(piece) == []
    assert tokens[-1].startswith("Bar_")
    times, home = clock(piece)
    assert times[0] == times[-1] == home
    assert "Pitch" in kinds
    assert kinds.count("Tie") == sum(note.tie for note in piece.parts[0].notes)  # none led to another pitch
    groups = [note.tuplet for note in piece.parts[0].notes if note.tuplet]
    assert kinds.count("Tuplet") == len(groups)
    assert all(group.name in ("3:2",) for group in groups)
    assert kinds.count("Ending") == 2 * tokens.count("Ending_2")
    return piece


def test_every_sample_is_a_whole_tune_at_a_high_temperature(tmp_path):
    found = samples(tmp_path)
    assert len({tuple(tokens) for tokens in found}) == 100
    pieces = [assert_whole(tokens) for tokens in found]
    assert {piece.meters[0][1].name for piece in pieces} == {"4/4", "6/8", "3/4"}
    assert len({piece.pickup for piece in pieces}) > 3
    seen = {token.split("_")[0] for tokens in found for token in tokens}
    assert seen >= {"Tie", "Tuplet", "Rest", "Beat", "Duration"}


def test_tokens_are_those_that_the_tune_is_written_with_again(tmp_path):
    found = samples(tmp_path, meter="3/4", bars=7)
    again = [ENCODING.encode(ENCODING.decode(tokens)) for tokens in found]
    beats = [[token for token in tokens if token.startswith(("Beat", "Bar"))] for tokens in found]
    assert beats == [[token for token in tokens if token.startswith(("Beat", "Bar"))] for tokens in again]


SONGS = [
    abc_piece(abc)
    for abc in (
        REEL.replace("ABcd e2f2", '"D"ABcd "A7/c+"e2"G"f2').replace("d2-d4", '"D"d2-"G"d4'),
        JIG.replace("D | GAB", '"D7"D | "G"GAB').replace("(3cde", '"Am"(3cde'),
        WALTZ,
    )
]
CHORDS = note_tokenizer(SONGS, chords=True)


def test_chord_symbols_take_no_time(tmp_path):
    found = samples(tmp_path, known=CHORDS, count=60)
    assert {name for tokens in found for name in tokens if name.startswith("Chord")} == {
        f"Chord_{name}" for name in ("D", "A7/C#", "G", "D7", "Am")
    }
    for tokens in found:
        piece = assert_whole(tokens)
        assert len(piece.chords) == sum(name.startswith("Chord") for name in tokens)  # never two at once
    again = [ENCODING.decode(tokens) for tokens in samples(tmp_path, known=CHORDS, count=20, bars=4)]
    assert all(wrong_measures(piece) == [] for piece in again)


def test_songs_of_the_corpus_are_allowed():
    whole = constrained(tokenizer=CHORDS)
    for piece in SONGS:
        ids = CHORDS.encode(piece).tolist()
        count, rest = whole.obeyed(ids)
        assert (count, rest.shortest) == (len(ids), 0)


def test_tunes_of_the_corpus_are_allowed():
    whole = constrained()
    assert [whole.obeyed(ids(piece))[0] for piece in TUNES] == [len(ids(piece)) for piece in TUNES]
    assert [whole.obeyed(ids(piece))[1].shortest for piece in TUNES] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "abc",
    [
        "M:4/4\nL:1/4\nK:D\nABd | ABde |]",
        "M:4/4\nL:1/4\nK:D\nABdeA |]",
        "M:4/4\nL:1/4\nK:D\nA | ABde |]",
        "M:4/4\nL:1/4\nK:D\nA | ABd :| ABde |]",
        "M:4/4\nL:1/4\nK:D\nABde | ABd |]",
        "M:4/4\nL:1/4\nK:D\nABde | ABde",
    ],
)
def test_bars_that_do_not_add_up_are_not_allowed(abc):
    count, rest = constrained().obeyed(ids(abc_piece(f"X:1\n{abc}\n")))
    assert (count, rest.shortest) != (len(ids(abc_piece(f"X:1\n{abc}\n"))), 0)


def pitches(piece):
    return [note.pitch for note in join_ties(piece.parts[0].notes) if note.pitch]


@pytest.mark.parametrize("bars", [1, 2, 9])
def test_bars_are_counted_without_the_pickup(tmp_path, bars):
    pieces = [assert_whole(tokens) for tokens in samples(tmp_path, bars=bars)]
    counted = [measures(piece)[-1].number for piece in pieces if not any(bar.ending for bar in piece.bars)]
    assert set(counted) == {bars}
    assert {bool(piece.pickup) for piece in pieces} == {True, False}


def test_key_and_meter_are_those_asked(tmp_path):
    pieces = [assert_whole(tokens) for tokens in samples(tmp_path, key="Edor", meter="6/8")]
    assert {(piece.keys, piece.meters[0][1].name) for piece in pieces} == {(TUNES[3].keys, "6/8")}


def test_range_and_leap_hold(tmp_path):
    for tokens in samples(tmp_path, range="E4:E5", max_leap=3):
        heights = [pitch.midi for pitch in pitches(assert_whole(tokens))]
        assert parse_pitch("E4").midi <= min(heights, default=64)
        assert max(heights, default=64) <= parse_pitch("E5").midi
        assert np.abs(np.diff(heights)).max(initial=0) <= 3


def test_a_leap_of_nothing_keeps_to_one_note(tmp_path):
    assert {
        len({pitch.midi for pitch in pitches(assert_whole(t))}) for t in samples(tmp_path, max_leap=0)
    } == {1}
    assert TuneRules(max_leap=0).given == ["max_leap"]


def test_a_scale_follows_the_key_that_is_drawn(tmp_path):
    keys = set()
    for tokens in samples(tmp_path, scale="key"):
        piece = assert_whole(tokens)
        (_, key) = piece.keys[0]
        keys.add(key)
        assert all(pitch.alter == key.alter(pitch.step) for pitch in pitches(piece))
        assert len(piece.keys) == 1
    assert len(keys) == 4


def test_a_tune_ends_on_the_tonic_even_by_small_leaps(tmp_path):
    for tokens in samples(tmp_path, end_on="tonic", max_leap=2, bars=2, scale="key"):
        piece = assert_whole(tokens)
        sung = pitches(piece)
        assert sung[-1].name.rstrip("0123456789") == piece.keys[0][1].tonic
        assert np.abs(np.diff([pitch.midi for pitch in sung])).max(initial=0) <= 2


def test_a_tune_ends_on_a_note_that_is_named(tmp_path):
    found = samples(tmp_path, end_on="G", key="D")
    assert {pitches(assert_whole(tokens))[-1].step for tokens in found} == {"G"}


def test_a_prompt_is_gone_on_with(tmp_path):
    prompt = ids(TUNES[1])[:20]
    for tokens in samples(tmp_path, prompt=prompt, bars=6, count=20):
        assert tokens[:20] == KNOWN.decode_tokens(prompt)
        piece = assert_whole(tokens)
        assert any(bar.ending for bar in piece.bars) or measures(piece)[-1].number == 6


def test_without_whole_bars_the_other_rules_hold(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m", KNOWN, end=-20.0))
    free = constrained(valid=False, key="G", range="D4:D5")
    drawn = collect(sampler.generate(SampleConfig(count=20, length=50, temperature=3), constraint=free))
    pieces = [ENCODING.decode(KNOWN.decode_tokens(sample.tokens)) for sample in drawn]
    assert {piece.keys[0][1].name for piece in pieces} == {"G-major"}
    heights = {pitch.midi for piece in pieces for pitch in pitches(piece)}
    assert (min(heights), max(heights)) == (62, 74)
    assert any(wrong_measures(piece) for piece in pieces)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"bars": 3},
        {"scale": "key"},
        {"end_on": "tonic", "max_leap": 2, "bars": 2},
        {"end_on": "D", "meter": "6/8"},
        {"max_leap": 0},
    ],
    ids=str,
)
def test_from_wherever_one_comes_a_token_leads_nearer_to_an_end(rules):
    """The distances hold for the tokens that there are, though they are counted over kinds."""
    assert_tokens_lead_nearer(constrained(**rules), len(KNOWN.tokens), most=60)


def error_of(*, tokenizer=KNOWN, prompt=(), length=400, banned=(), **rules):
    with pytest.raises(ConfigError) as caught:
        constrain_tune(TuneRules(**rules), tokenizer, prompt=prompt, length=length, banned=banned)
    return str(caught.value)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"key": "Bb"},
            "--key Bb: the model knows no Bb-major, but D-major, G-major, A-minor, E-dorian",
        ),
        ({"meter": "7/8"}, "--meter 7/8: the model knows no 7/8, but 4/4, 6/8, 3/4"),
        ({"range": "C7:E7"}, "--range C7:E7: the model's pitches go from D4 to A5"),
        (
            {"range": "A4:A4", "end_on": "D"},
            "--range A4:A4 and --end-on D: none of the model's pitches are so",
        ),
        ({"bars": 16, "length": 40}, "--bars 16: takes at least 67 tokens, but --length is 40"),
        (
            {"length": 5},
            "bars that add up: takes at least 7 tokens, but --length is 5; raise it, or let tunes be cut "
            "with --any",
        ),
        ({"bars": 0}, "--bars 0: 1 to 1000"),
        ({"max_leap": -1}, "--max-leap -1: 0 semitones or more"),
        ({"key": "H"}, "--key H: 'H' is no key; such as G, Bb, F#m, Ador or Gmix"),
        ({"meter": "6"}, "--meter 6: the model knows no 6/2, but 4/4, 6/8, 3/4"),
        ({"range": "D4"}, "--range D4: two pitches are needed; such as D4:B5; middle C is C4"),
        ({"range": "D5:D4"}, "--range D5:D4: the lower one comes first; such as D4:B5; middle C is C4"),
        ({"end_on": "X"}, "--end-on X: 'X' is no note; tonic, or a note such as D or F#"),
        ({"bars": 2, "valid": False}, "--bars: needs whole bars; leave out --any"),
        ({"banned": [0], "bars": 2}, "--ban <eos>: what obeys --bars 2 must be able to end"),
    ],
)
def test_what_is_impossible_is_told_by_name(rules, message):
    assert error_of(**rules) == message


def test_an_unknown_scale_is_told_with_those_there_are():
    assert error_of(scale="hirajoshi").startswith("--scale hirajoshi: one of key, major, minor, dorian")


def test_a_meter_that_the_durations_cannot_fill_is_told():
    pieces = [abc_piece(f"X:1\nM:{meter}\nL:1/1\nK:D\nA | B |]\n") for meter in ("4/4", "5/8")]
    tokens = note_tokenizer(pieces)
    found = error_of(tokenizer=tokens, meter="5/8")
    assert found == "--meter 5/8: there is no such tune in the tokens of this model"


def test_a_prompt_that_breaks_a_rule_is_told_with_its_token():
    found = error_of(prompt=ids(TUNES[0]), key="G")
    assert found == "--prompt: Key_D-major, its token 1, is against --key G"


def test_a_prompt_whose_bars_do_not_add_up_lets_them_be_so():
    crooked = ids(abc_piece("X:1\nM:4/4\nL:1/8\nK:D\nABcd | ABcd A | ABc"))
    found, remark = constrain_tune(TuneRules(), KNOWN, prompt=crooked, length=50)
    assert found is None
    assert remark.startswith("bars need not add up here: --prompt: ")


def test_a_text_has_no_notes():
    found = error_of(tokenizer=char_tokenizer(), key="G")
    assert found == "--key: this model writes text, which has no notes"


def test_nothing_is_asked_of_texts_or_with_any():
    assert constrain_tune(TuneRules(), char_tokenizer(), prompt=[], length=5) == (None, "")
    assert constrain_tune(TuneRules(valid=False), KNOWN, prompt=[], length=5) == (None, "")

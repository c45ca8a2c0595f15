"""Pieces in REMI under rules: grammatical at any temperature, the rules possible, what is impossible told."""

from fractions import Fraction
from itertools import pairwise

import pytest

from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.errors import ConfigError
from seqgen.music.pieces import Meter, Note, Part, Piece, parse_meter, spelling
from seqgen.music.remi import RemiEncoding
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.tune_rules import constrain_tune
from seqgen.sampling.tune_wishes import TuneRules
from tests.sampling.models import write_model
from tests.sampling.walks import assert_tokens_lead_nearer

GRID = 4
ENCODING = RemiEncoding(grid=GRID, velocities=4)
FOLLOWERS = {
    "Bar": {"TimeSig"},
    "TimeSig": {"Position", "Bar"},
    "Position": {"Tempo", "Program"},
    "Tempo": {"Program", "Position", "Bar"},
    "Program": {"Pitch", "PitchDrum"},
    "Pitch": {"Velocity"},
    "PitchDrum": {"Velocity"},
    "Velocity": {"Duration"},
    "Duration": {"Program", "Position", "Bar"},
}


def band(*meters, long=4):
    """Two bars of each meter, with chords, a long note over a bar line, and drums."""
    onset, starts, chords, beats = Fraction(0), [], [], []
    for meter in meters:
        starts.append((onset, meter))
        for place in range(2 * meter.beats):
            at = onset + Fraction(4 * place, meter.unit)
            length = Fraction(long if place == 1 else 1 + place % 2, 4)
            chords += [Note(at, length, spelling(0)[midi], velocity=90) for midi in (50 + place, 61, 68)]
            beats.append(Note(at + Fraction(1, 4), Fraction(1, 4), spelling(0)[36 + place % 3], velocity=60))
        onset += 2 * meter.bar_quarters
    parts = (Part(tuple(chords), program=24), Part(tuple(beats), is_drum=True))
    return Piece(parts=parts, meters=tuple(starts), tempos=((Fraction(0), Fraction(100)),))


PIECES = [band(Meter(3, 4), Meter(2, 4)), band(Meter(4, 4), long=10), band(Meter(5, 8), long=3)]


def tokenizer(pieces=PIECES, drop=()):
    names = dict.fromkeys(token for piece in pieces for token in ENCODING.encode(piece))
    known = [name for name in names if not name.startswith(drop)] if drop else list(names)
    options = {"notes": "remi", "parameters": ENCODING.parameters()}
    return make_tokenizer(Vocab(level="note", modality="music", tokens=(EOS, UNK, *known), options=options))


KNOWN = tokenizer()


def constrained(*, prompt=(), length=400, known=KNOWN, banned=(), **rules):
    found, remark = constrain_tune(TuneRules(**rules), known, prompt=prompt, length=length, banned=banned)
    assert remark == ""
    return found


def samples(tmp_path, *, count=100, length=120, prompt=(), **rules):
    """Return the tokens of samples of a random model at a high temperature, the prompt included."""
    sampler = Sampler(write_model(tmp_path / "m", KNOWN))
    constraint = constrained(prompt=prompt, length=length, **rules)
    config = SampleConfig(count=count, length=length, temperature=3.0, seed=1)
    drawn = collect(sampler.generate(config, prompt=prompt, constraint=constraint))
    return [KNOWN.decode_tokens([*prompt, *sample.tokens]) for sample in drawn]


def assert_grammatical(tokens):
    """Check what follows what, and that positions ascend within their bars."""
    kinds = [token.split("_")[0] for token in tokens]
    assert kinds[0] == "Bar"
    assert kinds[-1] in ("Duration", "Tempo", "TimeSig")
    assert all(after in FOLLOWERS[before] for before, after in pairwise(kinds))
    last, size, program = -1, 0, ""
    for token in tokens:
        kind, value = token.split("_")
        if kind == "TimeSig":
            last, size = -1, parse_meter(value).beats * GRID
        elif kind == "Position":
            assert last < int(value) < size
            last = int(value)
        elif kind == "Program":
            program = value
        elif kind.startswith("Pitch"):
            assert (kind == "PitchDrum") == (program == "-1")
    assert "Duration" in kinds


def notes_of(tokens):
    return [note for part in ENCODING.decode(tokens).parts for note in part.notes if note.pitch]


def most_at_once(notes):
    return max(sum(other.onset <= note.onset < other.end for other in notes) for note in notes)


def length_of(tokens):
    """Return the length of all bars in quarters."""
    return sum(parse_meter(t.split("_")[1]).bar_quarters for t in tokens if t.startswith("TimeSig"))


def test_every_sample_is_grammatical(tmp_path):
    found = samples(tmp_path)
    assert len({tuple(tokens) for tokens in found}) == 100
    for tokens in found:
        assert_grammatical(tokens)
    assert {token.split("_")[0] for tokens in found for token in tokens} == set(FOLLOWERS)
    assert max(most_at_once(notes_of(tokens)) for tokens in found) > 3


def test_pieces_of_the_corpus_are_allowed():
    whole = constrained()
    for piece in PIECES:
        ids = KNOWN.encode(piece).tolist()
        count, rest = whole.obeyed(ids)
        assert (count, rest.shortest) == (len(ids), 0)


@pytest.mark.parametrize("bars", [1, 3])
def test_there_are_so_many_bars_and_all_notes_end_in_them(tmp_path, bars):
    for tokens in samples(tmp_path, bars=bars):
        assert_grammatical(tokens)
        assert tokens.count("Bar_None") == bars
        last = max(note.end for note in notes_of(tokens))
        before = length_of(tokens) - length_of([t for t in tokens if t.startswith("TimeSig")][-1:])
        assert before < last <= length_of(tokens)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_notes_sound_at_once_than_asked(tmp_path, most):
    found = [notes_of(tokens) for tokens in samples(tmp_path, max_polyphony=most)]
    assert {most_at_once(notes) for notes in found} <= set(range(1, most + 1))
    assert most in {most_at_once(notes) for notes in found}


def test_a_melody_over_a_chord_is_allowed_though_notes_are_counted():
    chord = [Note(Fraction(0), Fraction(4), spelling(0)[midi], velocity=90) for midi in (48, 52)]
    half = [Note(Fraction(at), Fraction(2), spelling(0)[55], velocity=90) for at in (0, 2)]
    tune = [Note(Fraction(at, 2), Fraction(1, 2), spelling(0)[72 + at], velocity=90) for at in range(8)]
    piece = Piece(parts=(Part((*chord, *half, *tune)),), meters=((Fraction(0), Meter(4, 4)),))
    known = tokenizer([piece])
    ids = known.encode(piece).tolist()
    assert constrained(known=known, max_polyphony=4).obeyed(ids)[0] == len(ids)
    assert constrained(known=known, max_polyphony=3).obeyed(ids)[0] < len(ids)


def test_a_note_may_sound_on_into_the_next_bar_where_notes_are_counted(tmp_path):
    over = 0
    for tokens in samples(tmp_path, max_polyphony=2, bars=3, meter="2/4"):
        assert_grammatical(tokens)
        notes = notes_of(tokens)
        assert most_at_once(notes) <= 2
        over += any(note.onset // 2 < (note.end - Fraction(1, 8)) // 2 for note in notes)
    assert over > 20


def test_meter_range_and_scale_are_those_asked(tmp_path):
    for tokens in samples(tmp_path, meter="5/8", key="F", range="C3:C5"):
        assert_grammatical(tokens)
        assert {token for token in tokens if token.startswith("TimeSig")} == {"TimeSig_5/8"}
        sung = [int(token[6:]) for token in tokens if token.startswith("Pitch_")]
        assert all(48 <= midi <= 72 and midi % 12 in {5, 7, 9, 10, 0, 2, 4} for midi in sung)


def test_a_prompt_is_gone_on_with(tmp_path):
    prompt = KNOWN.encode(PIECES[0]).tolist()[:30]
    for tokens in samples(tmp_path, prompt=prompt, bars=3, count=20):
        assert_grammatical(tokens)
        assert tokens.count("Bar_None") == 3


RULES = [
    {},
    {"bars": 2},
    {"max_polyphony": 1},
    {"max_polyphony": 3, "bars": 3},
    {"max_polyphony": 2, "meter": "5/8"},
]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("drop", [(), ("Tempo",), ("Duration_0.1.",)], ids=str)
def test_from_wherever_one_comes_a_token_leads_nearer_to_an_end(rules, drop):
    known = tokenizer(drop=drop)
    assert_tokens_lead_nearer(constrained(known=known, **rules), len(known.tokens), most=60)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"meter": "7/8"}, "--meter 7/8: the model knows no 7/8, but 3/4, 2/4, 4/4, 5/8"),
        ({"range": "C7:E7"}, "--range C7:E7: the model's pitches go from D3 to G#4"),
        ({"scale": "key"}, "--scale key: this model writes no keys; name one with --key"),
        (
            {"key": "C", "scale": "blues", "range": "C#4:C#4"},
            "--key C and --scale blues and --range C#4:C#4: none of the model's pitches are so",
        ),
        ({"max_polyphony": 0}, "--max-polyphony 0: 1 to 8 notes at once"),
        ({"bars": 40, "length": 60}, "--bars 40: takes at least 85 tokens, but --length is 60"),
        ({"end_on": "D"}, "--end-on: only for models of melody and chorale, this one is of remi"),
        ({"valid": False, "max_polyphony": 2}, "--max-polyphony: needs the grammar; leave out --any"),
    ],
)
def test_what_is_impossible_is_told_by_name(rules, message):
    with pytest.raises(ConfigError) as caught:
        constrained(**rules)
    assert str(caught.value) == message

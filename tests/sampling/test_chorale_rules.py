"""Chorales under rules: whole at any temperature, the rules possible, what is impossible told."""

from fractions import Fraction

import pytest

from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.errors import ConfigError
from seqgen.music.chorale import HOLD, REST, ChoraleEncoding
from seqgen.music.measures import measures, wrong_measures
from seqgen.music.pieces import Bar, Key, Meter, Note, Part, Piece, spelling
from seqgen.music.playback import join_ties
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.tune_rules import constrain_tune
from seqgen.sampling.tune_wishes import TuneRules
from tests.sampling.models import write_model
from tests.sampling.walks import assert_tokens_lead_nearer

ENCODING = ChoraleEncoding(grid=2, voices=3)
LOWEST = (70, 59, 45)


def hymn(key, meter, length, *, pickup=0, repeat=None):
    """A piece of eighths and quarters, `length` quarters long, with a repeat sign where it is asked."""
    parts = []
    for voice, low in enumerate(LOWEST):
        onsets = [Fraction(at, 1 + voice % 2) for at in range(length * (1 + voice % 2))]
        heights = [low + (5 * number + voice) % 11 for number in range(len(onsets))]
        notes = tuple(
            Note(onset, Fraction(1, 1 + voice % 2), spelling(0)[midi] if number != 2 else None)
            for number, (onset, midi) in enumerate(zip(onsets, heights, strict=True))
        )
        parts.append(Part(notes))
    lines = dict.fromkeys(range(pickup or int(meter.bar_quarters), length, int(meter.bar_quarters)), "|")
    lines |= {repeat: ":|"} if repeat else {}
    lines[length] = "|]"
    zero = Fraction(0)
    return Piece(
        parts=tuple(parts),
        keys=((zero, key),),
        meters=((zero, meter),),
        bars=tuple(Bar(Fraction(at), kind) for at, kind in sorted(lines.items())),
    )


PIECES = [
    hymn(Key("D"), Meter(4, 4), 12, repeat=8),
    hymn(Key("B", "minor"), Meter(4, 4), 12, pickup=1, repeat=8),
    hymn(Key("Bb"), Meter(3, 4), 9, pickup=2),
    hymn(Key("Bb"), Meter(2, 4), 6),
]


def tokenizer(pieces=PIECES, encoding=ENCODING, drop=()):
    names = dict.fromkeys(token for piece in pieces for token in encoding.encode(piece))
    known = [name for name in names if not name.startswith(drop)] if drop else list(names)
    options = {"notes": "chorale", "parameters": encoding.parameters()}
    return make_tokenizer(Vocab(level="note", modality="music", tokens=(EOS, UNK, *known), options=options))


KNOWN = tokenizer()
BARE = tokenizer(encoding=ChoraleEncoding(grid=2, voices=3, marks=False))


def constrained(*, prompt=(), length=400, known=KNOWN, banned=(), **rules):
    found, remark = constrain_tune(TuneRules(**rules), known, prompt=prompt, length=length, banned=banned)
    assert remark == ""
    return found


def samples(tmp_path, *, count=100, length=150, prompt=(), known=KNOWN, **rules):
    """Return the tokens of samples of a random model at a high temperature, the prompt included."""
    sampler = Sampler(write_model(tmp_path / "m", known))
    constraint = constrained(prompt=prompt, length=length, known=known, **rules)
    config = SampleConfig(count=count, length=length, temperature=3.0, seed=1)
    drawn = collect(sampler.generate(config, prompt=prompt, constraint=constraint))
    return [known.decode_tokens([*prompt, *sample.tokens]) for sample in drawn]


def is_cell(token):
    return token.startswith(("Pitch", "Hold", "Rest"))


def assert_whole(tokens):
    """Check frames, holds, marks and bars of a piece in tokens."""
    sounding, cells = [False] * 3, 0
    for token in tokens:
        voice = cells % 3
        if not is_cell(token):
            assert voice == 0
            continue
        assert sounding[voice] or token != HOLD
        sounding[voice] = token != REST
        cells += 1
    assert cells % 3 == 0
    assert cells
    piece = ENCODING.decode(tokens)
    assert wrong_measures(piece) == []
    return piece


def heights(piece, voice=None):
    parts = piece.parts if voice is None else [piece.parts[voice]]
    return [note.pitch.midi for part in parts for note in join_ties(part.notes) if note.pitch]


def test_every_sample_is_a_whole_chorale(tmp_path):
    found = samples(tmp_path)
    assert len({tuple(tokens) for tokens in found}) == 100
    pieces = [assert_whole(tokens) for tokens in found]
    assert {piece.meters[0][1].name for piece in pieces} == {"4/4", "3/4", "2/4"}
    assert {piece.pickup for piece in pieces} >= {Fraction(0), Fraction(1, 2), Fraction(1)}
    assert {tokens[-1] for tokens in found} == {"Bar_|]", "Bar_:|"}


def test_beats_and_bar_lines_are_where_the_encoding_writes_them(tmp_path):
    for tokens in samples(tmp_path, meter="4/4"):
        written = ENCODING.encode(ENCODING.decode(tokens))
        marks = [
            [(place, token) for place, token in enumerate(run) if token.startswith(("Bar", "Beat"))]
            for run in (tokens, written)
        ]
        keys = any(token.startswith("Key") for token in tokens[1:])
        assert keys or marks[0] == marks[1]


def test_pieces_of_the_corpus_are_allowed():
    whole = constrained()
    for piece in PIECES:
        ids = KNOWN.encode(piece).tolist()
        count, rest = whole.obeyed(ids)
        assert (count, rest.shortest) == (len(ids), 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tokens: [*tokens[:2], "Hold", *tokens[3:]],
        lambda tokens: [*tokens[:3], "Bar_|", *tokens[3:]],
        lambda tokens: [token for token in tokens if token not in ("Beat_2",)],
        lambda tokens: tokens[:-4] + tokens[-1:],
        lambda tokens: tokens[: tokens.index("Bar_|")],
    ],
)
def test_what_is_not_whole_is_not_allowed(spoil):
    tokens = spoil(ENCODING.encode(PIECES[0]))
    ids = [KNOWN.tokens.index(token) for token in tokens]
    count, rest = constrained().obeyed(ids)
    assert (count, rest.shortest) != (len(ids), 0)


@pytest.mark.parametrize("bars", [1, 3])
def test_bars_are_counted_without_the_pickup(tmp_path, bars):
    pieces = [assert_whole(tokens) for tokens in samples(tmp_path, bars=bars)]
    assert {measures(piece)[-1].number for piece in pieces} == {bars}
    assert len({piece.pickup for piece in pieces}) > 2


def test_key_meter_and_range_are_those_asked(tmp_path):
    found = samples(tmp_path, key="Bm", meter="3/4", range="A2:F#4")
    for tokens in found:
        piece = assert_whole(tokens)
        assert (piece.keys, piece.meters) == (((0, Key("B", "minor")),), ((0, Meter(3, 4)),))
        assert set(heights(piece)) <= set(range(45, 67))


def test_a_scale_and_a_last_note_follow_the_key_that_is_drawn(tmp_path):
    keys = set()
    for tokens in samples(tmp_path, scale="key", end_on="tonic", bars=2):
        piece = assert_whole(tokens)
        ((_, key),) = piece.keys
        keys.add(key.name)
        steps = {"D-major": {1, 2, 4, 6, 7, 9, 11}, "Bb-major": {0, 2, 3, 5, 7, 9, 10}}
        assert {height % 12 for height in heights(piece)} <= steps.get(key.name, steps["D-major"])
        assert heights(piece, 2)[-1] % 12 == {"D-major": 2, "B-minor": 11, "Bb-major": 10}[key.name]
    assert len(keys) == 3


def test_a_model_without_marks_counts_bars_if_asked(tmp_path):
    found = samples(tmp_path, known=BARE, meter="3/4", bars=2, key="G", scale="pentatonic")
    assert {len(tokens) for tokens in found} == {2 * 3 * 2 * 3}
    pitches = {int(token[6:]) % 12 for tokens in found for token in tokens if token.startswith("Pitch")}
    assert pitches <= {7, 9, 11, 2, 4}
    free = samples(tmp_path, known=BARE)
    assert {len(tokens) % 3 for tokens in free} == {0}
    assert len({len(tokens) for tokens in free}) > 5


def test_a_prompt_is_gone_on_with(tmp_path):
    prompt = KNOWN.encode(PIECES[1]).tolist()[:40]
    for tokens in samples(tmp_path, prompt=prompt, bars=4, count=20):
        assert measures(assert_whole(tokens))[-1].number == 4


@pytest.mark.parametrize("rules", [{}, {"bars": 2}, {"end_on": "tonic", "scale": "key"}], ids=str)
@pytest.mark.parametrize("drop", [(), ("Rest",), ("Bar_|]", "Bar_:|")], ids=str)
def test_from_wherever_one_comes_a_token_leads_nearer_to_an_end(rules, drop):
    known = tokenizer(drop=drop)
    assert_tokens_lead_nearer(constrained(known=known, **rules), len(known.tokens), most=80)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"key": "E"}, "--key E: the model knows no E-major, but D-major, B-minor, Bb-major"),
        ({"meter": "6/8"}, "--meter 6/8: the model knows no 6/8, but 4/4, 3/4, 2/4"),
        ({"range": "C7:E7"}, "--range C7:E7: the model's pitches go from A2 to G5"),
        (
            {"range": "A4:A4", "end_on": "D"},
            "--range A4:A4 and --end-on D: none of the model's pitches are so",
        ),
        ({"bars": 9, "length": 40}, "--bars 9: takes at least 127 tokens, but --length is 40"),
        ({"max_leap": 3}, "--max-leap: only for models of melody, this one is of chorale"),
        ({"max_polyphony": 2}, "--max-polyphony: only for models of remi, this one is of chorale"),
        ({"valid": False, "key": "D"}, "--key: needs whole frames; leave out --any"),
        ({"known": BARE, "bars": 2}, "--bars 2: this model writes no meters; add --meter"),
        ({"known": BARE, "scale": "key"}, "--scale key: this model writes no keys; name one with --key"),
        ({"banned": [0]}, "--ban <eos>: what obeys whole frames and bars must be able to end"),
    ],
)
def test_what_is_impossible_is_told_by_name(rules, message):
    with pytest.raises(ConfigError) as caught:
        constrained(**rules)
    assert str(caught.value) == message


def test_merged_tokens_are_told():
    names = (EOS, UNK, "Pitch_60", "Pitch_60+Hold")
    options = {"notes": "chorale", "parameters": ENCODING.parameters()}
    merged = make_tokenizer(Vocab(level="note", modality="music", tokens=names, options=options))
    with pytest.raises(ConfigError, match="merged"):
        constrained(known=merged, range="C3:C5")
    found, remark = constrain_tune(TuneRules(), merged, prompt=[], length=50)
    assert found is None
    assert remark.startswith("anything may follow here: whole frames and bars: the tokens of this model")


def test_nothing_is_asked_with_any():
    assert constrain_tune(TuneRules(valid=False), KNOWN, prompt=[], length=5) == (None, "")

import random
from fractions import Fraction

import numpy as np
import pytest

from seqgen.data.tokenizers import EOS_ID
from seqgen.errors import ConfigError, CorpusError
from seqgen.music.measures import wrong_measures
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.filling import Filler, stretches
from seqgen.sampling.outputs import make_piece
from seqgen.sampling.varying import fill, infill, keep, rhythm_of
from tests.sampling.models import abc_piece, note_tokenizer, write_model

JIG = """X:1
T:A jig
M:6/8
L:1/8
K:G
D | GAB d2B | (3cde A FGA | B2G z3- | G3 G2 :| d | e2f g3- | g3 d>BA | [1 G3 G2 :| [2 G6 |]
"""
REEL = "X:1\nM:4/4\nL:1/8\nK:D\nA2 B2 cdef | g4 e/f/g/e/ d2 | c8- | c4 d4 |]\n"
PIECE = abc_piece(JIG)
MELODY = note_tokenizer([PIECE, abc_piece(REEL)])
NAMES = MELODY.encoding.encode(PIECE)


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    return Sampler(write_model(tmp_path_factory.mktemp("model") / "m", MELODY))


def walks(automaton, count, seed=1):
    """Yield random sequences of the automaton, each from the start to where it may end."""
    draw = random.Random(seed)
    for _ in range(count):
        state, symbols = 0, []
        while not automaton.accepting[state] or (automaton.mask(state).any() and draw.random() < 0.5):
            symbols.append(draw.choice(np.flatnonzero(automaton.mask(state)).tolist()))
            state = automaton.advance(state, symbols[-1])
        yield symbols


def whole(variation, symbols):
    begin, rest = variation.prompt.names, variation.prompt.rest
    return make_piece(MELODY, symbols, "", begin=begin, end=rest)


def pitches(piece, start=0, end=10**6):
    return [n.pitch and n.pitch.name for n in piece.parts[0].notes if start <= n.onset < end]


def rhythm(piece):
    return [(n.onset, n.duration, n.pitch is None, n.tie, n.tuplet) for n in piece.parts[0].notes]


def test_stretches_lie_between_bar_lines_with_their_lengths_and_numbers():
    found = stretches(NAMES)
    lengths = [Fraction(1, 2), 3, 3, 3, Fraction(5, 2), Fraction(1, 2), 3, 3, Fraction(5, 2), 3]
    assert [stretch.length for stretch in found] == lengths
    assert [stretch.bar for stretch in found] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert found[1].onset == Fraction(1, 2)
    assert [NAMES[stretch.stop] for stretch in found[:5]] == ["Bar_|"] * 4 + ["Bar_:|"]


@pytest.mark.parametrize("abc", [JIG, REEL], ids=["jig", "reel"])
def test_the_tune_itself_is_one_of_its_fillings(abc):
    names = MELODY.encoding.encode(abc_piece(abc))
    found = stretches(names)
    for keeps_pitches in (False, True):
        automaton = Filler(MELODY.tokens, names, found, len(names), keeps_pitches).automaton()
        state = automaton.walk(MELODY.encode_tokens(names[found[0].start :]).tolist())
        assert state >= 0
        assert automaton.accepting[state]


def test_every_filling_makes_full_bars_and_leaves_the_others_alone():
    variation = infill(MELODY, PIECE, (2, 3))
    found = [whole(variation, symbols) for symbols in walks(variation.constraint, 200)]
    for piece in found:
        assert piece.bars == PIECE.bars
        assert piece.duration == PIECE.duration
        assert wrong_measures(piece) == []
        assert pitches(piece, 0, 3.5) == pitches(PIECE, 0, 3.5)
        assert pitches(piece, 9.5) == pitches(PIECE, 9.5)
    assert len({tuple(pitches(piece)) for piece in found}) > 150
    assert any(note.tuplet for piece in found for note in piece.parts[0].notes if 3.5 <= note.onset < 9.5)


def test_beats_are_marked_in_what_is_drawn_as_encoding_marks_them():
    variation = infill(MELODY, PIECE, (1, 6))
    for symbols in walks(variation.constraint, 50):
        names = [*variation.prompt.names, *MELODY.decode_tokens(symbols), *variation.prompt.rest]
        beats = [name for name in names if name.startswith("Beat_")]
        again = MELODY.encoding.encode(MELODY.encoding.decode(names))
        assert beats == [name for name in again if name.startswith("Beat_")]


def test_a_kept_rhythm_changes_pitches_alone_and_ties_hold():
    variation = keep(MELODY, PIECE, "rhythm")
    found = [whole(variation, symbols) for symbols in walks(variation.constraint, 50)]
    assert all(rhythm(piece) == rhythm(PIECE) for piece in found)
    assert len({tuple(pitches(piece)) for piece in found}) == 50


def test_kept_pitches_stay_in_their_bars_with_new_durations():
    variation = keep(MELODY, PIECE, "pitch")
    found = [whole(variation, symbols) for symbols in walks(variation.constraint, 50)]
    for piece in found:
        assert pitches(piece) == pitches(PIECE)
        assert pitches(piece, 3.5, 6.5) == pitches(PIECE, 3.5, 6.5)
        assert (piece.bars, wrong_measures(piece)) == (PIECE.bars, [])
    assert len({tuple(rhythm(piece)) for piece in found}) > 45


def test_a_rhythm_of_any_encoding_leaves_all_but_pitches():
    names = ["<eos>", "<unk>", "Bar_None", "Pitch_60", "Pitch_62", "Duration_1.0.8"]
    automaton = rhythm_of(names, ["Bar_None", "Pitch_62", "Duration_1.0.8"])
    assert sorted(walks(automaton, 30))[::29] == [[2, 3, 5], [2, 4, 5]]


def test_log_probabilities_of_given_tokens_are_those_of_the_draws(sampler):
    prompt = MELODY.encode_tokens(NAMES[:9])
    samples = list(collect(sampler.generate(SampleConfig(count=3, length=7), prompt=prompt)))
    rows = [sample.tokens + [EOS_ID] * (sample.reason == "eos") for sample in samples]
    found = sampler.logprobs(prompt, rows)
    assert [values.sum() for values in found] == pytest.approx([s.logprob for s in samples], abs=1e-4)
    assert [len(values) for values in found] == [len(row) for row in rows]


def test_the_candidate_is_kept_after_which_the_rest_of_the_tune_is_likeliest(sampler):
    variation = infill(MELODY, PIECE, (2, 2))
    samples = list(collect(fill(sampler, SampleConfig(count=2, seed=5), variation, candidates=6)))
    drawn = SampleConfig(count=12, seed=5)
    all_of = list(
        collect(sampler.generate(drawn, prompt=variation.prompt.ids, constraint=variation.constraint))
    )
    rest = MELODY.encode_tokens(variation.prompt.rest).tolist()
    for number, sample in enumerate(samples):
        fits = {}
        for candidate in all_of[6 * number : 6 * number + 6]:
            prompt = [*variation.prompt.ids.tolist(), *candidate.tokens]
            fits[tuple(candidate.tokens)] = sampler.logprobs(prompt, [[*rest, EOS_ID]])[0].sum()
        assert sample.sequence == number
        assert tuple(sample.tokens) == max(fits, key=fits.get)


def test_bars_that_are_not_there_and_tokens_that_would_have_to_stay_are_told():
    with pytest.raises(ConfigError, match=r"^--infill 7-9: the tune has bars 0 to 8$"):
        infill(MELODY, PIECE, (7, 9))
    with pytest.raises(CorpusError, match=r"^A jig: the model has never seen Pitch_D#6, which would have to"):
        keep(MELODY, abc_piece(JIG.replace("e2f", "e2^d'")), "pitch")
    with pytest.raises(CorpusError, match=r"Duration_3/8"):
        keep(MELODY, abc_piece(JIG.replace("GAB", "G/>A/B2")), "rhythm")
    remi = note_tokenizer([PIECE], "remi")
    with pytest.raises(ConfigError, match=r"^--infill: .* melody or chorale encoding; this one is of remi$"):
        infill(remi, PIECE, (1, 1))


SONG = JIG.replace("GAB d2B", '"G"GAB "D7/f+"d2"Em"B')
CHORDS = note_tokenizer([abc_piece(SONG)], chords=True)


def test_filled_bars_keep_their_chords_where_they_are():
    piece = abc_piece(SONG)
    variation = infill(CHORDS, piece, (1, 2))
    names = CHORDS.encoding.encode(piece)
    state = 0
    for name in names[len(variation.prompt.names) : -len(variation.prompt.rest)]:
        assert variation.constraint.mask(state)[CHORDS.tokens.index(name)]
        state = variation.constraint.advance(state, CHORDS.tokens.index(name))
    assert variation.constraint.accepting[state]
    kinds = ("Beat", "Chord", "Bar")
    for symbols in walks(variation.constraint, 40):
        tokens = [*variation.prompt.names, *(CHORDS.tokens[s] for s in symbols), *variation.prompt.rest]
        filled = CHORDS.encoding.decode(tokens)
        assert filled.chords == piece.chords
        assert wrong_measures(filled) == []
        written = CHORDS.encoding.encode(filled)
        marks = [[name for name in run if name.startswith(kinds)] for run in (tokens, written)]
        assert marks[0] == marks[1]


def test_a_kept_rhythm_keeps_its_chords():
    variation = keep(CHORDS, abc_piece(SONG), "rhythm")
    for symbols in walks(variation.constraint, 5):
        assert CHORDS.decode(symbols).chords == abc_piece(SONG).chords

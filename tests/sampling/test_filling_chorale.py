"""Bars of chorales drawn anew: as long as before, marks in place, the other bars untouched."""

import pytest

from seqgen.errors import ConfigError, CorpusError
from seqgen.music.chorale import HOLD, ChoraleEncoding
from seqgen.music.measures import wrong_measures
from seqgen.music.pieces import Key, Meter
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.filling_chorale import is_cell
from seqgen.sampling.varying import fill, infill
from tests.sampling.models import write_model
from tests.sampling.test_chorale_rules import ENCODING, PIECES, hymn, tokenizer
from tests.sampling.test_varying import walks

PIECE = PIECES[1]  # with a pick-up of a quarter, and a repeat sign within its third bar
KNOWN = tokenizer()
NAMES = ENCODING.encode(PIECE)


def filled(variation, symbols):
    middle = [KNOWN.tokens[symbol] for symbol in symbols]
    return [*variation.prompt.names, *middle, *variation.prompt.rest]


def sung(names):
    """Return which pitch each voice sings in each frame, `-` before one that begins."""
    found, cells = [], [name for name in names if is_cell(name)]
    for place, name in enumerate(cells):
        found.append(found[place - 3].removeprefix("-") if name == HOLD else f"-{name}")
    return found


@pytest.mark.parametrize("bars", [(0, 0), (1, 1), (1, 2), (0, 3)])
def test_the_chorale_itself_is_one_of_its_fillings(bars):
    variation = infill(KNOWN, PIECE, bars)
    start, end = len(variation.prompt.names), len(NAMES) - len(variation.prompt.rest)
    automaton, state = variation.constraint, 0
    for name in NAMES[start:end]:
        assert automaton.mask(state)[KNOWN.tokens.index(name)]
        state = automaton.advance(state, KNOWN.tokens.index(name))
    assert automaton.accepting[state]


def test_every_filling_keeps_bars_marks_and_all_other_notes():
    variation = infill(KNOWN, PIECE, (2, 2))
    start, end = len(variation.prompt.names), len(NAMES) - len(variation.prompt.rest)
    before, after = sung(NAMES[:start]), sung(NAMES)[-len(sung(variation.prompt.rest)) :]
    drawn = set()
    for symbols in walks(variation.constraint, 100):
        names = filled(variation, symbols)
        assert len(names) == len(NAMES)
        assert [n for n in names if not is_cell(n)] == [n for n in NAMES if not is_cell(n)]
        assert sung(names)[: len(before)] == before
        assert sung(names)[-len(after) :] == after
        assert wrong_measures(ENCODING.decode(names)) == []
        drawn.add(tuple(names[start:end]))
    assert len(drawn) == 100


def test_a_note_held_into_the_kept_bars_is_the_one_that_was_held():
    piece = hymn(Key("D"), Meter(2, 4), 8)
    names = ENCODING.encode(piece)
    cells = [place for place, name in enumerate(names) if is_cell(name)]
    bar = next(place for place, number in zip(cells, numbers(names, cells), strict=True) if number == 3)
    held = [*names[:bar], HOLD, *names[bar + 1 :]]  # the highest voice goes on from bar 2 into bar 3
    variation = infill(KNOWN, ENCODING.decode(held), (2, 2))
    assert variation.prompt.rest[1] == HOLD
    wanted = sung(names[:bar])[-3].removeprefix("-")
    for symbols in walks(variation.constraint, 60):
        drawn = filled(variation, symbols)
        last = sung(drawn[: -len(variation.prompt.rest)])[-3]
        assert last.removeprefix("-") == wanted


def numbers(names, cells):
    found = ENCODING.bar_numbers(names)
    return [found[place] for place in cells]


def test_a_model_fills_bars_of_a_chorale(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m", KNOWN))
    variation = infill(KNOWN, PIECE, (1, 2))
    config = SampleConfig(count=2, seed=5, length=variation.constraint.shortest)
    for sample in collect(fill(sampler, config, variation, candidates=3)):
        assert wrong_measures(ENCODING.decode(filled(variation, sample.tokens))) == []


def test_bars_that_are_not_there_and_marks_that_are_unknown_are_told():
    with pytest.raises(ConfigError, match=r"^--infill 4-9: the tune has bars 0 to 3$"):
        infill(KNOWN, PIECE, (4, 9))
    with pytest.raises(CorpusError, match="the model has never seen Beat_3"):
        infill(tokenizer(drop=("Beat_3",)), PIECE, (1, 1))


def test_without_marks_all_is_one_bar():
    bare = ChoraleEncoding(grid=2, voices=3, marks=False)
    variation = infill(tokenizer(encoding=bare), PIECE, (1, 1))
    assert (variation.prompt.names, variation.prompt.rest) == ((), ())

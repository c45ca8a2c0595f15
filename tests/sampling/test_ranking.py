import pytest

from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import Ended, collect
from seqgen.sampling.ranking import best_of, penalised
from seqgen.sampling.stops import Drawn
from tests.sampling.models import write_model


def sequence(number, *logprobs, eos=None):
    events = [Drawn(number, 5 + place, logprob, "x") for place, logprob in enumerate(logprobs)]
    return [*events, Ended(number, "length" if eos is None else "eos", eos or 0.0, "")]


def kept(*sequences, candidates, length_penalty=0.0):
    events = [event for one in sequences for event in one]
    return list(collect(best_of(events, candidates, length_penalty=length_penalty)))


def test_the_penalty_is_that_of_the_paper():
    assert penalised(-6.0, 7, 0.0) == -6.0
    assert penalised(-6.0, 7, 1.0) == pytest.approx(-3.0)
    assert penalised(-6.0, 7, 0.5) == pytest.approx(-6.0 / 2**0.5)


def test_the_likeliest_of_every_few_is_kept_and_numbered_anew():
    found = kept(
        sequence(0, -1.0, -1.0), sequence(1, -0.5), sequence(2, -3.0),
        sequence(3, -2.0), sequence(4, -4.0), sequence(5, -1.0, -0.5),
        candidates=3,
    )  # fmt: skip
    assert [(sample.sequence, sample.logprob) for sample in found] == [(0, -0.5), (1, -1.5)]


def test_the_first_one_of_equals_is_kept():
    (found,) = kept(sequence(0, -1.0, -1.0), sequence(1, -2.0), candidates=2)
    assert len(found.tokens) == 2


def test_the_end_counts_and_a_length_penalty_lets_longer_ones_win():
    short, long = sequence(0, -1.0, eos=-1.0), sequence(1, *[-0.5] * 6)
    assert len(kept(short, long, candidates=2)[0].tokens) == 1
    assert len(kept(short, long, candidates=2, length_penalty=1.0)[0].tokens) == 6


def test_what_ended_because_it_would_have_copied_loses_to_any_other():
    cornered = [Drawn(0, 5, -0.1, "x"), Ended(0, "copy", 0.0, "")]
    (found,) = kept(cornered, sequence(1, -9.0, -9.0), candidates=2)
    assert (found.reason, len(found.tokens)) == ("length", 2)


def test_the_best_of_several_is_among_what_is_drawn_at_any_batch_size(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m"))
    drawn = list(collect(sampler.generate(SampleConfig(count=12, length=30, seed=3))))
    expected = [max(drawn[first : first + 4], key=lambda one: one.logprob).tokens for first in (0, 4, 8)]
    for batch_size in (1, 5, 64):
        events = sampler.generate(SampleConfig(count=12, length=30, seed=3), batch_size=batch_size)
        assert [sample.tokens for sample in collect(best_of(events, 4))] == expected

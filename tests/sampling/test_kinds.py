import numpy as np

from seqgen.cli.sample_options import parse_temperature
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.kinds import kind_of, relative_sharpness
from tests.sampling.models import TUNE, abc_piece, note_tokenizer, write_model

MELODY = note_tokenizer([abc_piece(TUNE)])


def test_temperatures_are_read_alone_on_the_way_and_by_kind():
    assert parse_temperature("0.8") == (0.8, None, {})
    assert parse_temperature("1.2:0.7") == (1.2, 0.7, {})
    assert parse_temperature("Pitch=1.1,duration=0.7") == (1.0, None, {"pitch": 1.1, "duration": 0.7})
    assert parse_temperature("0.9,rest=2") == (0.9, None, {"rest": 2.0})


def test_tokens_of_a_kind_have_its_temperature_and_others_the_plain_one():
    relative = relative_sharpness(MELODY, 0.5, {"pitch": 2.0})
    pitches = np.array([kind_of(token) == "pitch" for token in MELODY.tokens])
    assert set(relative[pitches]) == {0.25}
    assert set(relative[~pitches]) == {1.0}


def test_the_same_temperature_by_kind_draws_what_the_plain_one_draws(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m", MELODY))
    kinds = {kind_of(token): 0.7 for token in MELODY.tokens[2:]}

    def drawn(**temperatures):
        return [s.tokens for s in collect(sampler.generate(SampleConfig(count=3, length=40, **temperatures)))]

    assert drawn(temperature=0.7, kind_temperatures=kinds) == drawn(temperature=0.7)
    assert drawn(temperature=0.7, kind_temperatures={"pitch": 3.0}) != drawn(temperature=0.7)


def test_a_cold_kind_is_drawn_where_it_is_likeliest_only(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m", MELODY))
    config = SampleConfig(count=20, length=50, kind_temperatures={"pitch": 1e-3})
    pitches = {
        t for s in collect(sampler.generate(config)) for t in s.tokens if MELODY.tokens[t].startswith("Pitch")
    }
    warm = SampleConfig(count=20, length=50, kind_temperatures={"pitch": 3.0})
    more = {
        t for s in collect(sampler.generate(warm)) for t in s.tokens if MELODY.tokens[t].startswith("Pitch")
    }
    assert len(more) == sum(kind_of(token) == "pitch" for token in MELODY.tokens)
    assert len(pitches) < len(more)

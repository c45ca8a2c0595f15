from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from seqgen.errors import ConfigError
from seqgen.sampling.automata import DEAD
from seqgen.sampling.beam import BeamConfig, beam_search
from seqgen.sampling.constraints import TextRules, constrain
from seqgen.sampling.counting import Reader
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.ranking import penalised
from tests.kernels.plain_decode import PlainDecoder, random_weights
from tests.sampling.models import char_tokenizer, spelling_weights, write_model
from tests.sampling.test_counting import is_right, letters_then_stops

EOS = 0
TINY = char_tokenizer("ab.")  # 5 tokens with <eos> and <unk>


@pytest.fixture
def tiny(tmp_path):
    weights = random_weights("gru", vocab=5, hidden=7, layers=2, seed=4)
    weights["head.bias"][EOS] += 1
    return write_model(tmp_path / "tiny", TINY, cell="gru", weights=weights)


def searched(sampler, width, *, prompt=(), constraint=None, settings=None, **beam):
    config = SampleConfig(**(settings or {}))
    events = beam_search(
        sampler, config, BeamConfig(width=width, **beam), prompt=prompt, constraint=constraint
    )
    return list(collect(events))


def greedy(sampler, *, prompt=(), constraint=None, **settings):
    config = SampleConfig(temperature=0.0, **settings)
    return next(collect(sampler.generate(config, prompt=prompt, constraint=constraint)))


def every_sequence(artifact, length, prompt=()):
    """Yield all sequences of a model of 5 tokens with their log-probabilities, computed plainly."""
    for size in range(1, length + 1):
        ends = (EOS,) if size < length else (EOS, 2, 3, 4)
        for tokens in product(*[(2, 3, 4)] * (size - 1), ends):
            decoder = PlainDecoder(artifact.weights(), artifact.config.model.cell)
            logprobs, pending = [], [EOS, *prompt, *tokens]
            for before, token in pairwise(pending):
                logits = decoder.logits(before)
                logprobs.append(logits[token] - np.logaddexp.reduce(logits))
            yield tokens, sum(logprobs[len(prompt) :])


def without_eos(tokens):
    return [token for token in tokens if token != EOS]


@pytest.mark.parametrize("penalty", [0.0, 0.8])
def test_a_wide_beam_finds_what_exhaustive_search_finds(tiny, penalty):
    length, best = 4, 6
    ranked = sorted(every_sequence(tiny, length), key=lambda one: -penalised(one[1], len(one[0]), penalty))
    found = searched(
        Sampler(tiny, exact=True), 200, n_best=best, length_penalty=penalty, settings={"length": length}
    )
    assert [sample.tokens for sample in found] == [without_eos(tokens) for tokens, _ in ranked[:best]]
    assert [sample.logprob for sample in found] == pytest.approx(
        [score for _, score in ranked[:best]], abs=1e-4
    )


def test_a_wide_beam_finds_the_likeliest_that_obey_and_follow_a_prompt(tiny):
    length, prompt = 4, TINY.encode("ba").tolist()
    automaton = constrain(TextRules(ends="b."), TINY, prompt="ba", length=length)
    obedient = [
        one for one in every_sequence(tiny, length, prompt) if TINY.decode([*prompt, *one[0]]).endswith("b.")
    ]
    # a sequence that is cut at its length without EOS obeys as well
    ranked = sorted(obedient, key=lambda one: -one[1])
    found = searched(
        Sampler(tiny, exact=True), 200, n_best=4, prompt=prompt, constraint=automaton,
        settings={"length": length},
    )  # fmt: skip
    assert [sample.tokens for sample in found] == [without_eos(tokens) for tokens, _ in ranked[:4]]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("exact", [True, False])
def test_a_beam_of_one_is_greedy(tmp_path, cell, exact):
    sampler = Sampler(write_model(tmp_path / "m", cell=cell), exact=exact)
    expected = greedy(sampler, length=50)
    (found,) = searched(sampler, 1, settings={"length": 50}, length_penalty=0.7)
    assert (found.tokens, found.text, found.reason) == (expected.tokens, expected.text, expected.reason)
    assert found.logprob == pytest.approx(expected.logprob, abs=1e-4)


def test_a_beam_of_one_is_greedy_with_a_mogrifier_and_layer_normalisation(tmp_path):
    weights = random_weights("lstm", vocab=10, hidden=16, rounds=3, rank=2, norm=True)
    sampler = Sampler(write_model(tmp_path / "m", weights=weights))
    expected = greedy(sampler, length=30)
    assert searched(sampler, 1, settings={"length": 30})[0].tokens == expected.tokens


def test_a_beam_of_one_is_greedy_under_rules(tmp_path):
    artifact = write_model(tmp_path / "m")
    sampler, tokenizer = Sampler(artifact), artifact.tokenizer
    prompt = tokenizer.encode("bad ")
    rule = constrain(TextRules(regex=r"bad [a-d ]{3,30}\."), tokenizer, prompt="bad ", length=40)
    banned, boosted = tokenizer.encode("b ").tolist()
    settings = {"length": 40, "bias": {banned: -np.inf, boosted: 1.5}, "no_repeat_ngram": 3}
    expected = greedy(sampler, prompt=prompt, constraint=rule, **settings)
    (found,) = searched(sampler, 1, prompt=prompt, constraint=rule, settings=settings)
    assert len(expected.tokens) > 5
    assert (found.tokens, found.reason) == (expected.tokens, expected.reason)
    assert found.logprob == pytest.approx(expected.logprob, abs=1e-4)


def test_a_wider_beam_finds_likelier_sequences(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m"))
    scores = [searched(sampler, width, settings={"length": 25})[0].logprob for width in (1, 8, 64)]
    assert scores[0] < scores[1] <= scores[2]


def test_states_follow_their_hypotheses_whatever_network_there_is(tmp_path):
    """Each result's log-probability is that of the sequence read anew, from its start."""
    bag = {
        "embedding.weight": np.random.default_rng(1).standard_normal((10, 5)).astype(np.float32),
        "encoder.0.weight_ih": np.random.default_rng(2).standard_normal((16, 15)).astype(np.float32),
        "encoder.0.bias_ih": np.random.default_rng(3).standard_normal(16).astype(np.float32),
        "head.weight": np.random.default_rng(4).standard_normal((10, 16)).astype(np.float32),
        "head.bias": np.zeros(10, np.float32),
    }
    config = {"model": {"cell": "window", "context": 3, "layers": 1, "hidden_size": 16, "embedding_size": 5}}
    window = write_model(tmp_path / "w", cell="window", weights=bag, config=config)
    for artifact in (window, write_model(tmp_path / "m")):
        sampler = Sampler(artifact)
        for sample in searched(sampler, 7, n_best=5, settings={"length": 9}):
            total, tokens = 0.0, sample.tokens + [EOS] * (sample.reason == "eos")
            for place, token in enumerate(tokens):
                state = sampler.decoder.start([0], np.array(tokens[:place], np.int64))
                logits = sampler.decoder.logits(state)[0].astype(np.float64)
                total += logits[token] - np.logaddexp.reduce(logits)
            assert sample.logprob == pytest.approx(total, abs=1e-4)


def test_results_obey_their_constraint_and_are_the_best_first(tmp_path):
    artifact = write_model(tmp_path / "m")
    rule = constrain(TextRules(regex="[a-c]{2,6}[.]"), artifact.tokenizer, prompt="", length=10)
    found = searched(Sampler(artifact), 12, n_best=9, constraint=rule, settings={"length": 10})
    assert len({sample.text for sample in found}) == 9
    for sample in found:
        assert rule.walk(sample.tokens) != DEAD
        assert rule.accepting[rule.walk(sample.tokens)]


def test_fewer_than_wanted_are_found_where_there_are_no_more(tiny):
    rule = constrain(TextRules(regex="a|b"), TINY, prompt="", length=5)
    found = searched(Sampler(tiny), 9, n_best=9, constraint=rule, settings={"length": 5})
    assert sorted(sample.text for sample in found) == ["a", "b"]


def test_a_stop_text_ends_a_hypothesis(tmp_path):
    tokenizer = char_tokenizer()
    weights = spelling_weights(tokenizer, "a cab. a bed.")
    sampler = Sampler(write_model(tmp_path / "m", tokenizer, cell="rnn", weights=weights))
    best = searched(sampler, 4, settings={"stop": ("b.",), "length": 40})[0]
    assert (best.text, best.reason, best.logprob) == ("a ca", "stop", pytest.approx(0.0, abs=1e-4))


def test_groups_differ_more_the_more_they_are_told_to(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m"))

    def distinct_starts(diversity):
        found = searched(sampler, 5, n_best=5, diversity=diversity, settings={"length": 12})
        return len({sample.tokens[0] if sample.tokens else EOS for sample in found})

    assert distinct_starts(0.0) < distinct_starts(100.0) == 5


def test_the_first_group_is_searched_as_if_it_were_alone(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m"))
    alone = searched(sampler, 2, settings={"length": 15})
    groups = searched(sampler, 6, n_best=3, diversity=2.0, settings={"length": 15})
    assert alone[0].tokens in [sample.tokens for sample in groups]
    assert [sample.logprob for sample in groups] == sorted((s.logprob for s in groups), reverse=True)


def test_diverse_groups_choose_as_a_plain_loop_does(tiny):
    """Three groups of one hypothesis each: greedy, with a penalty on what groups before have just chosen."""
    strength, length, groups = 1.3, 6, 3
    decoders = [PlainDecoder(tiny.weights(), "gru") for _ in range(groups)]
    sequences = [[EOS] for _ in range(groups)]
    for _ in range(length):
        counts = np.zeros(5)
        for decoder, tokens in zip(decoders, sequences, strict=True):
            if len(tokens) > 1 and tokens[-1] == EOS:
                continue
            logits = decoder.logits(tokens[-1])
            logits -= np.logaddexp.reduce(logits)
            logits[1] = -np.inf
            tokens.append(int((logits - strength * counts).argmax()))
            counts[tokens[-1]] += 1
    expected = {tuple(without_eos(tokens)) for tokens in sequences}
    found = searched(
        Sampler(tiny, exact=True), 3, n_best=groups, diversity=strength, settings={"length": length}
    )
    assert {tuple(sample.tokens) for sample in found} == expected
    assert len(expected) == groups


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.5}, "--temperature: has no meaning with --beam"),
        ({"final_temperature": 0.5}, "--temperature: has no meaning with --beam"),
        ({"top_k": 3}, "--top-k: has no meaning"),
        ({"count": 2}, "--count: has no meaning"),
        ({"repetition_penalty": 1.2}, "--repetition-penalty: has no meaning"),
    ],
    ids=str,
)
def test_what_shapes_a_draw_is_refused(tiny, settings, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        searched(Sampler(tiny), 2, settings=settings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "--beam 0: 1"),
        ({"width": 1001}, "--beam 1001: 1"),
        ({"width": 3, "n_best": 4}, "--n-best 4: 1 to what --beam keeps, 3"),
        ({"width": 3, "length_penalty": -1.0}, "--length-penalty -1.0: 0"),
        ({"width": 3, "n_best": 2, "diversity": -1.0}, "--diverse -1.0: 0"),
        ({"width": 3, "diversity": 1.0}, "--diverse: makes several differ"),
    ],
    ids=str,
)
def test_a_search_that_makes_no_sense_is_refused(values, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        BeamConfig(**values)


def test_a_wide_beam_obeys_an_automaton_that_counts_and_finds_the_likeliest(tiny):
    whole, length = letters_then_stops(), 5
    tables = whole.reader.kinds, whole.reader.following
    limits = replace(whole, reader=Reader(*(np.insert(table, 1, 0, axis=1) for table in tables)))

    def letters(tokens):
        return [token - 1 for token in without_eos(tokens)]

    allowed = [(tokens, score) for tokens, score in every_sequence(tiny, length) if is_right(letters(tokens))]
    sampler = Sampler(tiny, exact=True)
    found = searched(sampler, 400, constraint=limits, n_best=3, settings={"length": length})
    best = sorted(allowed, key=lambda one: -one[1])[:3]
    assert [sample.tokens for sample in found] == [without_eos(tokens) for tokens, _ in best]

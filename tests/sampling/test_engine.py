import re

import numpy as np
import pytest

from seqgen.data.tokenizers import byte_vocab, make_tokenizer
from seqgen.errors import ArtifactError, ConfigError
from seqgen.kernels import crew
from seqgen.sampling.constraints import TextRules, constrain
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import Ended, collect, in_order
from seqgen.sampling.stops import Drawn
from tests.kernels.plain_decode import plain_sample
from tests.sampling.models import ALPHABET, char_tokenizer, spelling_weights, write_model


@pytest.fixture
def sampler(tmp_path):
    return Sampler(write_model(tmp_path / "m"))


def speller(path, text, *, tokenizer=None, again=False):
    """Return a sampler that always says the same text."""
    tokenizer = tokenizer or char_tokenizer()
    weights = spelling_weights(tokenizer, text, again=again)
    return Sampler(write_model(path, tokenizer, cell="rnn", weights=weights))


def samples(sampler, *, prompt=(), batch_size=64, threads=None, **settings):
    events = sampler.generate(SampleConfig(**settings), prompt=prompt, batch_size=batch_size, threads=threads)
    return list(collect(events))


def test_tokens_and_log_probabilities_are_those_of_the_plain_loop(tmp_path):
    artifact = write_model(tmp_path / "m")
    (found,) = samples(Sampler(artifact, exact=True), length=40, seed=5, top_k=6)
    bias = np.eye(len(artifact.tokenizer.tokens))[1] * -1e9
    expected, logprobs = plain_sample(
        artifact.weights(), "lstm", sequence=0, seed=5, length=40, top_k=6, bias=bias
    )
    assert found.tokens == [token for token in expected if token != 0]
    assert found.logprob == pytest.approx(sum(logprobs), abs=1e-4)


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (3, 1), (3, 2), (64, 3)])
def test_batch_size_and_threads_never_change_a_sample(sampler, batch_size, threads):
    settings = {"count": 7, "length": 60, "seed": 3, "top_p": 0.9}
    found = samples(sampler, batch_size=batch_size, threads=threads, **settings)
    assert found == samples(sampler, **settings)


@pytest.mark.parametrize("count", [1, 2])
def test_helpers_never_change_a_sample(sampler, monkeypatch, count):
    settings = {"count": count, "length": 60, "seed": 3, "top_p": 0.9}
    expected = samples(sampler, threads=1, **settings)
    monkeypatch.setattr(crew, "BYTES_A_THREAD", 1)
    monkeypatch.setattr(crew, "BYTES_A_CALL", 0)
    assert sampler.decoder.divide(count, 4) == (1, 4)
    assert samples(sampler, threads=4, **settings) == expected


def test_only_fewer_sequences_than_threads_share_their_products(sampler, monkeypatch):
    assert sampler.decoder.divide(1, 4) == (1, 1)
    monkeypatch.setattr(crew, "BYTES_A_THREAD", 1)
    assert [sampler.decoder.divide(count, 4) for count in (3, 4, 9)] == [(1, 4), (4, 1), (4, 1)]
    assert sampler.decoder.divide(1, 1) == (1, 1)


def test_rounded_weights_leave_a_confident_model_as_it_is(tmp_path):
    artifact = write_model(tmp_path / "m")
    exact, rounded = (samples(Sampler(artifact, exact=exact), temperature=0.0)[0] for exact in (True, False))
    assert rounded.tokens == exact.tokens
    assert rounded.logprob == pytest.approx(exact.logprob, rel=0.01)
    assert rounded.logprob != exact.logprob


def test_count_only_adds_samples(sampler):
    assert samples(sampler, count=2, seed=3) == samples(sampler, count=5, seed=3)[:2]


def test_seeds_make_different_samples(sampler):
    texts = {samples(sampler, seed=seed, length=40)[0].text for seed in range(5)}
    assert len(texts) == 5


def test_a_sample_ends_at_eos_and_charges_it(tmp_path):
    (sample,) = samples(speller(tmp_path / "m", "a bad cab."), length=100)
    assert (sample.text, sample.reason) == ("a bad cab.", "eos")
    assert len(sample.tokens) == 10
    assert sample.logprob == pytest.approx(0, abs=1e-5)


def test_a_sample_ends_at_its_length(tmp_path):
    (sample,) = samples(speller(tmp_path / "m", "abc", again=True), length=8)
    assert (sample.text, sample.reason) == ("abcabcab", "length")


def test_a_stop_text_ends_a_sample_and_is_not_shown(tmp_path):
    sampler = speller(tmp_path / "m", "a cab.\n\na bed.")
    (sample,) = samples(sampler, stop=("\n\n", "bed"))
    assert (sample.text, sample.reason) == ("a cab.", "stop")


def test_text_held_back_for_a_stop_text_is_shown_at_the_end(tmp_path):
    sampler = speller(tmp_path / "m", "abc", again=True)
    (sample,) = samples(sampler, length=5, stop=("bd",))
    assert (sample.text, sample.reason) == ("abcab", "length")


def test_stopping_one_sample_leaves_the_others(sampler):
    free = samples(sampler, count=6, length=80, seed=2)
    stopped = samples(sampler, count=6, length=80, seed=2, stop=("a",))
    assert {sample.reason for sample in stopped} > {"stop"}
    assert [sample.text for sample in stopped] == [sample.text.split("a")[0] for sample in free]


def test_a_prompt_is_gone_on_from_and_not_repeated(tmp_path):
    artifact = write_model(tmp_path / "m")
    prompt = artifact.tokenizer.encode("bad ")
    (found,) = samples(Sampler(artifact, exact=True), prompt=prompt, length=20, seed=1)
    bias = np.eye(len(artifact.tokenizer.tokens))[1] * -1e9
    expected, _ = plain_sample(
        artifact.weights(), "lstm", sequence=0, seed=1, length=20, prompt=prompt.tolist(), bias=bias
    )
    assert found.tokens == [token for token in expected if token != 0]


def test_unknown_is_never_sampled(tmp_path):
    artifact = write_model(tmp_path / "m")
    weights = artifact.weights()
    weights["head.bias"][1] += 30
    sampler = Sampler(write_model(tmp_path / "n", weights=weights))
    for temperature in (0.0, 1.0, 3.0):
        (sample,) = samples(sampler, length=200, temperature=temperature)
        assert set(sample.text) <= set(ALPHABET)


def test_characters_of_many_bytes_are_shown_whole(tmp_path):
    tokenizer = make_tokenizer(byte_vocab())
    sampler = speller(tmp_path / "m", "é€😀", tokenizer=tokenizer)
    events = list(sampler.generate(SampleConfig(length=50)))
    assert [event.text for event in events if event.text] == ["é", "€", "😀"]
    assert len(events) == 9 + 1


def test_a_character_cut_by_the_length_is_replaced(tmp_path):
    sampler = speller(tmp_path / "m", "a€", tokenizer=make_tokenizer(byte_vocab()))
    (sample,) = samples(sampler, length=3)
    assert sample.text == "a\ufffd"


def test_a_prompt_may_end_within_a_character(tmp_path):
    tokenizer = make_tokenizer(byte_vocab())
    first, *rest = tokenizer.encode("é").tolist()
    sampler = speller(tmp_path / "m", "é", tokenizer=tokenizer)
    events = sampler.generate(SampleConfig(), prompt=[first])
    shown = "".join(event.text for event in events)
    assert rest
    assert shown == "é"


def test_the_first_token_comes_before_the_second_is_computed(sampler):
    events = sampler.generate(SampleConfig(length=1_000_000_000))
    assert isinstance(next(events), Drawn)
    events.close()


def test_without_a_limit_sequences_follow_one_another_and_are_the_same(tmp_path):
    sampler = Sampler(write_model(tmp_path / "m", end=2.0))
    endless = collect(sampler.generate(SampleConfig(count=None, length=0, seed=3)))
    found = [next(endless) for _ in range(8)]
    assert {sample.reason for sample in found} == {"eos"}
    assert found == samples(sampler, count=8, length=10_000, seed=3)


def test_a_constraint_is_obeyed_without_a_limit(tmp_path):
    artifact = write_model(tmp_path / "m")
    rule = constrain(TextRules(regex="(a[b-d]){5,}e"), artifact.tokenizer, prompt="", length=100)
    (found,) = collect(Sampler(artifact).generate(SampleConfig(length=0, seed=1), constraint=rule))
    assert re.fullmatch("(a[b-d]){5,}e", found.text)


def test_events_in_order_are_grouped_by_sequence(sampler):
    events = list(sampler.generate(SampleConfig(count=5, length=50, seed=1)))
    ordered = [event.sequence for event in in_order(events)]
    assert ordered == sorted(ordered)
    assert len(ordered) == len(events)
    assert sum(isinstance(event, Ended) for event in events) == 5


def test_the_first_unfinished_sequence_is_not_held_back():
    def arriving():
        yield Drawn(1, 5, 0.0, "later")
        yield Drawn(0, 5, 0.0, "first")
        raise AssertionError("asked for more than was needed")

    assert next(in_order(arriving())).text == "first"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"count": 0}, "--count 0"),
        ({"length": -1}, "--length -1"),
        ({"length": 0, "final_temperature": 0.5}, "--temperature 1.0:0.5"),
        ({"temperature": -0.1}, "--temperature -0.1"),
        ({"temperature": float("nan")}, "--temperature nan"),
        ({"top_k": -1}, "--top-k -1"),
        ({"top_p": 0.0}, "--top-p 0.0"),
        ({"top_p": 1.1}, "--top-p 1.1"),
        ({"stop": ("a", "")}, "--stop"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**64}, "--seed 18446744073709551616"),
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_refused(setting, message):
    with pytest.raises(ConfigError, match=f"^{message}: "):
        SampleConfig(**setting)


def test_weights_for_another_vocabulary_are_refused(tmp_path):
    artifact = write_model(tmp_path / "m")
    other = write_model(tmp_path / "n", char_tokenizer("xyz"), weights=artifact.weights())
    with pytest.raises(ArtifactError, match="weights for 10 tokens, but a vocabulary of 5"):
        Sampler(other)


def test_weights_of_another_cell_are_refused(tmp_path):
    artifact = write_model(tmp_path / "m", cell="gru")
    other = write_model(tmp_path / "n", cell="lstm", weights=artifact.weights())
    with pytest.raises(ArtifactError, match=r"weights that do not fit: encoder\.0\.weight_ih"):
        Sampler(other)


@pytest.mark.parametrize(
    ("weight", "message"), [(np.nan, r"head\.weight: not all finite"), (3e38, "output is not finite")]
)
def test_a_diverged_model_is_told(tmp_path, weight, message):
    weights = write_model(tmp_path / "m").weights()
    weights["encoder.1.bias_ih"][:] = 50  # hidden states near 1
    weights["head.weight"][:] = weight
    artifact = write_model(tmp_path / "n", weights=weights)
    with pytest.raises(ArtifactError, match=message):
        samples(Sampler(artifact, exact=True))

import numpy as np
import pytest

from seqgen.data.suffixes import sort_suffixes
from seqgen.kernels.copying import STUCK, CopyLimit, read_only
from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw_state import ENDED
from tests.data.plain_suffixes import longest_match
from tests.kernels.plain_decode import fixed_distribution, plain_sample, random_weights
from tests.kernels.test_decode import in_two_parts, never, rule

VOCAB = 11


def limit(text, longest):
    text = np.array(text, np.uint8)
    return CopyLimit(read_only(text), read_only(sort_suffixes(text)), longest)


def draw_text(seed, size=400):
    """Draw documents of the tokens 2 to 8."""
    draw = np.random.default_rng(seed)
    return draw.choice(9, size, p=[0.05, 0, 0.25, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05]).tolist()


def longest_copy(text, tokens):
    return max(longest_match(text, tokens, start) for start in range(len(tokens)))


def sampled(weights, copying, *, prompt=(), count=1, steps=60, **settings):
    decoder = Decoder(weights, cell="lstm")
    state = decoder.start(range(count), np.array(prompt, np.int64), copying=copying)
    return decoder.draw(state, rule(**settings), steps, copying=copying)[0].tolist()


@pytest.mark.parametrize("longest", [1, 2, 3, 5])
def test_tokens_are_those_of_the_plain_loop_that_searches_for_each_run(longest):
    text, weights, bias = draw_text(1), random_weights("lstm", spread=0.5), never(0)
    for prompt in ([], text[40:44], [9, 10, *text[70:79]]):
        prompt = [token for token in prompt if token]
        (found,) = sampled(weights, limit(text, longest), prompt=prompt, bias=bias)
        expected, _ = plain_sample(
            weights, "lstm", sequence=0, seed=7, length=60, prompt=prompt, bias=bias, uncopied=(text, longest)
        )
        assert found == expected


@pytest.mark.parametrize("longest", [1, 2, 3, 5])
def test_no_run_is_longer_than_the_limit(longest):
    text = draw_text(2)
    logits = np.where(np.isin(np.arange(VOCAB), text), 0.0, -4.0)  # else unseen tokens break every run
    weights = fixed_distribution([-30.0, *logits[1:]])
    decoder, copying = Decoder(weights, cell="rnn"), limit(text, longest)
    free, _ = decoder.draw(decoder.start(range(8)), rule(), 100)
    bound, _ = decoder.draw(decoder.start(range(8), copying=copying), rule(), 100, copying=copying)
    assert max(longest_copy(text, row) for row in free.tolist()) > longest or longest == 5
    assert max(longest_copy(text, row) for row in bound.tolist()) == longest


def test_a_model_that_knows_its_text_by_heart_leaves_it_at_the_limit():
    text = draw_text(3, 60)
    text = [token for token in text if token]
    weights = fixed_distribution(np.zeros(VOCAB))
    (found,) = sampled_at_rest(weights, limit(text, 4), prompt=text[10:14], bias=favour(text[14]))
    assert found[0] != text[14]


def favour(token):
    return 9 * np.eye(VOCAB, dtype=np.float32)[token]


def sampled_at_rest(weights, copying, *, prompt, bias):
    decoder = Decoder(weights, cell="rnn")
    state = decoder.start([0], np.array(prompt), copying=copying)
    return decoder.draw(state, rule(bias=bias), 1, copying=copying)[0].tolist()


def test_a_run_does_not_go_on_across_documents():
    weights, text = fixed_distribution(np.zeros(VOCAB)), [2, 3, 0, 4, 5]
    assert sampled_at_rest(weights, limit(text, 2), prompt=[2, 3], bias=favour(4)) == [[4]]
    assert sampled_at_rest(weights, limit(text, 1), prompt=[2], bias=favour(3)) != [[3]]


def test_the_end_of_a_document_may_always_follow():
    weights, text = fixed_distribution(np.zeros(VOCAB)), [2, 3, 4, 0, 2, 3]
    assert sampled_at_rest(weights, limit(text, 3), prompt=[2, 3, 4], bias=favour(0)) == [[0]]


def test_a_sequence_is_stuck_where_nothing_is_left():
    text = [1, 1, 2, 2, 1]  # holds every run of two
    weights, bias = fixed_distribution(np.zeros(VOCAB)), never(0, *range(3, VOCAB))
    decoder, copying = Decoder(weights, cell="rnn"), limit(text, 1)
    state = decoder.start(range(3), copying=copying)
    tokens, logprobs = decoder.draw(state, rule(bias=bias), 4, copying=copying)
    assert tokens[:, 1:].tolist() == [[STUCK, ENDED, ENDED]] * 3
    assert set(tokens[:, 0]) <= {1, 2}
    assert logprobs[:, 1:].tolist() == [[0.0] * 3] * 3
    assert not state.draws.live.any()


def test_chunks_and_batches_never_change_a_sequence():
    text, weights = draw_text(4), random_weights("lstm", spread=0.5)
    copying, decoder = limit(text, 2), Decoder(weights, cell="lstm")
    prompt = np.array([2, 3, 4])
    together = decoder.draw(
        decoder.start(range(5), prompt, copying=copying), rule(bias=never(0)), 40, copying=copying
    )[0]
    for number in range(5):
        state = decoder.start([number], prompt, copying=copying)
        parts = [decoder.draw(state, rule(bias=never(0)), count, copying=copying)[0] for count in (1, 30, 9)]
        assert np.concatenate(parts, axis=1)[0].tolist() == together[number].tolist()


def test_a_constraint_and_a_limit_hold_together():
    text = [1, 1, 2, 0, 4, 4, 4, 0, 5, 4, 5]
    automaton, copying = in_two_parts(), limit(text, 2)
    decoder = Decoder(random_weights("gru"), cell="gru")
    state = decoder.start(range(30), copying=copying)
    tokens, _ = decoder.draw(state, rule(), 40, constraint=automaton.tables(40), copying=copying)
    ended = [row[: row.index(0)] for row in tokens.tolist() if 0 in row]
    assert len(ended) > 5
    for row in ended:
        assert automaton.accepting[automaton.walk(row)]
        assert longest_copy(text, row) <= 2

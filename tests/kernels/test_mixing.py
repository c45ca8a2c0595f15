import numpy as np
import pytest

from seqgen.data.ngrams import LONGEST_CONTEXT, NgramModel
from seqgen.data.suffixes import SuffixArray, sort_suffixes
from seqgen.evaluation.ngram import mixed
from seqgen.kernels import mixing
from seqgen.kernels.decode import Decoder
from tests.kernels.plain_decode import fixed_distribution, random_weights
from tests.kernels.test_decode import never, rule

V, W = 11, 0.3


def make_model(tokens):
    text = np.array(tokens, np.uint8)
    model = NgramModel(SuffixArray(text, sort_suffixes(text), np.zeros(0, np.int64)), V)
    held_out = np.array(draw_text(9), np.uint8)
    return model.fitted(held_out, np.array([0, len(held_out)])) if len(tokens) else model


def draw_text(seed, size=600):
    """Draw documents of the tokens 2 to 6, in which a stretch comes again."""
    draw = np.random.default_rng(seed)
    text = draw.choice(7, size, p=[0.03, 0, 0.4, 0.3, 0.2, 0.05, 0.02])
    text[100:150] = np.where(text[20:70] > 0, text[20:70], 2)
    text[300:350] = text[100:150]
    return text.tolist()


def sampled(weights, mix, prompt=(), *, steps=70, cell="lstm"):
    decoder, prompt = Decoder(weights, cell=cell), np.array(prompt, np.int64)
    state = decoder.start([0], prompt, mixing=mix)
    tokens, logprobs = decoder.draw(state, rule(bias=never(0)), steps, mixing=mix)
    return tokens[0], logprobs[0]


def evaluated(weights, model, tokens, share, *, cell="lstm"):
    """Return the log-probabilities of a document's tokens as `seqgen evaluate` computes them."""
    decoder = Decoder(weights, cell=cell)
    logprobs, _ = decoder.read(decoder.start([0]), tokens)
    losses = [(np.arange(len(tokens)), -logprobs.astype(np.float32))]
    probs = model.probabilities(tokens, np.array([0, len(tokens)]))
    ((_, values),) = mixed(losses, probs, share)
    return -values


@pytest.mark.parametrize("share", [0.05, W, 1.0])
def test_probabilities_are_those_of_the_evaluation(share):
    text = draw_text(1)
    weights, model = random_weights("lstm"), make_model(text)
    for prompt in ([], [3], text[105:135]):  # the last one is a context longer than the short ones
        assert len(prompt) < 2 or len(prompt) > LONGEST_CONTEXT
        tokens, found = sampled(weights, model.mix(share), prompt)
        expected = evaluated(weights, model, np.append(np.array(prompt, np.int64), tokens), share)
        assert found == pytest.approx(expected[len(prompt) :], abs=2e-5)


def test_drawn_tokens_are_as_frequent_as_the_mixture_says():
    model, weights = make_model(draw_text(2)), fixed_distribution(np.linspace(0, 2, V))
    decoder, mix, prompt, count = Decoder(weights, cell="rnn"), model.mix(W), np.array([2, 3]), 20_000
    tokens, _ = decoder.draw(decoder.start(range(count), prompt, mixing=mix), rule(), 1, mixing=mix)
    network = np.exp(np.linspace(0, 2, V))
    expected = (1 - W) * network / network.sum() + W * model.distribution(prompt)
    found = np.bincount(tokens[:, 0], minlength=V)
    assert (np.abs(found - count * expected) < 5 * np.sqrt(count * expected)).all()
    assert np.abs(found / count - network / network.sum()).max() > 0.05


def test_a_context_beyond_the_longest_counts_as_its_end(monkeypatch):
    text = draw_text(1)
    weights, model = random_weights("lstm"), make_model(text)
    prompt = text[105:135]
    whole = sampled(weights, model.mix(W), prompt)
    monkeypatch.setattr(mixing, "LONGEST_MATCH", 20)
    cut = sampled(weights, model.mix(W), prompt)
    assert cut[0].tolist() == whole[0].tolist()
    assert cut[1] == pytest.approx(whole[1], abs=0.2)


def test_an_empty_corpus_makes_all_tokens_as_likely():
    weights = random_weights("lstm")
    _, found = sampled(weights, make_model([]).mix(1.0), steps=5)
    assert found == pytest.approx(np.full(5, -np.log(V)))


def test_chunks_and_batches_never_change_a_sequence():
    mix, decoder = make_model(draw_text(3)).mix(W), Decoder(random_weights("lstm"), cell="lstm")
    free, prompt = rule(bias=never(0)), np.array([2, 3, 2])
    together = decoder.draw(decoder.start(range(4), prompt, mixing=mix), free, 40, mixing=mix)
    for number in range(4):
        state = decoder.start([number], prompt, mixing=mix)
        parts = [decoder.draw(state, free, count, mixing=mix)[0] for count in (1, 30, 9)]
        assert np.concatenate(parts, axis=1)[0].tolist() == together[0][number].tolist()

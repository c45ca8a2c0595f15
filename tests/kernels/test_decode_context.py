import numpy as np
import pytest

from seqgen.kernels.decode import Decoder
from tests.kernels.test_decode import read_logits, rule

VOCAB, EMBEDDING, HIDDEN, CONTEXT = 11, 5, 9, 4
CELLS = ["window", "bow"]


def random_weights(cell, *, layers=2, seed=0, one_hot=False):
    draw = np.random.default_rng(seed)
    size = VOCAB if one_hot else EMBEDDING

    def normal(*shape):
        return (draw.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights = {} if one_hot else {"embedding.weight": 2 * normal(VOCAB, EMBEDDING)}
    for layer in range(layers):
        inputs = HIDDEN if layer else size * (CONTEXT if cell == "window" else 1)
        weights[f"encoder.{layer}.weight_ih"] = 2 * normal(HIDDEN, inputs)
        weights[f"encoder.{layer}.bias_ih"] = normal(HIDDEN)
    return weights | {"head.weight": 4 * normal(VOCAB, HIDDEN), "head.bias": normal(VOCAB)}


def plain_logits(weights, cell, tokens):
    """Return the logits after all of the tokens, (V,), in float64."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    vectors = weights.get("embedding.weight", np.eye(VOCAB))
    start = max(place for place, token in enumerate(tokens) if token == 0)
    window = tokens[start:][-CONTEXT:]
    first = weights["encoder.0.weight_ih"]
    if cell == "bow":
        sums = first @ vectors[window].mean(axis=0)
    else:
        size = vectors.shape[1]
        missing = np.zeros((CONTEXT - len(window)) * size)
        sums = first @ np.concatenate([missing, *vectors[window]])
    features = np.tanh(sums + weights["encoder.0.bias_ih"])
    layer = 1
    while f"encoder.{layer}.weight_ih" in weights:
        features = np.tanh(
            weights[f"encoder.{layer}.weight_ih"] @ features + weights[f"encoder.{layer}.bias_ih"]
        )
        layer += 1
    return weights["head.weight"] @ features + weights["head.bias"]


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_logits_match_the_plain_network(cell, layers, exact, one_hot):
    weights = random_weights(cell, layers=layers, one_hot=one_hot)
    tokens = [4, 4, 10, 1, 7, 3, 0, 2, 9]
    expected = np.stack([plain_logits(weights, cell, [0, *tokens[:count]]) for count in range(10)])
    found = read_logits(Decoder(weights, cell=cell, context=CONTEXT, exact=exact), tokens)
    # Rounded to 8 bits, a weight is off by up to 1/254 of its row's largest.
    assert np.abs(found - expected).max() < (1e-4 if exact else 0.15)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_batch_size_and_chunks_never_change_a_sequence(cell, exact):
    decoder = Decoder(random_weights(cell), cell=cell, context=CONTEXT, exact=exact)
    prompt = np.array([3, 1, 8, 2, 2])
    together, _ = decoder.draw(decoder.start(range(5), prompt), rule(), 40)
    for number in range(5):
        state = decoder.start([number], prompt)
        alone = [decoder.draw(state, rule(), count)[0] for count in (1, 30, 9)]
        assert np.concatenate(alone, axis=1)[0].tolist() == together[number].tolist()


def test_a_bag_of_words_is_blind_to_order_and_neither_sees_beyond_its_context():
    for cell, blind in (("bow", True), ("window", False)):
        decoder = Decoder(random_weights(cell), cell=cell, context=CONTEXT)
        straight, turned, other_past = (
            decoder.logits(decoder.start([0], np.array(tokens)))
            for tokens in ([5, 9, 2, 7, 3], [5, 3, 7, 2, 9], [8, 9, 2, 7, 3])
        )
        assert np.allclose(straight, turned, atol=1e-5) is blind
        assert np.array_equal(straight, other_past)


def test_a_window_of_another_context_is_refused():
    weights = random_weights("window")
    with pytest.raises(ValueError, match=r"encoder\.0\.weight_ih: expected \(9, 15\), found \(9, 20\)"):
        Decoder(weights, cell="window", context=3)

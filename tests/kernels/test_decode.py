from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from seqgen.kernels.decode import Decoder
from seqgen.kernels.draw import DrawRule
from seqgen.kernels.draw_state import ENDED
from seqgen.sampling.automata import make_automaton
from tests.kernels.plain_decode import PlainDecoder, plain_sample, random_weights

VOCAB = 11
CELLS = ["lstm", "gru", "rnn"]


def rule(*, temperature=1.0, top_k=0, top_p=1.0, seed=7, bias=None, vocab=VOCAB, **more):
    bias = np.zeros(vocab, np.float32) if bias is None else np.asarray(bias, np.float32)
    return DrawRule(temperature, top_k, top_p, np.uint64(seed), bias, **more)


def never(*tokens, vocab=VOCAB):
    bias = np.zeros(vocab, np.float32)
    bias[list(tokens)] = -np.inf
    return bias


def read_logits(decoder, tokens):
    """Return the logits after EOS and after each of the tokens, (T + 1, V)."""
    return np.stack(
        [decoder.logits(decoder.start([0], np.array(tokens[:count]))) for count in range(len(tokens) + 1)]
    )[:, 0]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "embedding", "hidden"), [(1, 3, 16), (2, 5, 9), (3, 33, 20)])
def test_logits_match_the_plain_network(cell, layers, embedding, hidden):
    weights = random_weights(cell, embedding=embedding, hidden=hidden, layers=layers, spread=1.5)
    tokens = [4, 4, 10, 1, 7]
    plain = PlainDecoder(weights, cell)
    expected = np.stack([plain.logits(token) for token in [0, *tokens]])
    found = read_logits(Decoder(weights, cell=cell), tokens)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "embedding", "hidden"), [(1, 3, 16), (2, 5, 9), (3, 33, 20)])
def test_rounded_logits_are_those_of_rounded_weights_and_states(cell, layers, embedding, hidden):
    weights = random_weights(cell, embedding=embedding, hidden=hidden, layers=layers)
    tokens = [4, 4, 10, 1, 7]
    plain = PlainDecoder(weights, cell, exact=False)
    expected = np.stack([plain.logits(token) for token in [0, *tokens]])
    found = read_logits(Decoder(weights, cell=cell, exact=False), tokens)
    # A state that lies between two steps may be rounded either way, which moves a logit by some 1e-3.
    assert np.median(np.abs(found - expected)) < 1e-5
    assert np.abs(found - expected).max() < 5e-3


OPTIONS = [
    {"rounds": 1},
    {"rounds": 2},
    {"rounds": 5, "rank": 3},
    {"norm": True},
    {"rounds": 4, "norm": True},
]
SIZES = [
    {"layers": 1, "embedding": 3, "hidden": 16},
    {"layers": 2, "embedding": 5, "hidden": 9},
    {"layers": 3, "embedding": 33, "hidden": 20},
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_logits_of_cells_with_options_match_the_plain_network(cell, options, sizes):
    weights = random_weights(cell, **sizes, **options)
    tokens = [4, 4, 10, 1, 7]
    plain = PlainDecoder(weights, cell)
    expected = np.stack([plain.logits(token) for token in [0, *tokens]])
    found = read_logits(Decoder(weights, cell=cell), tokens)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_rounded_logits_of_cells_with_options_are_those_of_rounded_factors(cell, options, sizes):
    weights = random_weights(cell, **sizes, **options)
    tokens = [4, 10, 1]
    plain = PlainDecoder(weights, cell, exact=False)
    expected = np.stack([plain.logits(token) for token in [0, *tokens]])
    found = read_logits(Decoder(weights, cell=cell, exact=False), tokens)
    # As above; but a normalised RNN makes much of a small difference as it goes on.
    assert np.median(np.abs(found - expected)[0]) < 1e-5
    assert np.abs(found - expected).max() < 1e-2


@pytest.mark.parametrize("exact", [True, False])
def test_logits_match_the_plain_network_where_a_matrix_needs_several_tiles(exact):
    weights = random_weights("lstm", hidden=300, vocab=2100)
    plain = PlainDecoder(weights, "lstm", exact=exact)
    expected = [plain.logits(0), plain.logits(2099)]
    found = read_logits(Decoder(weights, cell="lstm", exact=exact), [2099])
    assert np.abs(found - expected).max() < (1e-4 if exact else 5e-3)


def with_clusters(weights, cutoffs, size=3):
    """Replace the output layer by an adaptive softmax with tails of some size; returns it multiplied out."""
    draw = np.random.default_rng(9)
    whole, bias = weights.pop("head.weight").copy(), weights.pop("head.bias")
    bounds = [*cutoffs, len(whole)]
    names = ("projection", "softmax.weight", "softmax.bias")
    for number, (begin, stop) in enumerate(pairwise(bounds)):
        parts = [draw.standard_normal(shape) for shape in ((size, whole.shape[1]), (stop - begin, size))]
        whole[begin:stop] = parts[1] @ parts[0]
        values = (*parts, bias[begin:stop])
        weights |= {
            f"head.tails.{number}.{n}": v.astype(np.float32) for n, v in zip(names, values, strict=True)
        }
    gates, gate_bias = (
        draw.standard_normal((len(cutoffs), whole.shape[1])),
        draw.standard_normal(len(cutoffs)),
    )
    weights["head.short.weight"] = np.concatenate([whole[: cutoffs[0]], gates]).astype(np.float32)
    weights["head.short.bias"] = np.concatenate([bias[: cutoffs[0]], gate_bias]).astype(np.float32)
    return np.concatenate([whole, gates]), np.concatenate([bias, gate_bias])


def spread_out(logits, cutoffs):
    """Return the log-probabilities of tokens, given the logits of tokens and clusters, by definition."""
    count = len(logits) - len(cutoffs)
    short = np.concatenate([logits[: cutoffs[0]], logits[count:]])
    short = short - np.log(np.exp(short).sum())
    parts = [short[: cutoffs[0]]]
    for number, (begin, stop) in enumerate(pairwise([*cutoffs, count])):
        tokens = logits[begin:stop]
        parts.append(short[cutoffs[0] + number] + tokens - np.log(np.exp(tokens).sum()))
    return np.concatenate(parts)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("cutoffs", [(4,), (2, 7), (1, 3, 10)])
def test_clusters_share_out_the_probability_as_defined(exact, cutoffs):
    weights = random_weights("gru", hidden=20)
    plain_weights = dict(weights)
    whole, bias = with_clusters(weights, cutoffs)
    plain = PlainDecoder(plain_weights | {"head.weight": whole, "head.bias": bias}, "gru", exact=exact)
    expected = np.stack([spread_out(plain.logits(token), cutoffs) for token in (0, 4, 10)])
    found = read_logits(Decoder(weights, cell="gru", exact=exact), [4, 10])
    found = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
    assert np.abs(found - expected).max() < (1e-4 if exact else 1e-2)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_shared_matrix_is_both_embedding_and_output(cell, exact):
    weights = random_weights(cell, embedding=20, hidden=20)
    twins = weights | {"head.weight": weights["embedding.weight"]}
    del weights["head.weight"]
    shared, apart = (read_logits(Decoder(w, cell=cell, exact=exact), [4, 10]) for w in (weights, twins))
    assert np.array_equal(shared, apart)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("last", [5, 40])
def test_a_last_layer_of_another_size_matches_the_plain_network(cell, last):
    weights = random_weights(cell, hidden=last, layers=3)
    wide = random_weights(cell, hidden=9, layers=2)
    weights |= {name: array for name, array in wide.items() if name.startswith("encoder.")}
    rows = len(weights["encoder.2.bias_ih"])
    weights["encoder.2.weight_ih"] = np.resize(weights["encoder.2.weight_ih"], (rows, 9))
    plain = PlainDecoder(weights, cell)
    expected = np.stack([plain.logits(token) for token in (0, 4, 10)])
    assert np.abs(read_logits(Decoder(weights, cell=cell), [4, 10]) - expected).max() < 1e-4


FILTERS = [
    {},
    {"temperature": 0.7},
    {"temperature": 0.0},
    {"top_k": 3},
    {"top_p": 0.6},
    {"temperature": 1.4, "top_k": 6, "top_p": 0.8},
    {"bias": never(1, 3)},
    {"min_p": 0.2},
    {"typical": 0.4},
    {"repetition": 1.7},
    {"repetition": 1.7, "frequency": 0.4, "window": 6},
    {"frequency": -0.3},
    {"ngram": 1},
    {"ngram": 2},
    {"ngram": 3, "bias": never(0, 5, 6, 7, 8, 9, 10)},
    {"slope": -0.05, "slope_steps": 20},
    {"temperature": 1.4, "slope": 0.01, "slope_steps": 15, "top_k": 9, "top_p": 0.97, "min_p": 0.05,
     "typical": 0.8, "repetition": 1.2, "frequency": 0.1, "ngram": 4},
]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_tokens_are_those_of_the_plain_loop(cell, filters):
    weights = random_weights(cell, spread=1.5)
    decoder, prompt = Decoder(weights, cell=cell), [3, 2, 3]
    state, past = decoder.start([5], np.array(prompt)), np.array([prompt])
    tokens, logprobs = decoder.draw(state, rule(**filters), 60, past=past)
    expected, expected_logprobs = plain_sample(
        weights, cell, sequence=5, seed=7, length=60, prompt=prompt, **filters
    )
    count = len(expected)
    assert tokens[0, :count].tolist() == expected
    assert np.abs(logprobs[0, :count] - expected_logprobs).max() < 1e-4


def in_two_parts(*, vocab=VOCAB):
    """Return the automaton of token 1 or 2 any number of times, then 3, then 4 or 5 four times."""
    kinds = np.zeros(vocab, np.int64)
    kinds[[1, 2, 3, 4, 5]] = 1, 1, 2, 3, 3
    states = np.arange(6)
    return make_automaton(kinds, np.array([0, 0, 1, 2, 3, 4]), np.array([1, 2, 3, 3, 3, 3]),
                          np.array([0, 1, 2, 3, 4, 5]), states == 5)  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "filters", [{}, {"temperature": 0.0}, {"top_k": 2}, {"ngram": 2}, {"repetition": 3.0}]
)
def test_constrained_tokens_are_those_of_the_plain_loop(cell, filters):
    weights = random_weights(cell, spread=1.5)
    decoder, automaton = Decoder(weights, cell=cell), in_two_parts()
    constraint = automaton.tables(9)
    found, _ = decoder.draw(
        decoder.start(range(20)), rule(**filters), 9, constraint=constraint, past=np.zeros((1, 0), np.int64)
    )
    for number, row in enumerate(found.tolist()):
        settings = {"sequence": number, "seed": 7, "length": 9, **filters}
        expected, _ = plain_sample(weights, cell, automaton=automaton, **settings)
        assert row[: len(expected)] == expected
        assert set(row[len(expected) :]) <= {ENDED}


@pytest.mark.parametrize("filters", [{}, {"temperature": 0.0}, {"bias": never(6, 7)}, {"repetition": 3.0}])
def test_an_end_that_takes_over_the_rest_is_that_of_the_plain_loop(filters):
    weights = random_weights("gru", spread=1.5)
    kinds = np.minimum(np.arange(VOCAB), 5)
    edges = np.zeros(4, np.int64), np.array([1, 2, 3, 4]), np.array([0, 0, 1, 1])
    automaton = replace(make_automaton(kinds, *edges, np.array([True, True])), concludes=True)
    decoder, past = Decoder(weights, cell="gru"), np.zeros((1, 0), np.int64)
    found, _ = decoder.draw(
        decoder.start(range(20)), rule(**filters), 9, constraint=automaton.tables(9), past=past
    )
    lengths = set()
    for number, row in enumerate(found.tolist()):
        settings = {"sequence": number, "seed": 7, "length": 9, **filters}
        expected, _ = plain_sample(weights, "gru", automaton=automaton, **settings)
        assert row[: len(expected)] == expected
        lengths.add(len(expected))
    assert len(lengths) > 1 or filters == {"temperature": 0.0}


def test_a_constrained_sequence_is_complete_at_its_length_however_unlikely_that_is():
    weights = random_weights("lstm")
    weights["head.bias"][1] += 30  # token 1 for ever
    decoder = Decoder(weights, cell="lstm")
    tokens, _ = decoder.draw(decoder.start(range(6)), rule(), 12, constraint=in_two_parts().tables(12))
    for row in tokens.tolist():
        assert row[:8] == [1] * 7 + [3]
        assert set(row[8:]) <= {4, 5}


def test_a_constrained_sequence_ends_where_nothing_may_follow():
    decoder = Decoder(random_weights("gru"), cell="gru")
    tokens, _ = decoder.draw(decoder.start(range(30)), rule(), 40, constraint=in_two_parts().tables(40))
    ended = [row for row in tokens.tolist() if 0 in row]
    assert len(ended) > 10
    for row in ended:
        end = row.index(0)
        assert row[end - 5] == 3
        assert set(row[end + 1 :]) <= {ENDED}


def test_chunks_and_batches_never_change_a_constrained_sequence_with_a_memory():
    decoder, limits = Decoder(random_weights("lstm"), cell="lstm"), in_two_parts().tables(30)
    looking_back = rule(repetition=1.5, frequency=0.2, ngram=3)
    whole, _ = decoder.draw(decoder.start([1, 2]), looking_back, 30, constraint=limits)
    state, past = decoder.start([2]), np.zeros((1, 0), np.int64)
    for count in (1, 2, 20, 7):
        tokens, _ = decoder.draw(state, looking_back, count, constraint=limits, past=past)
        past = np.concatenate([past, tokens], axis=1)
    assert past[0].tolist() == whole[1].tolist()


def test_a_prompt_is_read_before_the_first_draw():
    weights = random_weights("gru")
    decoder, prompt = Decoder(weights, cell="gru"), [3, 9, 2]
    tokens, _ = decoder.draw(decoder.start([0], np.array(prompt)), rule(bias=never(0)), 30)
    expected, _ = plain_sample(weights, "gru", sequence=0, seed=7, length=30, prompt=prompt, bias=never(0))
    assert tokens[0].tolist() == expected


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("options", [{}, {"rounds": 3, "norm": True}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_batch_size_never_changes_a_sequence(cell, options, exact):
    decoder = Decoder(random_weights(cell, hidden=50, **options), cell=cell, exact=exact)
    together, logprobs = decoder.draw(decoder.start(range(9)), rule(top_p=0.9), 50)
    for number in range(9):
        alone, alone_logprobs = decoder.draw(decoder.start([number]), rule(top_p=0.9), 50)
        assert alone[0].tobytes() == together[number].tobytes()
        assert alone_logprobs[0].tobytes() == logprobs[number].tobytes()


def test_chunks_never_change_a_sequence():
    decoder = Decoder(random_weights("lstm"), cell="lstm")
    whole, _ = decoder.draw(decoder.start([1, 2]), rule(), 40)
    state = decoder.start([1, 2])
    chunks = [decoder.draw(state, rule(), count)[0] for count in (1, 2, 30, 7)]
    assert np.concatenate(chunks, axis=1).tolist() == whole.tolist()


def test_sequences_and_seeds_differ():
    decoder = Decoder(random_weights("rnn"), cell="rnn")
    free = rule(bias=never(0))
    first = decoder.draw(decoder.start([0, 1]), free, 30)[0]
    other = decoder.draw(decoder.start([0]), free._replace(seed=np.uint64(8)), 30)[0]
    assert len({bytes(row) for row in (first[0], first[1], other[0])}) == 3


def test_a_sequence_ends_at_eos():
    decoder = Decoder(random_weights("lstm"), cell="lstm")
    state = decoder.start(range(20))
    tokens, _ = decoder.draw(state, rule(), 200)
    for row in tokens:
        end = row.tolist().index(0)
        assert (row[:end] > 0).all()
        assert (row[end + 1 :] == ENDED).all()
    assert not state.draws.live.any()


def test_a_forbidden_token_is_never_drawn_even_where_it_is_the_likeliest():
    weights = random_weights("lstm")
    weights["head.bias"][1] += 20
    decoder = Decoder(weights, cell="lstm")
    for temperature in (0.0, 0.5, 1.0, 5.0):
        tokens, _ = decoder.draw(decoder.start(range(5)), rule(bias=never(1), temperature=temperature), 50)
        assert not (tokens == 1).any()


@pytest.mark.parametrize("options", [{}, {"norm": True}, {"rounds": 3}], ids=str)
def test_eos_in_a_prompt_forgets_what_came_before(options):
    decoder = Decoder(random_weights("lstm", **options), cell="lstm")
    fresh = decoder.logits(decoder.start([0], np.array([6])))
    after_another_document = decoder.logits(decoder.start([0], np.array([3, 5, 0, 6])))
    assert fresh.tobytes() == after_another_document.tobytes()


def test_largest_seed_is_accepted():
    decoder = Decoder(random_weights("rnn"), cell="rnn")
    tokens, _ = decoder.draw(decoder.start([2**64 - 1]), rule(seed=2**64 - 1), 5)
    assert tokens.shape == (1, 5)


def test_a_network_that_gives_no_numbers_is_reported():
    weights = random_weights("lstm")
    weights["encoder.1.bias_ih"][:] = 50  # hidden states near 1
    weights["head.weight"][:] = 3e38
    decoder = Decoder(weights, cell="lstm")
    with pytest.raises(FloatingPointError, match="not finite"):
        decoder.draw(decoder.start([0]), rule(), 3)


@pytest.mark.parametrize("token", [-1, VOCAB])
def test_a_prompt_outside_the_vocabulary_is_refused(token):
    decoder = Decoder(random_weights("rnn"), cell="rnn")
    with pytest.raises(ValueError, match="outside the vocabulary of 11"):
        decoder.start([0], np.array([2, token]))


def test_weights_of_another_shape_are_refused():
    weights = random_weights("gru")
    weights["encoder.1.weight_hh"] = weights["encoder.1.weight_hh"][:, :-1]
    with pytest.raises(ValueError, match=r"encoder\.1\.weight_hh: expected \(27, 9\), found \(27, 8\)"):
        Decoder(weights, cell="gru")


def test_a_mogrifier_of_another_shape_or_with_a_round_missing_is_refused():
    weights = random_weights("gru", rounds=3, rank=2)
    missing = {name: array for name, array in weights.items() if name != "encoder.1.mogrifier.2.1"}
    with pytest.raises(ValueError, match=r"encoder\.1\.mogrifier\.2\.1: expected \(2, 9\), found nothing"):
        Decoder(missing, cell="gru")
    weights["encoder.0.mogrifier.1.0"] = weights["encoder.0.mogrifier.1.0"][:-1]
    with pytest.raises(ValueError, match=r"encoder\.0\.mogrifier\.1\.0: expected \(9, 2\), found \(8, 2\)"):
        Decoder(weights, cell="gru")


def test_weights_that_are_not_finite_are_refused():
    weights = random_weights("gru")
    weights["head.bias"][3] = np.inf
    with pytest.raises(ValueError, match=r"head\.bias: not all finite numbers"):
        Decoder(weights, cell="gru")


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="unknown cell 'elman'"):
        Decoder(random_weights("rnn"), cell="elman")

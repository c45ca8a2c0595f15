import numpy as np
import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.data.suffixes import sort_suffixes
from seqgen.errors import ArtifactError
from seqgen.kernels.constraint import FREE
from seqgen.kernels.copying import ANY_COPY, CopyLimit, read_only
from seqgen.kernels.decode import Decoder
from seqgen.kernels.mixing import NO_MIX
from seqgen.networks.tasks import LanguageModel
from seqgen.networks.weights import with_weights
from seqgen.sampling import torch_decoder
from seqgen.sampling.beam import BeamConfig, beam_search
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from seqgen.sampling.torch_decoder import TorchDecoder
from tests.kernels.plain_decode import fixed_distribution
from tests.kernels.test_decode import FILTERS, in_two_parts, never, rule
from tests.kernels.test_mixing import draw_text, make_model
from tests.sampling.models import write_model

V, E, H = 11, 6, 9
PROMPTS = {"none": [], "one document": [3, 9, 2], "several documents": [5, 7, 0, 4, 0, 6, 2], "ended": [8, 0]}
NETWORKS = {
    "lstm": {},
    "gru": {"cell": "gru", "layers": 3},
    "rnn": {"cell": "rnn", "layers": 1},
    "lstm, gated": {"mogrifier": 4, "mogrifier_rank": 2},
    "lstm, normalised": {"layer_norm": True},
    "gru, gated and normalised": {"cell": "gru", "mogrifier": 3, "layer_norm": True},
    "window": {"cell": "window", "context": 3},
    "bow": {"cell": "bow", "context": 4},
    "tied": {"tied": True},
    "one-hot": {"embedding": "one-hot"},
    "adaptive": {"cell": "gru", "softmax": "adaptive", "cutoffs": (4, 7)},
}
CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))
DEVICES = ["cpu", CUDA]


def make_network(name, *, seed=0):
    """Return a network and its configuration; its weights are large, so that its predictions differ."""
    torch.manual_seed(seed)
    config = ModelConfig(**{"cell": "lstm", "embedding_size": E, "hidden_size": H, **NETWORKS[name]})
    network = LanguageModel(config, V).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape) * (1.5 / parameter.shape[-1] ** 0.5))
        for part in network.head.parameters():
            part.mul_(3)
    return network, config


def make_pair(name, *, device="cpu", seed=0):
    """Return the compiled decoder of a network and its decoder in torch."""
    network, config = make_network(name, seed=seed)
    weights = {name: parameter.detach().numpy().copy() for name, parameter in network.named_parameters()}
    decoder = Decoder(weights, cell=config.cell, context=config.context)
    return decoder, TorchDecoder(network.to(device))


def fixed_pair(logits):
    """Return decoders that give the same logits at every step, equal to the last bit."""
    weights = fixed_distribution(logits)
    hidden, embedding = weights["encoder.0.weight_ih"].shape
    config = ModelConfig(cell="rnn", layers=1, embedding_size=embedding, hidden_size=hidden)
    network = with_weights(LanguageModel(config, len(logits)), weights)
    return Decoder(weights, cell="rnn"), TorchDecoder(network)


def drawn(decoder, drawing, *, batch, prompt=(), constraint=FREE, copying=ANY_COPY, mixing=NO_MIX, threads=1):
    """Return the tokens and log-probabilities of three chunks."""
    prompt, lookups = np.array(prompt, np.int64), {"copying": copying, "mixing": mixing}
    state, past, logprobs = decoder.start(range(batch), prompt, **lookups), prompt[None], []
    for count in (1, 4, 25):
        tokens, found = decoder.draw(
            state, drawing, count, constraint=constraint, past=past, threads=threads, **lookups
        )
        past = np.concatenate([np.broadcast_to(past, (batch, past.shape[1])), tokens], axis=1)
        logprobs.append(found)
    return past[:, len(prompt) :], np.concatenate(logprobs, axis=1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("name", NETWORKS)
def test_tokens_are_those_of_the_compiled_loop(name, batch, device):
    compiled, in_torch = make_pair(name, device=device)
    prompt = PROMPTS["several documents"]
    expected, expected_logprobs = drawn(compiled, rule(), batch=batch, prompt=prompt)
    tokens, logprobs = drawn(in_torch, rule(), batch=batch, prompt=prompt)
    assert tokens.tolist() == expected.tolist()
    assert np.abs(logprobs - expected_logprobs).max() < 1e-4


def looked_up():
    text = np.array(draw_text(1), np.uint8)
    return CopyLimit(read_only(text), read_only(sort_suffixes(text)), 2)


OPTIONS = {
    **{str(filters): {"drawing": rule(**filters)} for filters in FILTERS},
    "by kind": {"drawing": rule(relative=np.linspace(0.5, 2, V, dtype=np.float32))},
    "constraint": {"constraint": in_two_parts().tables(30)},
    "constraint, looking back": {
        "constraint": in_two_parts().tables(30), "drawing": rule(repetition=1.5, window=4, ngram=3)
    },
    "copies": {"copying": looked_up(), "drawing": rule(bias=never(0))},
    "n-grams": {"mixing": make_model(draw_text(2)).mix(0.4)},
    "all": {
        "copying": looked_up(), "mixing": make_model(draw_text(2)).mix(0.4),
        "constraint": in_two_parts().tables(30), "drawing": rule(top_p=0.9, frequency=0.3, min_p=0.01),
    },
}  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("option", OPTIONS)
def test_from_the_same_logits_every_option_draws_the_same(option, batch):
    compiled, in_torch = fixed_pair(np.random.default_rng(4).normal(0, 1.5, V))
    settings = {"drawing": rule(), "batch": batch, "prompt": [3, 2, 4], **OPTIONS[option]}
    expected, expected_logprobs = drawn(compiled, **settings)
    tokens, logprobs = drawn(in_torch, **settings)
    assert tokens.tobytes() == expected.tobytes()
    assert logprobs.tobytes() == expected_logprobs.tobytes()


@pytest.mark.parametrize("option", OPTIONS)
def test_options_draw_as_the_compiled_loop_from_a_network(option):
    compiled, in_torch = make_pair("lstm", seed=1)
    settings = {"drawing": rule(), "batch": 7, "prompt": [3, 2, 4], **OPTIONS[option]}
    assert drawn(in_torch, **settings)[0].tolist() == drawn(compiled, **settings)[0].tolist()


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_after_a_prompt_are_those_of_the_compiled_loop(name, prompt):
    compiled, in_torch = make_pair(name)
    tokens = np.array(prompt, np.int64)
    expected = compiled.logits(compiled.start(range(3), tokens))
    found = in_torch.logits(in_torch.start(range(3), tokens))
    assert found.shape == (3, V)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_a_new_document_begins_from_nothing(name):
    _, in_torch = make_pair(name)
    fresh = in_torch.logits(in_torch.start([0], np.array([6])))
    after_another = in_torch.logits(in_torch.start([0], np.array([3, 5, 0, 6])))
    assert fresh.tobytes() == after_another.tobytes()


def test_threads_share_the_rows_and_never_change_a_token(monkeypatch):
    _, in_torch = make_pair("gru")
    settings = {"drawing": rule(top_p=0.9), "batch": 10, **OPTIONS["all"]}
    expected = drawn(in_torch, **settings)
    monkeypatch.setattr(torch_decoder, "LOGITS_A_THREAD", 1)
    for threads in (2, 3, 10):
        found = drawn(in_torch, threads=threads, **settings)
        assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


def test_sequences_that_have_ended_are_computed_no_longer():
    compiled, in_torch = make_pair("lstm", seed=2)
    state = in_torch.start(range(40))
    tokens, _ = in_torch.draw(state, rule(), 20)
    left = int(state.draws.live.sum())
    assert 0 < left < 20
    more, _ = in_torch.draw(state, rule(), 20)
    assert len(state.rows) == left
    expected, _ = compiled.draw(compiled.start(range(40)), rule(), 40)
    assert np.concatenate([tokens, more], axis=1).tolist() == expected.tolist()


def test_what_is_read_is_judged_as_by_the_compiled_loop():
    compiled, in_torch = make_pair("gru")
    tokens = np.random.default_rng(1).integers(0, V, 50)
    expected, expected_ranks = compiled.read(compiled.start([0]), tokens)
    logprobs, ranks = in_torch.read(in_torch.start([0]), tokens)
    assert np.abs(logprobs - expected).max() < 1e-4
    assert ranks.tolist() == expected_ranks.tolist()


@pytest.mark.parametrize("name", ["lstm", "window"])
def test_rows_follow_others(name):
    compiled, in_torch = make_pair(name)
    parents, tokens, found = np.array([2, 0, 0]), np.array([4, 5, 6]), []
    for decoder in (compiled, in_torch):
        state = decoder.start(range(3), np.array([3, 8]))
        for pending in ([1, 2, 3], [9, 7, 1]):
            decoder.logits(state)
            state.draws.token[:] = pending
        decoder.follow(state, parents, tokens)
        found.append(decoder.logits(state))
    assert np.abs(found[0] - found[1]).max() < 1e-4


def test_a_prompt_outside_the_vocabulary_is_refused():
    _, in_torch = make_pair("rnn")
    with pytest.raises(ValueError, match="outside the vocabulary of 11"):
        in_torch.start([0], np.array([2, V]))


@pytest.fixture
def samplers(tmp_path):
    artifact = write_model(tmp_path / "m")
    return Sampler(artifact, exact=True), Sampler(artifact, device="cpu")


def test_samples_are_those_of_exact_weights(samplers):
    prompt = samplers[0].tokenizer.encode("bad ")
    exact, in_torch = (
        list(collect(sampler.generate(SampleConfig(count=70, length=90, seed=3), prompt=prompt)))
        for sampler in samplers
    )
    assert [sample.tokens for sample in in_torch] == [sample.tokens for sample in exact]
    assert [s.logprob for s in in_torch] == pytest.approx([s.logprob for s in exact], abs=1e-3)


def test_a_stop_text_ends_samples_as_with_exact_weights(samplers):
    config = SampleConfig(count=30, length=90, seed=3, stop=("a", "d."))
    exact, in_torch = (list(collect(sampler.generate(config))) for sampler in samplers)
    assert [(s.text, s.reason) for s in in_torch] == [(s.text, s.reason) for s in exact]


def test_a_search_finds_what_it_finds_with_exact_weights(samplers):
    config, beam = SampleConfig(length=12), BeamConfig(width=9, n_best=3, diversity=0.3)
    exact, in_torch = (list(collect(beam_search(sampler, config, beam))) for sampler in samplers)
    assert [sample.tokens for sample in in_torch] == [sample.tokens for sample in exact]


def test_rows_of_unequal_length_have_the_log_probabilities_of_exact_weights(samplers):
    rows = [[3, 4, 5], [2], [7, 7, 7, 3, 0]]
    exact, in_torch = (sampler.logprobs([4, 6], rows) for sampler in samplers)
    assert [len(row) for row in in_torch] == [3, 1, 5]
    assert np.concatenate(in_torch) == pytest.approx(np.concatenate(exact), abs=1e-4)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    artifact = write_model(tmp_path / "m", cell="gru")
    other = write_model(tmp_path / "n", cell="lstm", weights=artifact.weights())
    with pytest.raises(ArtifactError, match=r"weights that do not fit: encoder\.0\.weight_ih: "):
        Sampler(other, device="cpu")


def test_a_diverged_model_is_told(tmp_path):
    weights = write_model(tmp_path / "m").weights()
    weights["head.weight"][:] = np.nan
    sampler = Sampler(write_model(tmp_path / "n", weights=weights), device="cpu")
    with pytest.raises(ArtifactError, match="output is not finite"):
        list(sampler.generate(SampleConfig(length=3)))

import os
import platform
import subprocess
import sys

import pytest
import torch

from seqgen.kernels import recurrent
from seqgen.kernels.dropout import dropout_mask, mask_values
from seqgen.kernels.recurrent import Dropout, Implementation, recurrent_layer, recurrent_stack
from seqgen.kernels.reference import recurrent_layer_reference
from seqgen.kernels.workspace import Workspace
from tests.kernels.naive import naive_layer, random_layer, relative_error, results_and_gradients

CELLS = ("lstm", "gru", "rnn")
T, B, E, H, V = 4, 3, 7, 5, 11
CPU = torch.device("cpu")


def errors(layer, cell, sizes, *, resets, **options):
    """Return the relative errors of all results and gradients against the naive recurrence in float64."""
    case = random_layer(cell, *sizes, resets=resets)
    found = results_and_gradients(layer, cell, *case, **options)
    expected = results_and_gradients(naive_layer, cell, *case, dtype=torch.float64)
    return [relative_error(*pair) for pair in zip(found, expected, strict=True)]


@pytest.mark.parametrize("sizes", [(T, B, E, H), (1, 2, 3, 4), (9, 1, 2, 33), (6, 17, 40, 16)])
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", [recurrent_layer, recurrent_layer_reference])
def test_results_and_every_gradient_equal_the_naive_recurrence(layer, cell, resets, sizes):
    assert max(errors(layer, cell, sizes, resets=resets)) < 1e-5


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_differs_from_float32_only_by_rounding(cell):
    sizes = (T, B, E, 40)
    assert 1e-5 < max(errors(recurrent_layer, cell, sizes, resets=True, precision=torch.bfloat16)) < 2e-2


@pytest.mark.parametrize("cell", CELLS)
def test_equals_torch_module_over_a_long_sequence(cell):
    inputs, state, _, weights = random_layer(cell, 60, B, E, H, resets=False)
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell](E, H)
    for parameter, weight in zip(module.parameters(), weights, strict=True):
        parameter.data = weight.data
    start = tuple(part.unsqueeze(0) for part in state)
    expected, _ = module(inputs, start if cell == "lstm" else start[0])
    expected.square().sum().backward()
    outputs, _ = recurrent_layer(cell, inputs, state, None, *weights)
    gradients = torch.autograd.grad(outputs.square().sum(), weights)
    assert relative_error(outputs, expected) < 1e-5
    for found, parameter in zip(gradients, module.parameters(), strict=True):
        assert relative_error(found, parameter.grad) < 1e-4


@pytest.mark.parametrize("cell", CELLS)
def test_state_carried_over_a_cut_equals_one_long_run(cell):
    inputs, state, resets, weights = random_layer(cell, 9, B, E, H)
    with torch.no_grad():
        whole, last = recurrent_layer(cell, inputs, state, resets, *weights)
        first, middle = recurrent_layer(cell, inputs[:4], state, resets[:4], *weights)
        second, end = recurrent_layer(cell, inputs[4:], middle, resets[4:], *weights)
    assert torch.equal(torch.cat((first, second)), whole)
    assert all(torch.equal(*pair) for pair in zip(last, end, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_steps_taken_alone_equal_one_long_run(cell):
    tokens, embedding, layers, state, resets = random_stack(cell, steps=9)
    with torch.no_grad():
        whole, last = recurrent_stack(cell, tokens, embedding, layers, state, resets)
        features = []
        for now in range(9):
            step = slice(now, now + 1)
            found, state = recurrent_stack(cell, tokens[step], embedding, layers, state, resets[step])
            features.append(found)
    assert relative_error(torch.cat(features), whole) < 1e-5
    for layer, expected in zip(state, last, strict=True):
        assert max(relative_error(*pair) for pair in zip(layer, expected, strict=True)) < 1e-5


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cell", CELLS)
def test_state_of_a_stack_survives_that_memory_is_used_again(cell, precision):
    tokens, embedding, layers, state, resets = random_stack(cell, steps=12)
    shared, found, expected = Workspace(), [], []
    for workspaces, features in ((lambda: shared, found), (Workspace, expected)):
        carried = state
        for now in (slice(0, 4), slice(4, 8), slice(8, 12)):
            outputs, carried = recurrent_stack(
                cell,
                tokens[now],
                embedding,
                layers,
                carried,
                resets[now],
                precision=precision,
                workspace=workspaces(),
            )
            features.append(outputs.detach().clone())
            outputs.float().sum().backward()
            carried = [tuple(part.detach() for part in layer) for layer in carried]
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_same_inputs_give_the_same_bits(cell, precision):
    case = random_layer(cell, 20, 16, 24, 40)
    first, second = (
        results_and_gradients(recurrent_layer, cell, *case, precision=precision) for _ in range(2)
    )
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_inputs_may_be_strided(cell):
    inputs, state, resets, weights = random_layer(cell, T, B, E, H)
    strided = inputs.detach().permute(2, 1, 0).contiguous().permute(2, 1, 0)
    turned = tuple(weight.detach().t().contiguous().t() for weight in weights[:2])
    with torch.no_grad():
        expected, _ = recurrent_layer(cell, inputs, state, resets, *weights)
        found, _ = recurrent_layer(cell, strided, state, resets, *turned, *weights[2:])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_nan_in_a_weight_reaches_the_outputs():
    inputs, state, resets, weights = random_layer("lstm", T, B, E, H)
    broken = weights[0].detach().clone()
    broken[0, 0] = float("nan")
    outputs, _ = recurrent_layer("lstm", inputs, state, resets, broken, *weights[1:])
    assert outputs[:, :, 0].isnan().all()


def test_second_backward_through_one_run_is_refused():
    inputs, state, resets, weights = random_layer("gru", T, B, E, H)
    outputs, _ = recurrent_layer("gru", inputs, state, resets, *weights)
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        outputs.sum().backward()


def random_stack(cell, layers=2, *, steps=T, seed=3):
    generator = torch.Generator().manual_seed(seed)
    weights, states = [], []
    for layer in range(layers):
        _, state, _, layer_weights = random_layer(cell, 1, B, E if layer == 0 else H, H, seed=seed + layer)
        weights.append(layer_weights)
        states.append(tuple(part.detach() for part in state))
    embedding = torch.randn(V, E, generator=generator).requires_grad_()
    tokens = torch.randint(0, V, (steps, B), generator=generator)
    return tokens, embedding, weights, states, torch.rand(steps, B, generator=generator) < 0.2


def naive_stack(cell, tokens, embedding, layers, state, resets, *, dropout, seed):
    words = dropout_mask(seed, 1 << 16, dropout.embedding)
    features = (embedding * mask_values((V,), words, CPU)[:, None])[tokens]
    for site, mask in enumerate(dropout.masks(seed, len(layers))):
        if site:
            weight_ih, weight_hh, *biases = layers[site - 1]
            kept = mask_values(
                weight_hh.shape, dropout_mask(seed, (1 << 17) + site - 1, dropout.weights), CPU
            )
            weights = (weight_ih, weight_hh * kept, *biases)
            features, _ = naive_layer(cell, features, state[site - 1], resets, *weights)
        features = features * mask_values(features.shape, mask, CPU)
    return features


DROPOUTS = [
    Dropout(),
    Dropout(hidden=0.4, outputs=0.3),
    Dropout(inputs=0.2, hidden=0.4, outputs=0.3, embedding=0.3, weights=0.5, locked=True),
]


@pytest.mark.parametrize("steps", [T, 40])
@pytest.mark.parametrize("dropout", DROPOUTS)
@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_stack_equals_naive_layers_under_the_same_masks(cell, with_resets, dropout, steps):
    tokens, embedding, layers, state, resets = random_stack(cell, steps=steps)
    resets = resets if with_resets else None
    leaves = [embedding, *(weight for layer in layers for weight in layer)]
    found, _ = recurrent_stack(cell, tokens, embedding, layers, state, resets, dropout=dropout, seed=9)
    expected = naive_stack(cell, tokens, embedding, layers, state, resets, dropout=dropout, seed=9)
    assert relative_error(found, expected) < 1e-5
    wanted = torch.autograd.grad(expected.square().sum(), leaves)
    gradients = torch.autograd.grad(found.square().sum(), leaves)
    assert max(relative_error(*pair) for pair in zip(gradients, wanted, strict=True)) < 1e-5


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cell", CELLS)
def test_first_layer_by_token_equals_first_layer_by_step(cell, precision):
    tokens, embedding, layers, state, resets = random_stack(cell, steps=9)
    leaves = [embedding, *(weight for layer in layers for weight in layer)]

    def run(vectors):
        features, _ = recurrent_stack(cell, tokens, vectors, layers, state, resets, precision=precision)
        features = features.float()
        return features, *torch.autograd.grad((features * torch.arange(H)).sum(), leaves)

    by_token = run(embedding)
    too_large = torch.cat((embedding, torch.zeros(len(tokens) * B, E)))
    by_step = run(too_large)
    bound = 1e-5 if precision == torch.float32 else 3e-2
    assert max(relative_error(*pair) for pair in zip(by_token, by_step, strict=True)) < bound


def test_threads_do_not_change_a_bit():
    case = random_layer("lstm", 9, 11, 24, 70)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        outputs, _ = recurrent_layer("lstm", *case[:3], *case[3])
        found.append(outputs.detach())
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_evaluation_between_forward_and_backward_changes_no_gradient():
    case = random_layer("gru", T, B, E, H)
    other = random_layer("gru", T, B, E, H, seed=1)
    workspace = Workspace()

    def gradients(*, disturbed):
        outputs, _ = recurrent_layer("gru", *case[:3], *case[3], workspace=workspace)
        if disturbed:
            with torch.no_grad():
                recurrent_layer("gru", *other[:3], *other[3], workspace=workspace)
            recurrent_layer("gru", *other[:3], *other[3], workspace=workspace)
        return torch.autograd.grad(outputs.sum(), case[3])

    quiet, disturbed = gradients(disturbed=False), gradients(disturbed=True)
    assert all(torch.equal(*pair) for pair in zip(quiet, disturbed, strict=True))


def test_stack_returns_the_state_of_every_layer():
    tokens, embedding, layers, state, resets = random_stack("lstm")
    _, last = recurrent_stack("lstm", tokens, embedding, layers, state, resets)
    assert [[part.shape for part in layer] for layer in last] == [[(B, H)] * 2] * 2


def test_other_devices_use_torch_layers():
    chosen = recurrent.choose_implementation(torch.device("cuda"), torch.float32)
    assert chosen is Implementation.TORCH


def test_cpu_without_numba_uses_torch_layers(monkeypatch):
    monkeypatch.setattr(recurrent, "HAS_NUMBA", False)
    assert recurrent.choose_implementation(CPU, torch.float32) is Implementation.TORCH


def test_layers_and_dropout_run_where_numba_cannot_be_imported():
    program = """
import sys
sys.modules["numba"] = None
import torch
from seqgen.kernels import recurrent
recurrent.HAS_NUMBA = False
weights = [(torch.zeros(12, 3), torch.zeros(12, 4), torch.zeros(12), torch.zeros(12))]
tokens, state = torch.zeros(2, 1, dtype=torch.long), [(torch.ones(1, 4),)]
features, _ = recurrent.recurrent_stack("gru", tokens, torch.ones(5, 3), weights, state, None,
    dropout=recurrent.Dropout(hidden=0.5, outputs=0.5))
print(features.shape == (2, 1, 4))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize(("wanted", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_asked_for_is_taken(wanted, expected):
    assert recurrent.choose_precision(CPU, wanted) is expected


def test_auto_precision_is_bfloat16_only_where_it_is_fast(monkeypatch):
    monkeypatch.setattr(recurrent, "has_fast_bfloat16", lambda: True)
    assert recurrent.choose_precision(CPU) is torch.bfloat16
    monkeypatch.setattr(recurrent, "has_fast_bfloat16", lambda: False)
    assert recurrent.choose_precision(CPU) is torch.float32


X86 = "+64bit,+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87"


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="compiles for older x86-64 processors")
@pytest.mark.parametrize("features", [X86, X86 + ",+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma"])
def test_shorter_vectors_give_the_same_results(features, tmp_path):
    environment = os.environ | {
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    tests = [
        f"{__file__}::{name}"
        for name in (
            "test_results_and_every_gradient_equal_the_naive_recurrence",
            "test_bfloat16_differs_from_float32_only_by_rounding",
        )
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cell", CELLS)
def test_what_memory_held_before_reaches_no_gradient(cell, precision):
    tokens, embedding, layers, state, resets = random_stack(cell, steps=5)
    leaves = [embedding, *(weight for layer in layers for weight in layer)]

    def gradients(workspace):
        found, _ = recurrent_stack(
            cell, tokens, embedding, layers, state, resets, precision=precision, workspace=workspace
        )
        return torch.autograd.grad(found.float().square().sum(), leaves)

    used = Workspace()
    used.give(*(used.take(20_000).fill_(float("nan")) for _ in range(40)))
    pairs = zip(gradients(Workspace()), gradients(used), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)

import pytest
import torch

from seqgen.kernels.stepped import SteppedWeights, stepped_layer, stepped_layer_reference
from seqgen.kernels.workspace import Workspace
from tests.kernels.naive import (
    naive_layer,
    random_layer,
    random_options,
    relative_error,
    results_and_gradients,
)

CELLS = ("lstm", "gru", "rnn")
T, B, E, H = 6, 3, 7, 5
LAYERS = (stepped_layer, stepped_layer_reference)
OPTIONS = [
    {"rounds": 1},
    {"rounds": 2},
    {"rounds": 5},
    {"norm": True},
    {"rounds": 3, "norm": True},
]


def by_list(layer):
    """Return a layer that takes its weights one by one, as the naive one does."""

    def run(cell, inputs, state, resets, *weights, **options):
        rounds = tuple((matrix,) for matrix in weights[8:])
        if resets is None:
            resets = torch.zeros(inputs.shape[:2], dtype=torch.bool)
        return layer(cell, inputs, state, resets, SteppedWeights(*weights[:8], rounds), **options)

    return run


def case_with(cell, options, sizes=(T, B, E, H), *, resets=True):
    inputs, state, mask, weights = random_layer(cell, *sizes, resets=resets)
    return inputs, state, mask, (*weights, *random_options(cell, *sizes[2:], **options))


def errors(layer, cell, case, **options):
    """Return the relative errors of all results and gradients against the naive recurrence in float64."""
    found = results_and_gradients(by_list(layer), cell, *case, **options)
    expected = results_and_gradients(naive_layer, cell, *case, dtype=torch.float64)
    return [relative_error(*pair) for pair in zip(found, expected, strict=True)]


@pytest.mark.parametrize("sizes", [(T, B, E, H), (1, 2, 3, 4), (9, 1, 2, 33)])
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("layer", LAYERS)
def test_results_and_every_gradient_equal_the_naive_recurrence(layer, cell, options, resets, sizes):
    assert max(errors(layer, cell, case_with(cell, options, sizes, resets=resets))) < 1e-4


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", LAYERS)
def test_factors_of_low_rank_equal_their_product(layer, cell):
    inputs, state, resets, weights = random_layer(cell, T, B, E, H)
    generator = torch.Generator().manual_seed(2)
    shapes = [(E, 2), (2, H), (H, 3), (3, E), (E, 2), (2, H)]
    factors = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    pairs = list(zip(factors[::2], factors[1::2], strict=True))
    low = SteppedWeights(*weights, rounds=tuple(pairs))
    full = SteppedWeights(*weights, rounds=tuple((left @ right,) for left, right in pairs))
    found, expected = (layer(cell, inputs, state, resets, each)[0] for each in (low, full))
    assert relative_error(found, expected) < 1e-5
    wanted = (inputs, *weights, *factors)
    gradients = [torch.autograd.grad(each.square().sum(), wanted) for each in (found, expected)]
    assert max(relative_error(*pair) for pair in zip(*gradients, strict=True)) < 1e-4


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("options", [{"rounds": 4}, {"norm": True}], ids=str)
def test_bfloat16_differs_from_float32_only_by_rounding(layer, cell, options):
    case = case_with(cell, options, (T, B, E, 40))
    assert 1e-4 < max(errors(layer, cell, case, precision=torch.bfloat16)) < 5e-2


@pytest.mark.parametrize("cell", CELLS)
def test_state_carried_over_a_cut_equals_one_long_run(cell):
    inputs, state, resets, weights = case_with(cell, {"rounds": 3, "norm": True}, (9, B, E, H))
    layer = by_list(stepped_layer)
    with torch.no_grad():
        whole, last = layer(cell, inputs, state, resets, *weights)
        first, middle = layer(cell, inputs[:4], state, resets[:4], *weights)
        second, end = layer(cell, inputs[4:], middle, resets[4:], *weights)
    assert torch.equal(torch.cat((first, second)), whole)
    assert all(torch.equal(*pair) for pair in zip(last, end, strict=True))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_memory_used_again_changes_nothing(options):
    case, workspace = case_with("lstm", options), Workspace()
    runs = [
        results_and_gradients(by_list(stepped_layer), "lstm", *case, workspace=workspace) for _ in range(3)
    ]
    assert all(torch.equal(*pair) for run in runs[1:] for pair in zip(runs[0], run, strict=True))


def test_a_second_backward_is_refused():
    inputs, state, resets, weights = case_with("gru", {"rounds": 1})
    outputs, _ = by_list(stepped_layer)("gru", inputs, state, resets, *weights)
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="call backward once"):
        outputs.sum().backward()

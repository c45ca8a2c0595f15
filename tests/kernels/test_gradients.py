import pytest
import torch

from seqgen.kernels import gradients
from seqgen.kernels.engines import why_no_tiles
from seqgen.kernels.gradients import SumGradients
from seqgen.kernels.pointwise import Gru, Lstm, Rnn
from seqgen.kernels.products import PANEL, Bfloat16Vectors
from seqgen.kernels.workspace import Workspace
from tests.kernels.naive import relative_error

R, E, H, TABLE = 75, PANEL + 7, 3 * PANEL, 5
CELLS = [Lstm(), Gru(), Rnn()]


@pytest.fixture(params=["tiles", "vectors in the place of tiles", "torch"])
def bound(request, monkeypatch):
    """Have gradients by each way that there is, a few rows at a time; return how far they may be off."""
    if request.param == "tiles" and why_no_tiles() is not None:
        pytest.skip(str(why_no_tiles()))
    if PANEL % Bfloat16Vectors().rows:
        pytest.skip("panels are no multiple of this processor's products")
    monkeypatch.setattr(gradients, "_MOST_ROWS", 32)
    monkeypatch.setattr(SumGradients, "_has_tiles", request.param != "torch")
    if request.param.startswith("vectors"):
        monkeypatch.setattr(gradients, "bfloat16_engine", Bfloat16Vectors)
    return 1e-2 if request.param == "torch" else 1e-5  # torch rounds its products to bfloat16


def operand(rows, columns, seed):
    """Return a matrix whose rows are longer than their contents, and NaN beyond them."""
    draw = torch.Generator().manual_seed(seed)
    whole = torch.full((rows + 32, columns + 32), float("nan"), dtype=torch.bfloat16)
    whole[:rows, :columns] = torch.randn(rows, columns, generator=draw).bfloat16()
    return whole[:, :columns]


def case(cell):
    gates, saved, states = (
        operand(R, width, seed) for seed, width in enumerate((cell.gates * H, H, H), start=1)
    )
    return SumGradients(cell, gates, saved, states[:R], Workspace())


def expected_recurrent(sums):
    joint = sums.gates[:R, : sums.cell.joint * H]
    parts = [joint] if sums.cell.joint == sums.cell.gates else [joint, sums.saved[:R]]
    return torch.cat(parts, 1).double().t() @ sums.states.double()


@pytest.mark.parametrize("cell", CELLS)
def test_weight_gradients_are_products_over_all_steps(cell, bound):
    sums, inputs = case(cell), operand(R, E, 4)[:R]
    of_inputs, of_states = sums.weight_gradients(inputs)
    assert relative_error(of_inputs, sums.gates[:R].double().t() @ inputs.double()) < bound
    assert relative_error(of_states, expected_recurrent(sums)) < bound


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_a_table_are_sums_over_the_steps_that_read_a_row(cell, bound):
    sums = case(cell)
    reads = torch.randint(0, TABLE, (R // 3, 3), generator=torch.Generator().manual_seed(5))
    of_table, of_states = sums.table_gradients(reads, TABLE)
    expected = torch.zeros(TABLE, cell.gates * H, dtype=torch.float64)
    expected.index_add_(0, reads.flatten(), sums.gates[:R].double())
    assert relative_error(of_table, expected) < 1e-5
    assert relative_error(of_states, expected_recurrent(sums)) < bound

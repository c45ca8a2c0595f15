import pytest
import torch

from seqgen.kernels.transposing import add_transposed, transpose

SIZES = [(3, 5), (32, 40), (330, 47)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_transposed_copy_equals_torch_s(size, kind):
    source = torch.randn(size, generator=torch.Generator().manual_seed(1)).to(kind)
    target = torch.zeros(size[1], size[0] + 2, dtype=torch.bfloat16)
    transpose(source, target)
    assert torch.equal(target[:, : size[0]], source.t().bfloat16())
    assert not target[:, size[0] :].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [True, False])
def test_adding_a_transposed_matrix_equals_torch(size, first):
    draw = torch.Generator().manual_seed(2)
    source = torch.randn(size[1], size[0] + 3, generator=draw).bfloat16()
    before = torch.randn(size, generator=draw)
    target = before.clone()
    add_transposed(source, target, first=first)
    assert torch.equal(target, source[:, : size[0]].t().float() + (0.0 if first else before))

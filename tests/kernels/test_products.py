import numpy as np
import pytest
import torch

from seqgen.kernels.jit import compiled
from seqgen.kernels.products import DEPTH, PANEL, Bfloat16Vectors, Float32Vectors, multiply, pack

K = 3 * DEPTH


@compiled
def _product(engine, left, weights, panel, out, add):
    pack(engine, weights, panel)
    depth = weights.shape[0]
    multiply(engine, out.ctypes.data, left.ctypes.data, left.strides[0], panel.ctypes.data, depth, add)


def product(engine, left, weights, start=0.0, add=0):
    out = np.full((engine.rows, PANEL), start, np.float32)
    _product(engine, left, weights, np.zeros((K, PANEL), np.uint32), out, add)
    return out


def operands(engine):
    generator = torch.Generator().manual_seed(1)
    wide = torch.randn(engine.rows, K + 5, generator=generator)  # rows may be further apart than their length
    return wide, torch.randn(K, PANEL, generator=generator)


def test_float32_product_equals_numpy():
    engine = Float32Vectors()
    left, weights = (tensor.numpy() for tensor in operands(engine))
    np.testing.assert_allclose(product(engine, left, weights), left[:, :K] @ weights, atol=1e-4)


def test_bfloat16_product_equals_that_of_rounded_operands():
    engine = Bfloat16Vectors()
    left, weights = operands(engine)
    expected = left[:, :K].bfloat16().double() @ weights.bfloat16().double()
    found = product(engine, left.bfloat16().view(torch.uint16).numpy(), weights.numpy())
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("engine", [Float32Vectors(), Bfloat16Vectors()])
def test_product_is_added_to_what_is_there_only_on_request(engine):
    left, weights = operands(engine)
    left = left if isinstance(engine, Float32Vectors) else left.bfloat16().view(torch.uint16)
    fresh = product(engine, left.numpy(), weights.numpy(), start=3.0)
    added = product(engine, left.numpy(), weights.numpy(), start=3.0, add=1)
    np.testing.assert_allclose(added, fresh + 3, atol=1e-4)


def test_weights_may_be_transposed():
    engine = Float32Vectors()
    left, weights = (tensor.numpy() for tensor in operands(engine))
    turned = np.ascontiguousarray(weights.T).T
    assert np.array_equal(product(engine, left, turned), product(engine, left, weights))

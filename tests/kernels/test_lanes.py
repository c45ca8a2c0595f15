import numpy as np
import pytest
import torch

from seqgen.kernels.jit import compiled
from seqgen.kernels.lanes import (
    LANES,
    at_least,
    at_most,
    fused,
    largest_of,
    load,
    store,
    store_pair,
    stream_pair,
    sum_of,
)

A = np.linspace(-3, 5, LANES, dtype=np.float32)
B = np.linspace(7, 0.5, LANES, dtype=np.float32)
TWO = np.float32(2)


@compiled
def _add(a, b, out):
    store(out, 0, load(a, 0) + load(b, 0))


@compiled
def _subtract_from_scalar(a, b, out):
    store(out, 0, TWO - load(a, 0))


@compiled
def _scale(a, b, out):
    store(out, 0, load(a, 0) * TWO)


@compiled
def _divide(a, b, out):
    store(out, 0, load(a, 0) / load(b, 0))


@compiled
def _fuse(a, b, out):
    store(out, 0, fused(load(a, 0), TWO, load(b, 0)))


@compiled
def _clamp(a, b, out):
    store(out, 0, at_least(-TWO, at_most(TWO, load(a, 0))))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_add, A + B),
        (_subtract_from_scalar, TWO - A),
        (_scale, A * TWO),
        (_divide, A / B),
        (_fuse, A * TWO + B),
        (_clamp, A.clip(-2, 2)),
    ],
)
def test_operation_equals_numpy(function, expected):
    out = np.empty(LANES, np.float32)
    function(A, B, out)
    np.testing.assert_allclose(out, expected, rtol=1e-7)


def test_clamping_keeps_nan():
    out = np.empty(LANES, np.float32)
    _clamp(np.full(LANES, np.nan, np.float32), B, out)
    assert np.isnan(out).all()


@compiled
def _copy(source, target):
    store(target, 1, load(source, 1))


def test_elements_outside_the_lanes_are_left_alone():
    target = np.zeros(LANES + 2, np.float32)
    _copy(np.ones(LANES + 2, np.float32), target)
    assert target.tolist() == [0.0, *[1.0] * LANES, 0.0]


def test_bfloat16_is_widened_exactly():
    values = torch.randn(LANES + 1).bfloat16()
    out = np.zeros(LANES + 1, np.float32)
    _copy(values.view(torch.uint16).numpy(), out)
    assert np.array_equal(out[1:], values.float().numpy()[1:])


@compiled
def _copy_pair(source, target):
    store_pair(target, 0, load(source, 0), load(source, LANES))


@compiled
def _stream_pair(source, target):
    stream_pair(target, 0, load(source, 0), load(source, LANES))


@compiled
def _copy_both(source, target):
    store(target, 0, load(source, 0))
    store(target, LANES, load(source, LANES))


@pytest.mark.parametrize("copy", [_copy_pair, _stream_pair, _copy_both])
def test_bfloat16_is_rounded_to_nearest(copy):
    values, out = torch.randn(2 * LANES), torch.zeros(2 * LANES, dtype=torch.bfloat16)
    copy(values.numpy(), out.view(torch.uint16).numpy())
    assert torch.equal(out, values.bfloat16())


@pytest.mark.parametrize("copy", [_copy_pair, _stream_pair])
def test_a_pair_of_float32_lanes_is_stored_whole(copy):
    values, out = torch.randn(2 * LANES), torch.zeros(2 * LANES)
    copy(values.numpy(), out.numpy())
    assert torch.equal(out, values)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0])
def test_bfloat16_keeps_what_is_not_a_number(value):
    out = np.zeros(2 * LANES, np.uint16)
    _copy_pair(np.full(2 * LANES, value, np.float32), out)
    found = torch.from_numpy(out).view(torch.bfloat16).float().numpy()
    assert np.array_equal(found, np.full(2 * LANES, value, np.float32), equal_nan=True)


@compiled
def _reduce(values, out):
    out[0], out[1] = sum_of(load(values, 0)), largest_of(load(values, 0))


def test_lanes_are_summed_and_compared():
    out = np.empty(2, np.float32)
    _reduce(A, out)
    np.testing.assert_allclose(out, [A.sum(), A.max()], rtol=1e-6)

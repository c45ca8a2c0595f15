import torch

from seqgen.kernels.workspace import Workspace


def test_a_buffer_given_back_is_lent_again():
    workspace = Workspace()
    buffer = workspace.take(2, 3)
    workspace.give(buffer)
    assert workspace.take(2, 3) is buffer


def test_one_buffer_is_never_lent_twice():
    workspace = Workspace()
    assert workspace.take(2, 3) is not workspace.take(2, 3)


def test_buffers_differ_by_type():
    workspace = Workspace()
    workspace.give(workspace.take(2, 3))
    assert workspace.take(2, 3, dtype=torch.bfloat16).dtype is torch.bfloat16


def test_new_buffers_hold_zeros():
    assert not Workspace().take(4, 5).any()

import time

import torch

from seqgen.kernels.workspace import Workspace


def memory(tensor):
    return tensor.untyped_storage().data_ptr()


def test_a_buffer_has_the_shape_and_type_asked_for():
    buffer = Workspace().take(2, 3, dtype=torch.bfloat16)
    assert (buffer.shape, buffer.dtype) == ((2, 3), torch.bfloat16)


def test_memory_given_back_is_lent_again():
    workspace = Workspace()
    first = workspace.take(4, 3)
    place = memory(first)
    workspace.give(first)
    assert memory(workspace.take(2, 5)) == place


def test_memory_is_lent_to_one_borrower_at_a_time():
    workspace = Workspace()
    lent = [workspace.take(2, 3) for _ in range(3)]
    assert len({memory(buffer) for buffer in lent}) == 3


def test_the_smallest_buffer_that_fits_is_lent():
    workspace = Workspace()
    large, small = workspace.take(100), workspace.take(10)
    places = memory(large), memory(small)
    workspace.give(large, small)
    assert memory(workspace.take(7)) == places[1]
    assert memory(workspace.take(7)) == places[0]


def test_memory_does_not_pile_up_as_sizes_grow():
    workspace = Workspace()
    for size in range(1, 50):
        workspace.give(workspace.take(size))
    assert sum(storage.nbytes() for storage in workspace._free) == 49 * 4


def test_each_way_is_tried_then_the_fastest_is_taken():
    workspace, slow = Workspace(), 0.002
    chosen = []
    for _ in range(20):
        trial = workspace.trial("work", ["slow", "fast"])
        chosen.append(trial.choice)
        with trial:
            time.sleep(slow if trial.choice == "slow" else 0)
    assert chosen.count("slow") == 4
    assert set(chosen[8:]) == {"fast"}


def test_a_lent_buffer_comes_back_when_nothing_shares_its_memory():
    workspace = Workspace()
    buffer = workspace.lend(3, 5)
    place = memory(buffer)
    part = buffer[1:].detach()
    del buffer
    assert memory(workspace.lend(3, 5)) != place
    del part
    assert place in {memory(workspace.take(3, 5)), memory(workspace.take(3, 5))}


def test_an_empty_buffer_can_be_lent():
    assert Workspace().lend(0, 3, dtype=torch.bfloat16).shape == (0, 3)

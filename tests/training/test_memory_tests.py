import dataclasses
import math

import pytest

from seqgen.config import ModelConfig, TrainingConfig
from seqgen.data.memory_tasks import memory_task
from seqgen.training.memory_tests import Remembered, accuracy, build, learn, open_gates, take_test

H = 24


def config(cell, **options):
    sizes = {"layers": 1, "hidden_size": H, "embedding_size": 10, "context": 4, "dropout": 0.0}
    return ModelConfig(cell=cell, **sizes, **options)


def settings(steps):
    return TrainingConfig(epochs=steps, learning_rate=2e-2, batch_size=16, weight_decay=0.0, warmup_steps=10)


def test_a_window_remembers_what_it_reaches_and_nothing_beyond():
    task = memory_task("copy", symbols=1)
    _, result = take_test(task, config("window"), settings(150), [3, 4, 7], open_first=True, curriculum=False)
    assert result.accuracy[3] == result.accuracy[4] == 1.0
    assert result.accuracy[7] == pytest.approx(task.chance, abs=0.07)
    assert result.reach == 4


def test_a_gru_learns_to_copy_over_a_distance():
    _, result = take_test(
        memory_task("copy", symbols=1), config("gru"), settings(300), [12], open_first=True, curriculum=False
    )
    assert result.accuracy[12] > 0.95
    assert result.steps < 300  # nothing was left to learn


def test_an_untrained_network_is_right_by_chance():
    for name in ("agreement", "copy"):
        task = memory_task(name)
        assert accuracy(build(task, config("rnn"), 1), task, 9, 1) < 2 * task.chance


def test_a_curriculum_is_one_network_for_all_distances():
    _, alone = take_test(
        memory_task("reverse"), config("rnn"), settings(3), [2, 4], open_first=True, curriculum=False
    )
    _, together = take_test(
        memory_task("reverse"), config("rnn"), settings(3), [2, 4], open_first=True, curriculum=True
    )
    assert (alone.steps, together.steps) == (6, 3)
    assert list(together.accuracy) == [2, 4]


def test_the_same_seed_learns_the_same():
    task, losses = memory_task("adding"), []
    for _ in range(2):
        model = build(task, config("lstm"), 3)
        learn(model, task, settings(4), (5, 9))
        losses.append([parameter.sum().item() for parameter in model.parameters()])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "window"])
def test_open_gates_keep_for_twice_the_distance(cell):
    model = build(memory_task("copy"), config(cell), 1)
    open_gates(model, 50)
    bias = model.encoder[0].bias_ih.detach()
    if cell in ("rnn", "window"):
        assert not bias.any()
        return
    assert bias[H : 2 * H].sigmoid().tolist() == pytest.approx([100 / 101] * H)
    if cell == "lstm":
        assert bias[:H].sigmoid().tolist() == pytest.approx([1 / 101] * H)
    assert not bias[2 * H :].any()
    assert cell == "lstm" or not bias[:H].any()


def test_the_reach_ends_at_the_first_distance_that_is_not_held():
    result = Remembered(cell="rnn", parameters=1, steps=1, seconds=1.0, accuracy={2: 1.0, 5: 0.2, 9: 0.99})
    assert result.reach == 2
    assert dataclasses.replace(result, accuracy={2: 0.9}).reach == 0
    assert result.record()["reach"] == 2
    assert not math.isnan(result.seconds)

import numpy as np
import pytest

from seqgen.data.memory_tasks import NATIONS, as_text, memory_task
from seqgen.errors import ConfigError

ROWS = 5


def drawn(name, distance, *, seed=0, **options):
    task = memory_task(name, **options)
    return task, task.draw(np.random.default_rng(seed), distance, ROWS)


@pytest.mark.parametrize("distance", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 200])
def test_the_language_comes_so_many_words_after_its_country(distance):
    task, (inputs, answers, _) = drawn("agreement", distance)
    languages = {task.tokenizer.encode(f" {k}")[0]: v for k, v in NATIONS.items()}
    for column in range(ROWS):
        country, row = int(inputs[3, column]), inputs[:, column]
        assert task.tokenizer.decode(answers[:, column]) == f" {languages[country]}"
        assert len(row) - 3 == distance  # the answer would be the next word


def test_sentences_are_read_whole_and_other_countries_do_not_count():
    task, questions = drawn("agreement", 40)
    sentence, _ = as_text(task, questions)[0].split(" → ")
    ids = questions.inputs[:, 0]
    assert task.tokenizer.encode(sentence).tolist() == ids[1:].tolist()
    assert task.tokenizer.unk_id not in ids
    assert ids[0] == task.tokenizer.eos_id
    texts = as_text(*drawn("agreement", 100))
    assert all(sum(text.count(country) for country in NATIONS) > 1 for text in texts)


@pytest.mark.parametrize("distance", [2, 3, 4, 9])
def test_copies_come_so_many_steps_after_their_symbols(distance):
    _, (inputs, answers, counted) = drawn("copy", distance, symbols=3)
    count = min(3, distance - 1)
    assert len(answers) == counted == count
    np.testing.assert_array_equal(answers, inputs[:count])
    asked = np.arange(len(inputs) - count, len(inputs))  # the answer is what should come next
    assert (asked + 1 - np.arange(count)).tolist() == [distance] * count
    assert (inputs[distance - 1] == 3).all()


@pytest.mark.parametrize("distance", [2, 5, 6])
def test_the_first_symbol_is_the_last_of_the_reversed(distance):
    task, questions = drawn("reverse", distance)
    told = distance // 2
    np.testing.assert_array_equal(questions.answers, questions.inputs[:told][::-1])
    assert (len(questions.inputs), questions.counted) == (distance, 1)
    text, answer = as_text(task, questions)[0].split(" → ")
    assert text[:told] == answer[::-1]


@pytest.mark.parametrize("distance", [2, 30])
def test_the_sum_is_of_the_marked_numbers_the_first_so_many_steps_before(distance):
    _, (inputs, answers, _) = drawn("adding", distance)
    marks = inputs[..., 1]
    assert marks.sum(axis=0).tolist() == [2.0] * ROWS
    assert (len(inputs) - marks.argmax(axis=0)).tolist() == [distance] * ROWS
    np.testing.assert_allclose(answers[0], (inputs[..., 0] * marks).sum(axis=0), rtol=1e-6)


def test_chance_is_what_a_guess_gets():
    task = memory_task("adding")
    _, answers, _ = task.draw(np.random.default_rng(1), 10, 20_000)
    assert (abs(answers - 1) <= 0.1).mean() == pytest.approx(task.chance, abs=0.01)
    assert memory_task("copy").chance == 1 / 8


def test_the_same_seed_draws_the_same_sequences():
    for name in ("adding", "agreement", "copy", "reverse"):
        one, again, other = (drawn(name, 20, seed=seed)[1].inputs for seed in (1, 1, 2))
        assert np.array_equal(one, again)
        assert one.shape != other.shape or not np.array_equal(one, other)


def test_a_distance_without_room_and_an_unknown_test_are_refused():
    with pytest.raises(ConfigError, match="the copy test begins at a distance of 2"):
        memory_task("copy").check_distances([1, 5])
    with pytest.raises(ConfigError, match="choose adding, agreement, copy, reverse"):
        memory_task("parity")

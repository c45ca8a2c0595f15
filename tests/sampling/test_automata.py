from itertools import product

import numpy as np
import pytest

from seqgen.sampling import automata
from seqgen.sampling.automata import (
    DEAD,
    TooLargeError,
    intersect,
    make_automaton,
    nothing,
)

SYMBOLS, LENGTH = 5, 6


def random_edges(seed, *, states=9, kinds=3, edges=14):
    """Return the arguments of an automaton with dead ends, unreachable and equivalent states."""
    draw = np.random.default_rng(seed)
    pairs = draw.permutation(states * kinds)[:edges]
    sources, labels = np.divmod(pairs, kinds)
    targets = draw.integers(0, states, edges)
    return draw.integers(0, kinds, SYMBOLS), sources, labels, targets, draw.random(states) < 0.3


def language(kinds, sources, labels, targets, accepting, start=0):
    """Return all short sequences that lead from the start to an accepting state, by trying them."""
    follow = dict(zip(zip(sources.tolist(), labels.tolist(), strict=True), targets.tolist(), strict=True))
    found, reached = set(), {(): start}
    for _ in range(LENGTH + 1):
        found |= {word for word, state in reached.items() if accepting[state]}
        reached = {
            (*word, symbol): follow[state, kinds[symbol]]
            for word, state in reached.items()
            for symbol in range(SYMBOLS)
            if (state, kinds[symbol]) in follow
        }
    return found


def accepted(automaton):
    """Return all short sequences that an automaton accepts, by its public walk."""
    words = (word for size in range(LENGTH + 1) for word in product(range(SYMBOLS), repeat=size))
    return {word for word in words if (at := automaton.walk(word)) != DEAD and automaton.accepting[at]}


@pytest.mark.parametrize("seed", range(12))
def test_an_automaton_accepts_what_its_edges_do(seed):
    arguments = random_edges(seed)
    for start in (0, 4):
        assert accepted(make_automaton(*arguments, start=start)) == language(*arguments, start=start)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("banned", [set(), {1}, {0, 3}])
def test_without_some_symbols_no_sequence_has_them_and_no_other_is_lost(seed, banned):
    arguments = random_edges(seed)
    kept = {word for word in language(*arguments) if not banned.intersection(word)}
    assert accepted(make_automaton(*arguments).without(banned)) == kept


@pytest.mark.parametrize("seed", range(12))
def test_no_two_states_are_equivalent_and_none_is_a_dead_end(seed):
    automaton = make_automaton(*random_edges(seed, states=7, edges=19))
    futures = [accepted(automaton.after(word)) for word in shortest_ways(automaton)]
    assert len(futures) == len(automaton)
    assert len({frozenset(future) for future in futures}) == len(futures)
    assert all(futures)


def shortest_ways(automaton):
    """Return one sequence to each state."""
    ways = {0: ()} if len(automaton) else {}
    for _ in range(len(automaton)):
        for state, word in list(ways.items()):
            for symbol in np.flatnonzero(automaton.mask(state)):
                ways.setdefault(automaton.advance(state, int(symbol)), (*word, int(symbol)))
    return list(ways.values())


@pytest.mark.parametrize("seed", range(10))
def test_an_intersection_accepts_what_both_do(seed):
    first, second = (make_automaton(*random_edges(seed + shift, edges=20)) for shift in (0, 100))
    assert accepted(intersect(first, second)) == accepted(first) & accepted(second)


@pytest.mark.parametrize("seed", range(10))
def test_what_follows_a_sequence_is_the_rest_of_those_that_begin_with_it(seed):
    automaton = make_automaton(*random_edges(seed, edges=20))
    rest = {word[2:] for word in accepted(automaton) if word[:2] == (1, 3)}
    after = accepted(automaton.after((1, 3)))
    assert {word for word in after if len(word) <= LENGTH - 2} == rest


def test_symbols_that_lead_to_the_same_states_are_of_one_kind():
    kinds = np.array([0, 1, 2, 3, 1])
    edges = np.array([0, 0, 0]), np.array([1, 2, 3]), np.array([1, 1, 0])
    automaton = make_automaton(kinds, *edges, np.array([False, True]))
    assert len(automaton) == 2
    assert [int(kind) for kind in automaton.kinds[[1, 2, 4]]] == [automaton.kinds[1]] * 3
    assert len(set(automaton.kinds.tolist())) == 3


def test_a_mask_leaves_out_what_cannot_be_finished():
    # 0 -a-> 1 -a-> 2 (end), 0 -b-> 2
    edges = np.array([0, 1, 0]), np.array([0, 0, 1]), np.array([1, 2, 2])
    automaton = make_automaton(np.arange(2), *edges, np.array([False, False, True]))
    assert automaton.shortest == 1
    assert automaton.mask(0).tolist() == [True, True]
    assert automaton.mask(0, left=1).tolist() == [True, True]
    assert automaton.mask(0, left=0).tolist() == [False, True]


def test_nothing_allows_nothing():
    assert nothing(3).shortest is None
    assert accepted(nothing(SYMBOLS)) == set()
    assert len(intersect(nothing(SYMBOLS), make_automaton(*random_edges(3)))) == 0
    assert len(nothing(SYMBOLS).after([1])) == 0


def test_chains_of_thousands_of_states_are_made_at_once():
    size = 5000
    edges = np.arange(size), np.zeros(size, np.int64), np.arange(1, size + 1)
    automaton = make_automaton(np.zeros(2, np.int64), *edges, np.arange(size + 1) == size)
    assert len(automaton) == size + 1
    assert automaton.shortest == size


def test_an_automaton_of_too_many_states_is_refused(monkeypatch):
    automaton = make_automaton(*random_edges(2, edges=20))
    other = make_automaton(*random_edges(5, edges=20))
    assert len(intersect(automaton, other)) > 8
    monkeypatch.setattr(automata, "STATE_LIMIT", 8)
    with pytest.raises(TooLargeError):
        intersect(automaton, other)
    with pytest.raises(TooLargeError):
        make_automaton(*random_edges(1))

"""Automata that count, against every sequence written out."""

from itertools import product

import numpy as np
import pytest

from seqgen.sampling.automata import DEAD, TooLargeError
from seqgen.sampling.counting import NODE_LIMIT, SHUT, Graph, Reader, count_over, explore

A, B, C = 1, 2, 3  # tokens; 0 ends a sequence
LETTER, STOP = 1, 2  # kinds


def letters_then_stops(most=4):
    """Allow A and B, never the same twice in a row, each group ended by C; two groups in all.

    What is counted are the groups; the reader remembers the letter, of which the states know nothing.
    """
    graph = explore("begin", follow)
    kinds = np.array([[0, LETTER, LETTER, STOP], [0, 0, LETTER, STOP], [0, LETTER, 0, STOP]], np.int32)
    following = np.array([[0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 2, 0]], np.int32)
    nodes = np.full((most, len(graph.states)), -1, np.int32)
    nodes[3:] = SHUT
    nodes[2, graph.states.index("begin")] = 0
    ones = np.ones(len(graph.labels), np.bool_)
    only = np.full(len(graph.labels), -1)
    return count_over(Reader(kinds, following), graph, nodes, only=only, share=most, sure=ones, layer=0)


def follow(state):
    yield LETTER, "within", 0
    if state == "within":
        yield STOP, "begin", 1


def is_right(tokens):
    groups = "".join(".ABC"[token] for token in tokens)
    return (
        groups.endswith("C")
        and groups.count("C") == 2
        and not any(two in f"C{groups}" for two in ("AA", "BB", "CC"))
    )


def test_every_sequence_is_judged_as_by_its_definition():
    whole = letters_then_stops()
    for length in range(8):
        for tokens in product((A, B, C), repeat=length):
            count, rest = whole.obeyed(tokens)
            assert (count == length and rest.shortest == 0) == is_right(tokens)


def test_the_shortest_way_to_an_end_is_that_of_all_sequences():
    whole = letters_then_stops()
    assert whole.shortest == 4
    assert whole.obeyed([A, B])[1].shortest == 3
    assert whole.obeyed([A, C, B])[1].shortest == 1


def test_what_follows_no_more_is_dead():
    whole = letters_then_stops()
    assert whole.advance(whole.place, C) == DEAD
    assert whole.obeyed([A, C, B, C])[1].obeyed([A])[0] == 0


def test_too_many_nodes_are_refused():
    graph = Graph(["one"], *(np.zeros(0, np.int64) for _ in range(4)))
    nodes = np.lib.stride_tricks.as_strided(np.zeros(1, np.int32), (NODE_LIMIT + 1, 1), (0, 0))
    reader = Reader(np.zeros((1, 2), np.int32), np.zeros((1, 2), np.int32))
    none = np.zeros(0, np.int64)
    with pytest.raises(TooLargeError):
        count_over(reader, graph, nodes, only=none, share=1, sure=none > 0, layer=0)

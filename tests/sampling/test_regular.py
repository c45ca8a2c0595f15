import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.sampling.automata import DEAD, TooLargeError
from seqgen.sampling.regular import Alphabet, ExpressionError, ExpressionReader, over_characters

SMALL = Alphabet.of("abcAB1_ .\né")

PIECES = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "[ab]",
        "[^a]",
        ".",
        r"\w",
        r"\W",
        r"\d",
        r"\s",
        "é",
        "(?i:b)",
        r"\.",
        "(?s:.)",
        "[a-c1]",
        "",
    ]
)
EXPRESSIONS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=8,
)
TEXTS = st.text(st.sampled_from(SMALL.text + "aaabbb"), max_size=7)


def automaton_of(expression, alphabet=SMALL):
    return over_characters(ExpressionReader(alphabet).read(expression), alphabet)


def accepts(automaton, text, alphabet=SMALL):
    state = automaton.walk(alphabet.numbers(text))
    return state != DEAD and bool(automaton.accepting[state])


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, st.lists(TEXTS, min_size=5, max_size=20))
def test_an_automaton_accepts_what_python_matches(expression, texts):
    automaton = automaton_of(expression)
    for text in texts:
        assert accepts(automaton, text) == (re.fullmatch(expression, text) is not None), (expression, text)


@pytest.mark.parametrize(
    ("expression", "accepted", "refused"),
    [
        (r"^ab$", ["ab"], ["a", "abb"]),
        (r"\Aa|b\Z", ["a", "b"], ["ab", ""]),
        (r"(^a)(b$)", ["ab"], ["a"]),
        (r"(?i)aB", ["ab", "AB", "Ab"], ["b"]),
        (r"(?i:é)", ["é"], ["a"]),
        (r"(?P<name>a)+", ["aaa"], [""]),
        (r"(?:a*)*", ["", "aaa"], ["b"]),
        (r"(?:){5}a", ["a"], [""]),
        (r"(?:a|b)*a(?:a|b){3}", ["abbb", "aaaaa"], ["bbbb"]),
    ],
)
def test_what_expressions_mean(expression, accepted, refused):
    automaton = automaton_of(expression)
    assert [text for text in [*accepted, *refused] if accepts(automaton, text)] == accepted


def test_classes_of_all_of_unicode_are_those_of_python():
    alphabet = Alphabet.complete()
    assert len(alphabet.text) == 0x110000 - 0x800
    for expression in (r"\w", r"\d", r"\s", r"(?a:\w)", "(?i:ß)", r"[^\W\d]"):
        automaton = automaton_of(expression, alphabet)
        found = [alphabet.text[i] for i in automaton.mask(0).nonzero()[0]]
        assert found == re.findall(expression, alphabet.text)


def test_characters_may_be_left_out_of_every_class():
    reader = ExpressionReader(SMALL, without="\n")
    automaton = over_characters(reader.read(r"[^a]*\s?"), SMALL)
    assert accepts(automaton, "bb ")
    assert not accepts(automaton, "bb\n")
    assert not accepts(automaton, "b\nb")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("(", "missing \\)"),
        ("a{99999999999}", "too large"),
        (r"a\b", r"\^, \$, .* may only stand at its ends"),
        ("a$b", r"may only stand at its ends"),
        ("(?:^a)+", r"may only stand at its ends"),
        ("a(?=b)", r"\(\?=\.\.\.\)"),
        ("a(?<!b)", r"\(\?!\.\.\.\)"),
        (r"(a)\1", "reference to a group"),
        ("(?>a)", r"\(\?>\.\.\.\)"),
        ("a*+", r"\*\+"),
        ("(" * 5000 + ")" * 5000, "nested too deeply"),
    ],
)
def test_what_no_automaton_can_follow_is_told(expression, message):
    with pytest.raises(ExpressionError, match=message):
        automaton_of(expression)


@pytest.mark.parametrize(
    "expression",
    ["(?:a|b)*a(?:a|b){40}", "((a{100}){100}){100}", "(?:a?){3000}", "a{4000000}", "(?:){4000000}a{4000000}"],
)
def test_an_expression_that_explodes_is_refused_soon(expression):
    with pytest.raises(TooLargeError):
        automaton_of(expression)

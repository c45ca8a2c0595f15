import re
from itertools import product

import pytest

from seqgen.data.subwords import train_subwords
from seqgen.data.tokenizers import byte_vocab, make_tokenizer
from seqgen.sampling import automata
from seqgen.sampling.automata import DEAD, TooLargeError
from seqgen.sampling.regular import ExpressionReader, over_characters
from seqgen.sampling.spelling import Spelling, over_bytes
from tests.corpora import sentences

WORDS = [None, None, b"a", b"b", b" a", b"ab", b"ba", b"a a", "é".encode(), b""]


def over_tokens(expression, spelled):
    spelling = Spelling(spelled)
    tree = ExpressionReader(spelling.alphabet).read(expression)
    return spelling.over_tokens(over_characters(tree, spelling.alphabet))


def accepts(automaton, tokens):
    state = automaton.walk(tokens)
    return state != DEAD and bool(automaton.accepting[state])


@pytest.mark.parametrize("expression", ["a*b", "(?:ab)*", r"\w+ \w+", "[^b]*", "é|aé", "a a?b{2,}", "c|a"])
def test_tokens_of_several_characters_go_where_their_characters_go(expression):
    automaton = over_tokens(expression, WORDS)
    for size in range(4):
        for tokens in product(range(len(WORDS)), repeat=size):
            expected = False
            if all(WORDS[token] for token in tokens):
                text = b"".join(WORDS[token] for token in tokens).decode()
                expected = re.fullmatch(expression, text) is not None
            assert accepts(automaton, tokens) == expected, (expression, tokens)


def test_tokens_that_spell_nothing_are_never_allowed():
    automaton = over_tokens("(?s:.*)", WORDS)
    assert automaton.mask(0).tolist() == [bool(token) for token in WORDS]


def test_where_the_vocabulary_cannot_spell_a_text_there_is_no_way():
    assert over_tokens("ac", WORDS).shortest is None
    assert over_tokens("ac?", WORDS).shortest == 1
    assert over_tokens("b b", [b"b", b"a a"]).shortest is None


@pytest.mark.parametrize(
    "expression", [r"\w+", "[^é]", "(?i:straße)", "(?s:.){2}", "[à-ü]*x", "[\U0001f600-\U0001f64f]+"]
)
def test_over_bytes_a_text_is_its_utf_8(expression):
    spelling = Spelling([b"\xff"])
    automaton = over_bytes(
        over_characters(ExpressionReader(spelling.alphabet).read(expression), spelling.alphabet)
    )
    texts = ["", "a", "é", "ß", "STRASSE", "Straße", "ab", "aé", "éx", "x", "😀", "€", "٣",
             "\x7f", "\u0800", "\uffff",
             "\U00010000", "\U0010ffff", "😀x", "a\n", "日本"]  # fmt: skip
    for text in texts:
        assert accepts(automaton, text.encode()) == (re.fullmatch(expression, text) is not None), text


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf5\x80\x80\x80",
        b"a\xc3a",
    ],
)
def test_over_bytes_what_is_no_utf_8_is_never_allowed(bad):
    spelling = Spelling([b"\xff"])
    tree = ExpressionReader(spelling.alphabet).read("(?s:.*)")
    assert not accepts(over_bytes(over_characters(tree, spelling.alphabet)), bad)
    with pytest.raises(UnicodeDecodeError):
        bad.decode()


def test_bytes_and_subwords_spell_the_same_texts():
    subwords = make_tokenizer(train_subwords(sentences(200), kind="unigram", size=300, lowercase=False))
    letters = make_tokenizer(byte_vocab())
    expression = r"(?:the|a) \w+ [a-zé]+\."
    by_subwords, by_bytes = (over_tokens(expression, tokenizer.spelled) for tokenizer in (subwords, letters))
    for text in ["the cat sat.", "a naïve é.", "the cat sat", "the cat  sat.", "a b ï."]:
        expected = re.fullmatch(expression, text) is not None
        assert accepts(by_subwords, subwords.encode(text)) == expected, text
        assert accepts(by_bytes, letters.encode(text)) == expected, text


def test_an_automaton_over_bytes_of_too_many_states_is_refused(monkeypatch):
    spelling = Spelling([b"\xff"])
    characters = over_characters(ExpressionReader(spelling.alphabet).read(r"\w{3}"), spelling.alphabet)
    monkeypatch.setattr("seqgen.sampling.spelling.STATE_LIMIT", 100)
    with pytest.raises(TooLargeError):
        over_bytes(characters)
    assert automata.STATE_LIMIT > 100

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqgen.data.compiled import CompiledBytes, CompiledChars, CompiledWords, count_chars, count_words
from seqgen.data.encoding import encode_pieces
from seqgen.data.split import PartBlock
from seqgen.data.tokenizers import byte_vocab, make_tokenizer, prepare, ranked_vocab
from seqgen.data.words import cut_words, is_split_at_spaces
from tests.data.real import real

PIECES = "aZé _1'’.-=!?\n\t \u00a0\u2003中文कि्न\u0301\u0327😀𝒜\U00020000,;"
wordy = st.text(alphabet=PIECES, max_size=40) | st.text(max_size=30)


def words(counts, scheme="words", **options):
    options = {"normalize": "nfc", "lowercase": False, "words": scheme} | options
    return make_tokenizer(ranked_vocab("word", counts, options=options))


def block_of(texts, closes=None):
    data = [text.encode() for text in texts]
    edges = np.cumsum([0, *(len(text) + 1 for text in data)])  # a byte between pieces belongs to none
    count = len(texts)
    return PartBlock(
        b"\n".join([*data, b""]), edges[:-1], edges[1:] - 1,
        np.zeros(count, np.uint8), np.ones(count, bool),
        np.ones(count, bool) if closes is None else np.array(closes[:count], dtype=bool),
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["words", "spaces"])
@given(text=wordy)
def test_tokens_add_up_to_the_text(scheme, text):
    assert "".join(cut_words(text, scheme)) == text


@given(text=wordy, scheme=st.sampled_from(["words", "spaces"]))
def test_known_text_comes_back(text, scheme):
    normal = prepare(text, {"normalize": "nfc"})
    tokenizer = words(Counter(cut_words(normal, scheme)), scheme)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == normal
    stream = tokenizer.stream()
    assert "".join(stream.feed(int(i)) for i in ids) + stream.flush() == normal


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop, she said.", ["Don't", " stop", ",", " she", " said", "."]),
        ("'tis the dogs' l’été", ["'", "tis", " the", " dogs", "'", " l’été"]),
        ("wait... what?! --yes", ["wait", "...", " what", "?", "!", " --", "yes"]),
        ("a  b\n\n\tc \n", ["a", "  ", "b", "\n", "\n", "\t", "c", " \n"]),
        ("def f(x_1):\n    return x", ["def", " f", "(", "x_1", ")", ":", "\n", "    ", "return", " x"]),
        ("我爱 你abc", ["我", "爱", " 你", "abc"]),
        ("हिन्दी में", ["हिन्दी", " में"]),
        ("ne\u0301e", ["ne\u0301e"]),
    ],
)
def test_words_are_cut_as_a_reader_would(text, tokens):
    assert cut_words(text, "words") == tokens


def test_text_split_at_spaces_keeps_its_words_whole():
    text = " the <unk> @-@ U.S. team , \n"
    assert cut_words(text, "spaces") == [" the", " <unk>", " @-@", " U.S.", " team", " ,", " \n"]


def test_text_split_at_spaces_is_recognised():
    assert is_split_at_spaces("the end , he said . " * 30)
    assert not is_split_at_spaces("The end, he said. " * 30)
    assert not is_split_at_spaces("no marks at all " * 30)


def test_wikitext_counts_are_those_of_the_literature():
    path = real("wikitext2/wiki.test.tokens")
    text = path.read_text(encoding="utf-8")
    assert is_split_at_spaces(text[:100_000])
    assert len(cut_words(text, "spaces")) == 245_569


def test_an_unknown_word_takes_its_space_with_it():
    tokenizer = words({"a": 1, " b": 1})
    ids = tokenizer.encode("a x b")
    assert ids.tolist() == [3, 1, 2]
    assert tokenizer.decode(ids) == "a\ufffd b"


def test_lowercase_makes_one_word_of_two():
    tokenizer = words({"the": 1}, lowercase=True)
    assert tokenizer.encode("THE").tolist() == tokenizer.encode("the").tolist() == [2]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("scheme", ["words", "spaces"])
@given(texts=st.lists(wordy, min_size=1, max_size=4), closes=st.lists(st.booleans(), min_size=4, max_size=4))
@example(texts=["e\u0301 Σ", "a'b'c'", " ", "İ"], closes=[True] * 4)
def test_compiled_words_equal_plain_words(scheme, lowercase, texts, closes):
    options = {"normalize": "nfc", "lowercase": lowercase, "words": scheme}
    block = block_of(texts, closes)
    counts = Counter(token for text in texts for token in cut_words(prepare(text, options), scheme))
    assert count_words(block, options) == counts
    known = dict(list(counts.items())[::2]) or {"a": 1}  # every other token is unknown
    tokenizer = words(known, **options)
    check_twin(CompiledWords(tokenizer, np.uint16), tokenizer, block, np.uint16)


@given(texts=st.lists(wordy, min_size=1, max_size=4), closes=st.lists(st.booleans(), min_size=4, max_size=4))
def test_compiled_characters_equal_plain_characters(texts, closes):
    options = {"normalize": "nfc", "lowercase": False}
    block = block_of(texts, closes)
    counts = Counter("".join(prepare(text, options) for text in texts))
    assert count_chars(block, options) == counts
    known = dict(list(counts.items())[::2]) or {"a": 1}
    tokenizer = make_tokenizer(ranked_vocab("char", known, options=options))
    check_twin(CompiledChars(tokenizer, np.uint8), tokenizer, block, np.uint8)


@given(texts=st.lists(wordy, min_size=1, max_size=4), closes=st.lists(st.booleans(), min_size=4, max_size=4))
def test_compiled_bytes_equal_plain_bytes(texts, closes):
    tokenizer = make_tokenizer(byte_vocab())
    check_twin(CompiledBytes(tokenizer, np.uint16), tokenizer, block_of(texts, closes), np.uint16)


def check_twin(twin, tokenizer, block, dtype):
    found, expected = twin(block), encode_pieces(block, tokenizer, dtype)
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.lengths.tolist() == expected.lengths.tolist()
    assert found.ids.dtype == expected.ids.dtype == dtype


def test_many_distinct_words_make_the_count_table_grow():
    text = " ".join(f"w{number}" for number in range(80_000))
    options = {"normalize": "none", "lowercase": False, "words": "words"}
    assert count_words(block_of([text]), options) == Counter(cut_words(text, "words"))


@pytest.mark.parametrize(
    "name", ["canterbury/alice29.txt", "utf8_stress/UTF-8-demo.txt", "anki_pairs/cmn_2020.txt"]
)
def test_compiled_words_equal_plain_words_on_real_text(name):
    text = real(name).read_text(encoding="utf-8")
    options = {"normalize": "nfc", "lowercase": False, "words": "words"}
    tokenizer = words(Counter(cut_words(prepare(text[: len(text) // 2], options), "words")))
    check_twin(CompiledWords(tokenizer, np.uint32), tokenizer, block_of([text]), np.uint32)

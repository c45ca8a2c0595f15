import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.data.subwords import train_subwords
from seqgen.data.tokenizers import load_tokenizer, make_tokenizer
from seqgen.errors import TokenError

TEXT = "It was the best of times,\n\tit was the worst of times,  it was the age of wisdom...\n" * 30
LINES = "anna\nbob\n" * 20  # no space anywhere
text = st.text(max_size=40) | st.text(alphabet=" \n\t\r\u2028\u2581\u2585ab\0<0x41>", max_size=30)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizers(request):
    return [
        make_tokenizer(train_subwords([source], kind=request.param, size=310, lowercase=False))
        for source in (TEXT, LINES)
    ]


@settings(max_examples=300)
@given(text=text)
def test_every_text_comes_back_as_it_was(tokenizers, text):
    for tokenizer in tokenizers:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        stream = tokenizer.stream()
        assert "".join(stream.feed(int(i)) for i in ids) + stream.flush() == text
        assert 0 not in ids
        assert len(ids) == 0 or ids.max() < len(tokenizer.tokens)


@given(data=st.data())
def test_any_ids_decode_to_some_text(tokenizers, data):
    for tokenizer in tokenizers:
        ids = data.draw(st.lists(st.integers(0, len(tokenizer.tokens) - 1), max_size=20))
        tokenizer.decode(ids).encode()


def test_a_text_has_fewer_subwords_than_characters(tokenizers):
    tokenizer = tokenizers[0]
    assert tokenizer.tokens[0] == "<eos>"
    assert tokenizer.unk_id is None
    assert len(tokenizer.encode(TEXT)) < 0.9 * len(TEXT)


def test_newlines_and_tabs_are_tokens_of_their_own(tokenizers):
    tokens = [tokenizers[0].tokens[i] for i in tokenizers[0].encode("a\n\tb")]
    assert tokens[1:3] == ["\n", "\t"]


def test_a_long_line_is_learned_from_and_encoded():
    line = "abracadabra " * 5_000
    tokenizer = make_tokenizer(train_subwords([line], kind="bpe", size=300, lowercase=False))
    assert "cadabra" in "".join(tokenizer.tokens)
    assert len(tokenizer.encode(line)) < 3 * 5_000
    assert tokenizer.decode(tokenizer.encode(line)) == line


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("source", ["a", "ab " * 3, "\n\n", "\u2581\u2585"])
def test_a_tiny_text_gives_a_small_vocabulary(kind, source):
    vocab = train_subwords([source], kind=kind, size=8000, lowercase=False)
    assert 258 <= len(vocab.tokens) < 300


def test_a_size_below_the_characters_is_an_error_that_names_the_least():
    with pytest.raises(TokenError, match=r"--max-size 100 is too small: .* needs 2\d\d tokens"):
        train_subwords([TEXT], kind="bpe", size=100, lowercase=False)


def test_lowercase_is_kept_as_an_option():
    tokenizer = make_tokenizer(train_subwords([TEXT], kind="bpe", size=300, lowercase=True))
    assert tokenizer.decode(tokenizer.encode("IT WAS É")) == "it was é"


def test_a_saved_subword_tokenizer_loads_as_the_same(tokenizers, tmp_path):
    tokenizers[0].save(tmp_path / "vocab.json")
    loaded = load_tokenizer(tmp_path / "vocab.json")
    assert loaded.content_hash == tokenizers[0].content_hash
    assert loaded.encode(TEXT).tolist() == tokenizers[0].encode(TEXT).tolist()


def test_training_is_silent(capfd):
    train_subwords([TEXT], kind="unigram", size=400, lowercase=False)
    train_subwords([TEXT], kind="bpe", size=8000, lowercase=False)
    assert capfd.readouterr() == ("", "")

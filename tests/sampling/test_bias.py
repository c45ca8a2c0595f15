import numpy as np
import pytest

from seqgen.data.tokenizers import make_tokenizer, ranked_vocab
from seqgen.errors import ConfigError
from seqgen.sampling.bias import token_bias
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import collect
from tests.sampling.models import char_tokenizer, write_model

WORDS = make_tokenizer(
    ranked_vocab("word", {"the": 3, " the": 2, "\n": 1, "=": 1}, options={"words": "words"})
)


def names(bias):
    return {WORDS.tokens[token]: amount for token, amount in bias.items()}


def test_a_word_is_meant_with_and_without_the_space_before_it():
    assert names(token_bias(WORDS, banned=["the"], boosted=[])) == {"the": -np.inf, " the": -np.inf}
    assert names(token_bias(WORDS, banned=[" the"], boosted=[])) == {" the": -np.inf}


def test_names_are_as_the_token_format_writes_them():
    assert names(token_bias(WORDS, banned=["\\n", "\\x20the"], boosted=[])) == {
        "\n": -np.inf,
        " the": -np.inf,
    }


def test_boosts_are_added_and_a_ban_wins():
    found = token_bias(WORDS, banned=["\n"], boosted=["the=1.5", "\n=2", "==-1"])
    assert names(found) == {"the": 1.5, " the": 1.5, "\n": -np.inf, "=": -1.0}


@pytest.mark.parametrize("boost", ["the", "the=x", "the=inf", "the=101", "the=nan"])
def test_a_boost_without_an_amount_is_refused(boost):
    with pytest.raises(ConfigError, match=f"--boost {boost}: a token and a number within ±100"):
        token_bias(WORDS, banned=[], boosted=[boost])


def test_an_empty_name_is_refused():
    with pytest.raises(ConfigError, match="--ban : names no token"):
        token_bias(WORDS, banned=[""], boosted=[])
    with pytest.raises(ConfigError, match="--boost =1: names no token"):
        token_bias(char_tokenizer(), banned=[], boosted=["=1"])  # which has a space, the token " " + ""


def test_an_unknown_token_is_told():
    with pytest.raises(ConfigError, match="--ban dog: the model has no token dog"):
        token_bias(WORDS, banned=["dog"], boosted=[])


def test_a_banned_token_never_appears_and_a_boosted_one_often(tmp_path):
    tokenizer = char_tokenizer()
    bias = token_bias(tokenizer, banned=["a", "<eos>"], boosted=["b=4"])
    sampler = Sampler(write_model(tmp_path / "m"))
    (sample,) = collect(sampler.generate(SampleConfig(length=400, bias=bias)))
    assert "a" not in sample.text
    assert sample.text.count("b") > 200
    assert len(sample.tokens) == 400

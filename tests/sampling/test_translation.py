import numpy as np
import pytest
import torch

from seqgen.config import ModelConfig, TranslateConfig
from seqgen.data.tokenizers import make_tokenizer, ranked_vocab
from seqgen.data.words import cut_words
from seqgen.networks.translation import TranslationModel
from seqgen.sampling.beams import Found
from seqgen.sampling.translation import (
    Search,
    Translator,
    most_attended,
    source_tokens,
    translate_examples,
)

PLAIN = {"normalize": "nfc", "lowercase": False}


def word_tokenizer(text):
    counts = dict.fromkeys(cut_words(f" {text}", "words"), 1)
    return make_tokenizer(ranked_vocab("word", counts, options={**PLAIN, "words": "words"}))


def char_tokenizer(text):
    return make_tokenizer(ranked_vocab("char", dict.fromkeys(text, 1), options=PLAIN))


@pytest.fixture
def translator():
    source, target = (
        word_tokenizer("the red dog sees a cat ."),
        word_tokenizer("le chien rouge voit un chat ."),
    )
    torch.manual_seed(0)
    config = ModelConfig(layers=1, embedding_size=4, hidden_size=6)
    model = TranslationModel(config, TranslateConfig(), len(source.tokens), len(target.tokens)).eval()
    return Translator(model, source, target, tokens_ratio=1.0)


def test_sentences_keep_their_order_and_empty_ones_stay_empty(translator):
    lines = ["the red dog.", "", "a cat sees the dog.", "  ", *["cat"] * 70]
    found = list(translator.translate(lines, Search(beam=2)))
    assert len(found) == len(lines)
    assert [found[1][0].text, found[3][0].text] == ["", ""]
    alone = [next(translator.translate([line], Search(beam=2)))[0].text for line in lines]
    assert [best.text for best, *_ in found] == alone


def test_n_best_are_different_and_sorted(translator):
    (found,) = translator.translate(["the red dog sees a cat."], Search(beam=4, n_best=3))
    assert len(found) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({tuple(one.target) for one in found}) == 3


def test_a_record_has_a_weight_for_every_pair_of_tokens(translator):
    (found,) = translator.translate(["the zebra"], Search())
    record = found[0].record()
    assert (
        record["source_tokens"] == [" the", "zebra", "<eos>"] or record["source_tokens"][1].strip() == "zebra"
    )
    assert len(record["attention"]) == len(record["target_tokens"])
    assert all(sum(row) == pytest.approx(1, abs=1e-3) for row in record["attention"])


def test_an_unknown_word_is_the_source_word_that_was_looked_at_most(translator):
    source = source_tokens(translator.source, "the Zoe sees", [2, 1, 3, 0])
    names = {name: number for number, name in enumerate(translator.target.tokens)}
    weights = np.array([[0.0, 0.0, 1.0, 0.0], [0.1, 0.3, 0.2, 0.4]], np.float32)
    found = Found([names[" le"], 1], -1.0, -1.0, weights, True)
    assert translator._translation(found, source, True).text == "le Zoe"
    assert translator._translation(found, source, False).text == "le\ufffd"


def test_copies_into_characters_get_no_space(translator):
    other = Translator(translator.model, translator.source, char_tokenizer("我看到"), tokens_ratio=1.0)
    names = {name: number for number, name in enumerate(other.target.tokens)}
    found = Found([names["我"], 1], -1.0, -1.0, np.eye(2, 3, dtype=np.float32), True)
    assert other._translation(found, [" I", " Tom", "<eos>"], True).text == "我Tom"


@pytest.mark.parametrize(
    ("tokenizer", "sentence", "ids", "expected"),
    [
        (word_tokenizer("a b"), "a Z b", [2, 1, 3, 0], [" a", " Z", " b", "<eos>"]),
        (char_tokenizer("ab"), "aZ", [2, 1, 0], ["a", "Z", "<eos>"]),
        (char_tokenizer("ab"), "ab", [2, 3, 0], ["a", "b", "<eos>"]),
    ],
)
def test_source_tokens_stand_as_they_were_written(tokenizer, sentence, ids, expected):
    assert source_tokens(tokenizer, sentence, ids) == expected


def test_the_end_of_a_source_is_never_copied():
    assert most_attended([" a", " b", "<eos>"], np.array([0.1, 0.2, 0.7])) == "b"
    assert most_attended(["<eos>"], np.array([1.0])) == ""


def test_examples_go_from_the_shortest_sentence_to_the_longest_that_has_room(translator):
    sizes = [4, 1, 6, 3, 2, 9, 5]
    references = {" ".join(["cat"] * size): [str(size)] for size in sizes}
    found = translate_examples(translator, references, 3, longest=7)  # with END, so 6 words have room
    assert [example.references for example in found] == [["1"], ["3"], ["6"]]
    (alone,) = translator.translate([found[1].source], Search())
    assert found[1].translation.text == alone[0].text
    assert len(translate_examples(translator, references, 20, longest=7)) == 6
    assert translate_examples(translator, references, 3, longest=1) == []

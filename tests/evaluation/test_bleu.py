import math

import pytest

from seqgen.evaluation.bleu import score_translations, tokenization


def test_equal_translations_score_100_and_name_their_signature():
    sentences = ["The cat sat on the mat.", "A dog ran."]
    score = score_translations(sentences, [[sentence] for sentence in sentences])
    assert (round(score.bleu), round(score.chrf), score.sentences) == (100, 100, 2)
    assert "tok:13a" in score.signatures["bleu"]
    assert "version:" in score.signatures["chrf"]


def test_bleu_is_the_papers_by_hand():
    # Of 7 words, 6 pairs, 5 triples and 4 quadruples 6, 4, 2 and 1 are in the reference, which is longer.
    translation, reference = "a b c d x e f", "a b c d e f g h"
    score = score_translations([translation], [[reference]])
    precision = math.exp(sum(math.log(p) for p in (6 / 7, 4 / 6, 2 / 5, 1 / 4)) / 4)
    assert score.bleu == pytest.approx(100 * math.exp(1 - 8 / 7) * precision, rel=1e-6)


def test_sentences_may_have_different_numbers_of_references():
    references = [["no match here"], ["something else", "the right words are here"]]
    score = score_translations(["no match here", "the right words are here"], references)
    assert score.bleu == pytest.approx(100)


@pytest.mark.parametrize(
    ("reference", "expected"), [("Il pleut.", "13a"), ("我们很好。", "zh"), ("わたしは元気です。", "char")]
)
def test_the_script_decides_what_a_word_is(reference, expected):
    assert tokenization([[reference]]) == expected


def test_missing_references_are_a_mistake():
    with pytest.raises(ValueError, match="2 translations and references of 1 sentences"):
        score_translations(["a", "b"], [["a"]])

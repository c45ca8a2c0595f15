from dataclasses import replace

import pytest

from seqgen.config import ClassifyConfig, build_config
from seqgen.data.examples import as_read, encode_texts, label_names, make_corpus, read_parts
from seqgen.data.labelled import Example
from seqgen.errors import CorpusError

CONFIG = build_config({"task": "classify", "index": {"split": [60, 30, 10]}})


def examples(rows):
    return [Example(text, label, f"a.tsv:{line}") for line, (text, label) in enumerate(rows, 1)]


def parts(train, valid=(), test=()):
    return {"train": examples(train), "valid": examples(valid), "test": examples(test)}


def write(path, count, labels=("a", "b")):
    path.write_text("".join(f"text {n}\t{labels[n % len(labels)]}\n" for n in range(count)))
    return str(path)


def test_texts_are_divided_by_their_content_and_equal_ones_stay_together(tmp_path):
    path = tmp_path / "a.tsv"
    name = write(path, 200)
    path.write_text(path.read_text() * 2)
    config = replace(CONFIG, classify=ClassifyConfig(text_column="1", label_column="2"))
    found = read_parts([name], config, lambda _: None)
    texts = {part: {example.text for example in found[part]} for part in found}
    assert sum(map(len, found.values())) == 400
    assert sum(map(len, texts.values())) == 200
    assert 90 < len(texts["train"]) < 150
    assert min(map(len, texts.values())) > 5


def test_a_part_with_a_file_of_its_own_takes_no_share_of_the_others(tmp_path):
    name, test = write(tmp_path / "a.tsv", 200), write(tmp_path / "test.tsv", 10)
    found = read_parts([name], CONFIG, lambda _: None, test=[test])
    assert [len(found["train"]) + len(found["valid"]), len(found["test"])] == [200, 10]
    both = read_parts([name], CONFIG, lambda _: None, valid=[test], test=[test])
    assert [len(both[part]) for part in ("train", "valid", "test")] == [200, 10, 10]


def test_labels_stand_in_natural_order():
    assert label_names(parts([("x", label) for label in ("10", "9", "b", "1", "a")])) == (
        "1", "9", "10", "a", "b",
    )  # fmt: skip


def test_a_single_label_and_an_empty_class_are_refused():
    with pytest.raises(CorpusError, match="all 2 texts have the label pos; a classifier needs at least two"):
        label_names(parts([("x", "pos"), ("y", "pos")]))
    with pytest.raises(CorpusError, match=r"a\.tsv:1: an empty class, no training text has the label c"):
        label_names(parts([("x", "a"), ("y", "b")], valid=[("z", "c")]))


def test_words_are_the_level_unless_given_and_are_seen_twice():
    corpus = make_corpus(parts([("good good film", "a"), ("film fun", "b")]), CONFIG, lambda _: None)
    assert corpus.config.vocab.level == "word"
    assert list(corpus.tokenizer.tokens) == ["<eos>", "<unk>", " film", " good"]
    assert [ids.tolist() for ids in corpus.parts["train"].ids] == [[3, 3, 2], [2, 1]]
    assert corpus.parts["train"].labels.tolist() == [0, 1]
    given = make_corpus(
        parts([("good good film", "a"), ("film fun", "b")]), CONFIG, lambda _: None, min_count_given=True
    )
    assert len(given.tokenizer.tokens) == 5


def test_a_first_word_is_the_token_that_it_is_elsewhere_and_an_empty_text_is_eos():
    corpus = make_corpus(parts([("film film", "a"), ("film", "b")]), CONFIG, lambda _: None)
    assert [ids.tolist() for ids in encode_texts(["film", "film film", "", "  "], corpus.tokenizer)] == [
        [2],
        [2, 2],
        [0],
        [0],
    ]
    assert as_read("film", "char") == "film"


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_other_levels_encode_texts(level):
    config = build_config({"task": "classify", "vocab": {"level": level, "max_size": None}})
    rows = [("a good film of the year", "a"), ("a bad film of the day", "b")] * 20
    corpus = make_corpus(parts(rows), config, lambda _: None)
    (ids,) = encode_texts(["a good day"], corpus.tokenizer)
    assert corpus.tokenizer.decode(ids).strip() == "a good day"


def test_the_hash_follows_texts_labels_and_parts():
    rows = [("x", "a"), ("y", "b")]
    hashes = {
        make_corpus(found, CONFIG, lambda _: None, min_count_given=True).corpus_hash
        for found in (
            parts(rows),
            parts(rows[::-1]),
            parts(rows, valid=rows[:1]),
            parts([("x", "b"), ("y", "a")]),
        )
    }
    assert len(hashes) == 4

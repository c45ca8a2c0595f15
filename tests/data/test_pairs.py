import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.config import build_config
from seqgen.data.pairs import (
    Pair,
    aligned,
    decode_sentence,
    encode_sentence,
    lengths_of,
    load_pairs,
    read_pairs,
    repeated_targets,
    source_key,
    split_pairs,
    with_references,
)
from seqgen.errors import ConfigError, CorpusError
from tests.data.real import real

WORDS = ["red", "dog", "sees", "two", "cats", "now", "here"]


def rows(count=60):
    return [
        (
            f"The {WORDS[k % 7]} {WORDS[k // 7 % 7]}.",
            f"Le {WORDS[k % 7].upper()} {WORDS[k // 7 % 7].upper()} !",
        )
        for k in range(count)
    ]


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def table(path, pairs=None):
    return write(path, ["\t".join(pair) for pair in pairs or rows()])


def load(tmp_path, pairs=None, notes=None, **values):
    config = build_config(values)
    file = table(tmp_path / "pairs.tsv", pairs)
    return load_pairs([file], config, notify=(notes if notes is not None else []).append)


def test_a_table_and_two_aligned_files_hold_the_same_pairs(tmp_path):
    one = table(tmp_path / "pairs.tsv")
    two = [write(tmp_path / f"text.{n}", [pair[n] for pair in rows()]) for n in (0, 1)]
    expected = [Pair(*pair) for pair in rows()]
    assert read_pairs([one], notify=print) == expected
    assert read_pairs(two, notify=print) == expected


def test_further_columns_are_left_aside_and_that_is_said(tmp_path):
    notes = []
    file = write(tmp_path / "p.tsv", ["Go.\tVa !\tCC-BY #1", "", "Run.\tCours !\tCC-BY #2"])
    assert read_pairs([file], notify=notes.append) == [("Go.", "Va !"), ("Run.", "Cours !")]
    assert notes == [f"{file}: of 3 columns the first two are read as source and target"]


def test_line_ends_byte_order_marks_and_gzip_are_read(tmp_path):
    file = tmp_path / "p.tsv.gz"
    file.write_bytes(gzip.compress("\ufeffGo.\t去。\r\nStop.\t停。\r\n".encode()))
    assert read_pairs([file], notify=print) == [("Go.", "去。"), ("Stop.", "停。")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a\tb", "c"], r"p.tsv, line 2: 1 column; a pair is a source, a TAB and its target"),
        (["a\tb", "", "c\td\te"], r"p.tsv, line 3: 3 columns, where the first row has 2"),
        (["a\tb", "c\t "], r"p.tsv, line 2: the target is empty"),
        (["\tb"], r"p.tsv, line 1: the source is empty"),
        ([], "p.tsv: holds no pairs"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path, lines, message):
    file = write(tmp_path / "p.tsv", lines)
    with pytest.raises(CorpusError, match=message):
        read_pairs([file], notify=print)


def test_aligned_files_of_unequal_length_are_refused(tmp_path):
    files = [write(tmp_path / "a.en", ["x"] * 4), write(tmp_path / "a.fr", ["y"] * 3)]
    with pytest.raises(CorpusError, match=r"a\.en has 4 lines and .*a\.fr has 3; aligned files"):
        read_pairs(files, notify=print)


def test_an_empty_line_of_an_aligned_file_is_told_with_the_file_and_the_line(tmp_path):
    files = [write(tmp_path / "a.en", ["x", "", "y"]), write(tmp_path / "a.fr", ["u", "", ""])]
    with pytest.raises(CorpusError, match=r"a\.fr, line 3: the target is empty"):
        read_pairs(files, notify=print)


def test_bytes_of_another_encoding_and_missing_files_are_told(tmp_path):
    file = tmp_path / "p.tsv"
    file.write_bytes("né\tborn".encode("latin-1"))
    with pytest.raises(CorpusError, match="byte 1: not UTF-8"):
        read_pairs([file], notify=print)
    assert read_pairs([file], encoding="latin-1", notify=print) == [("né", "born")]
    with pytest.raises(CorpusError, match="no such file"):
        read_pairs([tmp_path / "none.tsv"], notify=print)
    with pytest.raises(ConfigError, match="or two aligned ones, not 3"):
        read_pairs([file] * 3, encoding="latin-1", notify=print)


def test_no_source_is_in_two_parts_however_it_is_spelled():
    pairs = [
        Pair(source, f"t{n}") for n in range(5) for k in range(60) for source in (f"Say {k}.", f"say  {k}.")
    ]
    parts = split_pairs(pairs, (60, 20, 20))
    keys = [{source_key(pair.source) for pair in part} for part in parts.values()]
    assert all(keys)
    assert sum(map(len, keys)) == len(set.union(*keys)) == 60
    assert sum(map(len, parts.values())) == len(pairs)


def test_all_translations_of_a_source_are_its_references():
    pairs = [Pair("Go.", "Va !"), Pair("Stop.", "Arrête."), Pair("Go.", "Allez !")]
    assert with_references(pairs) == {"Go.": ["Va !", "Allez !"], "Stop.": ["Arrête."]}


def test_targets_that_training_knows_are_counted():
    parts = {"train": [Pair("a", "x"), Pair("b", "y")], "valid": [Pair("c", "x"), Pair("d", "z")]}
    assert repeated_targets(parts, "valid") == 1


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
def test_sentences_come_back_at_every_level(tmp_path, level):
    corpus = load(tmp_path, vocab={"level": level})
    for pair in corpus.parts["train"]:
        ids = encode_sentence(corpus.target_tokenizer, pair.target)
        assert ids[-1] == 0
        assert decode_sentence(corpus.target_tokenizer, ids) == pair.target


def test_a_word_is_the_same_token_at_the_beginning_and_inside(tmp_path):
    corpus = load(tmp_path, [("red dog", "x"), ("dog red", "y"), ("red red", "z")], vocab={"level": "word"})
    first, second, _ = encode_sentence(corpus.tokenizer, "red red")
    assert first == second != 1


def test_characters_suit_text_without_spaces_and_subwords_other_text(tmp_path):
    chinese = [(source, "我们都很好。") for source, _ in rows()]
    corpus = load(tmp_path, chinese)
    assert (corpus.tokenizer.level, corpus.target_tokenizer.level) == ("subword", "char")
    assert encode_sentence(corpus.target_tokenizer, "我们").size == 3


def test_a_shared_vocabulary_is_one_object_that_knows_both_sides(tmp_path):
    corpus = load(tmp_path, vocab={"level": "word"}, translate={"shared_vocab": True})
    assert corpus.tokenizer is corpus.target_tokenizer
    assert {" The", " Le"} <= set(corpus.tokenizer.tokens)
    with pytest.raises(ConfigError, match="--shared-vocab: source and target have one vocabulary"):
        load(tmp_path, translate={"shared_vocab": True, "target_level": "char"})


def test_levels_and_sizes_of_both_sides_can_differ(tmp_path):
    corpus = load(tmp_path, vocab={"level": "word"}, translate={"target_level": "char", "target_max_size": 9})
    assert corpus.tokenizer.level == "word"
    assert (corpus.target_tokenizer.level, len(corpus.target_tokenizer.tokens)) == ("char", 9)


def test_only_the_training_part_makes_the_vocabulary(tmp_path):
    corpus = load(tmp_path, vocab={"level": "word"}, index={"split": [50, 25, 25]})
    seen = {word for pair in corpus.parts["train"] for word in f" {pair.source}".replace(".", " .").split()}
    assert {token.strip() for token in corpus.tokenizer.tokens[2:]} == seen


def test_the_content_hash_depends_on_pairs_and_vocabularies(tmp_path):
    hashes = {
        load(tmp_path, vocab={"level": "char"}).content_hash,
        load(tmp_path, vocab={"level": "word"}).content_hash,
        load(tmp_path, rows(59), vocab={"level": "char"}).content_hash,
    }
    assert len(hashes) == 3


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=5), st.booleans())
def test_sequences_side_by_side_stay_whole(sequences, at_end):
    arrays = [np.array(ids, dtype=np.int64) for ids in sequences]
    array = aligned(arrays, fill=-1, at_end=at_end)
    assert array.shape == (max(map(len, sequences)), len(sequences))
    for row, ids in enumerate(sequences):
        column = array[:, row].tolist()
        kept = column[len(column) - len(ids) :] if at_end else column[: len(ids)]
        assert kept == ids
        assert column.count(-1) == len(column) - len(ids)
    assert lengths_of(arrays).tolist() == list(map(len, sequences))


def test_parts_that_are_given_as_files_are_those_of_the_corpus(tmp_path):
    valid = table(tmp_path / "valid.tsv", [("The red dog.", "Le chien.")])
    file = table(tmp_path / "pairs.tsv")
    corpus = load_pairs([file], build_config({}), given={"valid": [valid]}, notify=lambda _: None)
    assert corpus.parts == {
        "train": [Pair(*pair) for pair in rows()],
        "valid": [Pair("The red dog.", "Le chien.")],
        "test": [],
    }


def test_real_pairs_divide_by_their_sources():
    pairs = read_pairs([real("anki_pairs/eng_fra_sample.txt")], notify=lambda _: None)
    parts = split_pairs(pairs, (80, 10, 10))
    assert len(pairs) == 5000
    assert [len({source_key(p.source) for p in part}) > 200 for part in parts.values()] == [True] * 3

import numpy as np
import pytest

from seqgen.config import build_config
from seqgen.data.tokenizers import make_tokenizer, ranked_vocab
from seqgen.training.classifying import Classification
from seqgen.training.transfer import extended_tokenizer, rows_of, rows_taken, word_counts

OPTIONS = {"normalize": "nfc", "lowercase": False, "words": "spaces"}
BASE = make_tokenizer(ranked_vocab("word", {" the": 9, " Paris": 4, " film": 3}, options=OPTIONS))


def test_new_words_come_after_those_the_model_knew():
    counts = word_counts([" the film film paris", " paris good good good bad"], BASE)
    assert counts[" film"] == 2
    extended = extended_tokenizer(BASE, counts, min_count=2)
    assert list(extended.tokens) == [*BASE.tokens, " good", " paris"]
    assert extended.encode(" the good bad").tolist() == [2, 5, 1]
    assert extended_tokenizer(BASE, {" film": 5}, min_count=2) is BASE


def test_a_new_word_starts_as_itself_in_another_case_else_as_the_mean():
    extended = extended_tokenizer(BASE, {" good": 3, " paris": 2, " FILM": 2}, min_count=2)
    assert list(extended.tokens[5:]) == [" good", " FILM", " paris"]
    rows = rows_of(extended, BASE)
    paris, film = BASE.tokens.index(" Paris"), BASE.tokens.index(" film")
    assert rows.tolist() == [0, -1, 2, 3, 4, -1, film, paris]  # nothing was ever unknown to the model
    array = np.arange(15, dtype=np.float32).reshape(5, 3)
    taken = rows_taken(array, rows)
    assert taken[7].tolist() == array[paris].tolist()
    assert taken[5].tolist() == array.mean(axis=0).tolist()
    assert rows_taken(array[:, 0], rows).shape == (8,)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("head.weight", 0),
        ("reader.reverse.0.weight_ih", 0),
        ("reader.encoder.1.weight_hh", 1),
        ("reader.encoder.0.bias_ih", 2),
        ("embedding.weight", 3),
    ],
)
def test_layers_wake_up_from_the_top_each_at_a_share_of_the_rate_above(name, depth):
    classify = {"rate_decay": 0.5, "unfreeze_epochs": 2, "labels": ["a", "b"]}
    objective = Classification.__new__(Classification)
    objective.config = build_config({"model": {"layers": 2, "cell": "lstm"}, "classify": classify})
    assert objective.rate_share(name, 2.0 * depth) == 0.5**depth
    if depth:
        assert objective.rate_share(name, 2.0 * depth - 0.01) == 0.0

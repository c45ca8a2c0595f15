import numpy as np
import pytest

from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.errors import ArtifactError, TokenError
from seqgen.inspection.neighbours import find_token, flat_map, learned_vectors, most_frequent, nearest
from tests.sampling.models import char_tokenizer, write_model


def test_the_nearest_are_those_of_the_least_angle_whatever_their_length():
    vectors = np.array([[1, 0], [1, 0], [2, 0], [9, 1], [0, 3], [-1, 0], [1, 1]], float)
    assert [token for token, _ in nearest(vectors, 2, 3)] == [3, 6, 4]
    assert nearest(vectors, 2, 9)[-1] == (5, -1.0)


def test_a_flat_map_keeps_a_flat_cloud():
    draw = np.random.default_rng(0)
    flat = draw.normal(size=(9, 2)) @ draw.normal(size=(2, 5))
    points, share = flat_map(flat)
    assert share == pytest.approx(1.0)
    distances = [np.linalg.norm(array[:, None] - array, axis=2) for array in (points, flat)]
    np.testing.assert_allclose(*distances)


def test_a_word_that_is_no_token_is_refused_with_similar_ones():
    tokenizer = char_tokenizer()
    assert tokenizer.tokens[find_token(tokenizer, "c")] == "c"
    with pytest.raises(TokenError, match="WORD is empty"):
        find_token(tokenizer, "")  # though a space alone is a token
    with pytest.raises(TokenError, match=r"'cat' is no token of this model, which has char tokens"):
        find_token(tokenizer, "cat")


def word_tokenizer(*words):
    options = {"normalize": "nfc", "lowercase": False, "words": "words"}
    return make_tokenizer(Vocab(level="word", modality="text", tokens=(EOS, UNK, *words), options=options))


def test_a_word_is_found_without_the_space_that_is_mostly_before_it():
    tokenizer = word_tokenizer(" the", " king", "king", " kings")
    assert [find_token(tokenizer, word) for word in ("king", "King", " king", "the")] == [3, 3, 3, 2]
    with pytest.raises(TokenError, match=r"near: kings?, kings?$"):
        find_token(tokenizer, "kingz")


def test_a_map_leaves_out_the_bytes_that_stand_before_the_pieces():
    names = ["<eos>", "<unk>", "<0x00>", "<0xFF>", "▁the", "ing", "<"]
    assert most_frequent(names, 2) == [4, 5]
    assert most_frequent(names, 9) == [4, 5, 6]
    assert most_frequent(names[:4], 9) == [2, 3]


def test_one_hot_tokens_have_no_neighbours(tmp_path):
    artifact = write_model(tmp_path / "model")
    assert learned_vectors(artifact).shape == (10, 5)
    weights = artifact.weights()
    del weights["embedding.weight"]
    with pytest.raises(ArtifactError, match="one-hot"):
        learned_vectors(write_model(tmp_path / "one-hot", weights=weights))

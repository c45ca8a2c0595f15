import numpy as np
import pytest

from seqgen.data.folds import Fold, parse_fold
from seqgen.errors import ConfigError


@pytest.mark.parametrize("count", [12, 13, 2])
def test_folds_share_a_stream_among_them(count):
    tokens, of = np.arange(count), 3
    folds = [Fold(number, of) for number in range(1, of + 1)]
    spans = [fold.span(count) for fold in folds]
    assert np.concatenate([tokens[begin:stop] for begin, stop in spans]).tolist() == tokens.tolist()
    for fold, (begin, stop) in zip(folds, spans, strict=True):
        assert fold.left_out(tokens).tolist() == [token for token in tokens if not begin <= token < stop]


def test_a_fold_is_read_as_it_is_written():
    assert str(parse_fold("2/4")) == "2/4"


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/1", "-1/4", "2/4/8", "a/b", "1 / 4"])
def test_what_is_no_fold_is_refused(text):
    with pytest.raises(ConfigError, match=r"training.fold = .*: expected K/N, such as 2/4"):
        parse_fold(text)

import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.networks.memory import NumberAnswers, TokenAnswers

T, B, A, V, E, H, N = 7, 3, 2, 11, 5, 6, 4
CELLS = ["rnn", "gru", "lstm", "window", "bow"]


def config(cell):
    torch.manual_seed(0)
    return ModelConfig(cell=cell, layers=1, embedding_size=E, hidden_size=H, context=N, dropout=0.0)


@pytest.mark.parametrize("cell", CELLS)
def test_tokens_are_asked_in_the_last_steps_alone(cell):
    model = TokenAnswers(config(cell), V)
    draw = torch.Generator().manual_seed(1)
    inputs, answers = (torch.randint(1, V, (count, B), generator=draw) for count in (T, A))
    features, _ = model(inputs, model.initial_state(B), torch.zeros(T, B, dtype=torch.bool))
    logits = features[-A:] @ model.head.weight.t() + model.head.bias
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, V), answers.reshape(-1))
    torch.testing.assert_close(model.answer_loss(inputs, answers), expected)
    assert model.are_right(inputs, logits.argmax(2)).all()
    assert not model.are_right(inputs, logits.argmin(2)).any()


@pytest.mark.parametrize("cell", CELLS)
def test_numbers_are_read_as_the_vectors_they_are(cell):
    """A table of all vectors, looked up in order, is the vectors: as a table of few, looked up often."""
    model = NumberAnswers(config(cell), size=2, tolerance=0.1)
    table = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    reads = torch.randint(0, 4, (T, B), generator=torch.Generator().manual_seed(2))
    resets = torch.zeros(T, B, dtype=torch.bool)
    features, _ = model.encoder(reads, model.encoder.initial_state(B), resets, embedding=table)
    found = features[-1] @ model.weight + model.bias
    inputs = table[reads]
    assert model.are_right(inputs, found.unsqueeze(0) + 0.09).all()
    assert not model.are_right(inputs, found.unsqueeze(0) + 0.11).any()
    torch.testing.assert_close(model.answer_loss(inputs, found.unsqueeze(0) + 2), torch.tensor(4.0))

import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.networks.tasks import LanguageModel


@pytest.fixture
def model():
    """A GRU of random weights, wide enough spread that its predictions differ from token to token."""
    torch.manual_seed(3)
    net = LanguageModel(ModelConfig(layers=2, embedding_size=5, hidden_size=9, dropout=0.5), 7)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.5)
    return net

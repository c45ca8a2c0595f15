import numpy as np
import pytest
import torch

from seqgen.config import ModelConfig
from seqgen.errors import ConfigError
from seqgen.inspection.gates import read_gates
from seqgen.networks.tasks import LanguageModel
from seqgen.networks.unrolled import gate_saturation, saturated_share, unroll

T, B, V, E, H = 9, 3, 11, 5, 6


def model(cell, **options):
    torch.manual_seed(0)
    options = {"embedding_size": E, **options}
    return LanguageModel(ModelConfig(cell=cell, hidden_size=H, **options), V).eval()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_steps_are_those_of_training(cell):
    net = model(cell)
    tokens = torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(1))
    tokens[4, 1] = 0
    features, state = net(tokens, net.initial_state(B), tokens == 0)
    steps = list(unroll(net, tokens))
    found = torch.stack([layers[-1].hidden for layers in steps]).float()
    torch.testing.assert_close(found, features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(steps[-1][0].memory.float(), state[0][-1], rtol=1e-4, atol=1e-5)


def test_the_gates_of_an_lstm_make_its_cell_state():
    readings = read_gates(model("lstm"), [3, 7, 7, 1])
    assert [sorted(layer) for layer in readings.gates] == [["forget", "input", "output"]] * 2
    assert readings.values[1].shape == readings.gates[1]["forget"].shape == (4, H)


def test_a_cell_that_writes_keeps_and_reads_is_seen_to():
    """The memory cell of the textbooks: token 2 writes, 3 keeps, 4 reads out, 5 clears."""
    net = LanguageModel(ModelConfig(cell="lstm", layers=1, embedding="one-hot", hidden_size=1), 6).eval()
    large = 20.0
    rows = {  # by gate, for tokens <eos>, <unk>, write, keep, read, clear
        "input": [-large, -large, large, -large, -large, -large],
        "forget": [-large, -large, -large, large, large, -large],
        "candidate": [0.0, 0.0, large, 0.0, 0.0, 0.0],
        "output": [-large, -large, -large, -large, large, -large],
    }
    layer = net.encoder[0]
    with torch.no_grad():
        layer.weight_ih.copy_(torch.tensor(list(rows.values())))
        layer.weight_hh.zero_()
    states = [step[0] for step in unroll(net, torch.tensor([[2], [3], [3], [4], [5], [4]]))]
    assert [round(step.memory.item(), 4) for step in states] == [1, 1, 1, 1, 0, 0]
    assert [round(step.hidden.item(), 4) for step in states] == [0, 0, 0, 0.7616, 0, 0]
    assert [round(step.gates["forget"].item()) for step in states] == [0, 1, 1, 1, 0, 1]


def test_gates_are_saturated_near_their_ends_alone():
    net, tokens = model("lstm", layers=1), torch.randint(1, V, (T, B))
    layer = net.encoder[0]
    with torch.no_grad():
        layer.weight_ih.zero_()
        layer.weight_hh.zero_()
        layer.bias_ih.copy_(torch.tensor([3.0, -3.0, 0.0, 2.0]).repeat_interleave(H))  # i, f, g, o
    assert gate_saturation(net, tokens) == {"input": 1.0, "forget": 1.0, "output": 0.0}
    stream = np.random.default_rng(0).integers(1, V, 300).astype(np.uint8)
    assert saturated_share(net, stream) == round(2 / 3, 4)


@pytest.mark.parametrize("options", [{"cell": "rnn"}, {"cell": "bow"}, {"cell": "gru", "layer_norm": True}])
def test_cells_without_gates_in_sight_and_short_streams_have_no_share(options):
    stream = np.random.default_rng(0).integers(1, V, 300).astype(np.uint8)
    options = {"embedding_size": H, **options} if "layer_norm" in options else options
    assert saturated_share(model(**options), stream) is None
    assert saturated_share(model("gru"), stream[:100]) is None


@pytest.mark.parametrize("options", [{"cell": "window"}, {"cell": "lstm", "layer_norm": True}])
def test_other_cells_are_refused(options):
    with pytest.raises(ConfigError, match="only plain lstm, gru and rnn"):
        read_gates(model(**options), [2])

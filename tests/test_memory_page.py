"""The memory cell of docs/memory.md, run as it stands there."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from seqgen.artifacts import load_artifact
from seqgen.cli.app import run
from seqgen.evaluation import restore_model

PAGE = Path(__file__).parents[1] / "docs" / "memory.md"


@pytest.fixture
def cell(tmp_path, monkeypatch, capsys):
    """Run the code in a folder of its own; return the folder and what it printed."""
    monkeypatch.chdir(tmp_path)
    code, shown = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE.read_text("utf-8"), re.S).groups()
    (tmp_path / "cell.py").write_text(code, encoding="utf-8")
    runpy.run_path(str(tmp_path / "cell.py"))
    assert capsys.readouterr().out == shown
    return tmp_path / "cell"


def test_the_cell_writes_keeps_and_reads_a_bit_in_the_sampler(cell, capsys):
    for bit in "01":
        prompt = bit + 1000 * "." + "?"
        options = ["--prompt", prompt, "--length", "1", "--temperature", "0"]
        assert run(["sample", str(cell), *options]) == 0
        assert capsys.readouterr().out.strip() == prompt + bit
        assert run(["sample", str(cell), "--prompt", bit + "...", "--length", "1", "--temperature", "0"]) == 0
        assert capsys.readouterr().out.strip() == bit + "...."  # nobody asked


def test_the_cell_keeps_a_bit_in_the_kernels_of_training_and_writes_over_it(cell):
    artifact = load_artifact(cell)
    network = restore_model(artifact, "cpu")
    texts = ["1" + 1000 * "." + "?", "0" + 1000 * "." + "?", "1" + 500 * "." + "0" + 499 * "." + "?"]
    tokens = torch.stack([torch.from_numpy(artifact.tokenizer.encode(text).astype(int)) for text in texts], 1)
    resets = torch.zeros(tokens.shape, dtype=torch.bool)
    with torch.inference_mode():
        features, ((_, memory),) = network(tokens, network.initial_state(3), resets)
    assert memory.flatten().tolist() == pytest.approx([1, -1, -1], abs=1e-4)
    assert features[-1].flatten().tolist() == pytest.approx([0.7616, -0.7616, -0.7616], abs=1e-4)
    assert features[:-1].abs().max() < 1e-6  # the output gate is shut until it is asked

import json
from pathlib import Path

import pytest
import torch

from seqgen.cli.app import run
from seqgen.cli.prompts import standard_input
from tests.cli.test_replay import edit, said
from tests.sampling.models import write_model

PYDOC = Path(__file__).parents[2] / "models" / "pydoc"
FIDDLE = PYDOC.with_name("fiddle")
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture
def call(capfdbinary):
    """Return a function that runs a command and gives its exit code, stdout and stderr."""

    def called(*arguments):
        code = run([*map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    return called


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "letters", end=-1.0).path


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        (PYDOC, ["-n", 3, "--prompt", "The ", "--length", 200]),
        (PYDOC, ["-n", 2, "--regex", "[A-Z][a-z]+( [a-z]+){2,4}[.]", "--json", "--top-p", 0.9]),
        (PYDOC, ["-n", 2, "--best-of", 3, "--length", 60, "--stop", "\n"]),
        (PYDOC, ["--beam", 4, "--n-best", 2, "--length", 20]),
        (FIDDLE, ["-n", 2, "--key", "D", "--meter", "6/8", "--bars", 8]),
    ],
    ids=str,
)
def test_torch_writes_what_exact_weights_write(call, model, arguments):
    expected = call("sample", model, "--seed", 5, "--exact", *arguments)
    assert expected[0] == 0
    assert expected[1]
    found = call("sample", model, "--seed", 5, "--device", "cpu", *arguments)
    if "--json" not in arguments:
        assert found[:2] == expected[:2]  # stderr may tell that the sampler is compiled
        return
    for line, other in zip(found[1].splitlines(), expected[1].splitlines(), strict=True):
        record, wanted = json.loads(line), json.loads(other)
        assert record.pop("logprob_nats") == pytest.approx(wanted.pop("logprob_nats"), abs=1e-3)
        assert record == wanted


def test_exact_may_be_asked_for_as_well(call, model):
    given = ["sample", model, "--seed", 5, "--length", 30, "--device", "cpu"]
    assert call(*given, "--exact") == call(*given)


def test_a_conversation_is_held_by_torch_too(call, model):
    given = ["sample", model, "--interactive", "--seed", 2, "--length", 10]
    found = []
    for option in (["--exact"], ["--device", "cpu"]):
        with standard_input(b"bad\n\ncab\n"):
            found.append(call(*given, *option))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("abacus", "unknown; use auto, cpu, cuda or mps"),
        pytest.param("cuda", "not found on this machine; use --device auto or cpu", marks=needs_no_gpu),
    ],
)
def test_a_device_that_is_not_there_is_refused(call, model, tmp_path, device, message):
    text = tmp_path / "text"
    code, out, err = call("sample", model, "--device", device, "-o", text)
    assert (code, out, err) == (1, b"", f"seqgen: error: --device {device}: {message}\n")
    assert not text.exists()


def test_a_receipt_names_the_device_and_the_batch_size_and_replay_takes_them(call, model, tmp_path):
    receipt = tmp_path / "r.json"
    code, out, _ = call("sample", model, "-n", 5, "--length", 30, "--device", "cpu", "--receipt", receipt)
    record = json.loads(receipt.read_text())
    assert (code, record["settings"]["device"], record["settings"]["batch_size"]) == (0, "cpu", 256)
    assert record["machine"]["torch"] == torch.__version__
    assert record["machine"]["device"].startswith("cpu, ")
    assert call("replay", receipt) == (0, out, said(5))
    edit(receipt, settings__seed=99)
    code, out, err = call("replay", receipt)
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert err.endswith("; --device cpu repeats itself at the same --batch-size, 256 in the receipt\n")


def test_what_auto_came_to_is_in_the_receipt(call, model, tmp_path):
    receipt = tmp_path / "r.json"
    assert call("sample", model, "--length", 5, "--device", "auto", "--receipt", receipt)[0] == 0
    assert json.loads(receipt.read_text())["settings"]["device"] in ("cpu", "cuda", "mps")


@needs_no_gpu
def test_a_receipt_of_a_device_that_is_not_here_is_refused(call, model, tmp_path):
    receipt = tmp_path / "r.json"
    call("sample", model, "--length", 5, "--device", "cpu", "--receipt", receipt)
    edit(receipt, settings__device="cuda")
    assert call("replay", receipt) == (
        1,
        b"",
        f"seqgen: error: {receipt}: made with --device cuda, which this machine does not have; "
        "replay it where there is one\n",
    )


def test_without_a_device_a_receipt_names_none(call, model, tmp_path):
    receipt = tmp_path / "r.json"
    call("sample", model, "--length", 5, "--receipt", receipt)
    record = json.loads(receipt.read_text())
    assert record["settings"]["device"] is None
    assert not {"torch", "device"} & record["machine"].keys()

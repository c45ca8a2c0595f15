import subprocess
import sys

import pytest
import torch

from seqgen.config import build_config
from seqgen.training.memory import in_words, memory_needed, process_bytes, training_bytes


def estimate(*, rows=64, steps=64, vocab_size=65, parameters=700_000, **model):
    config = build_config({"model": {"cell": "lstm", "hidden_size": 256, **model}})
    return training_bytes(
        config,
        vocab_size=vocab_size,
        parameters=parameters,
        rows=rows,
        steps=steps,
        precision=torch.bfloat16,
    )


@pytest.mark.parametrize(
    "more",
    [
        {"rows": 256},
        {"steps": 256},
        {"vocab_size": 9000},
        {"parameters": 1_000_000},
        {"layers": 3},
        {"hidden_size": 257},
    ],
)
def test_whatever_grows_takes_more_memory(more):
    assert estimate(**more) > estimate()


def test_counting_ngrams_takes_memory_by_the_token():
    def needed(share, tokens):
        config = build_config({"training": {"ngram_smoothing": share}})
        return memory_needed(config, vocab_size=65, rows=8, steps=32, tokens=tokens)

    assert needed(0.0, 20_000_000) - needed(0.0, 1_000) < 1e8  # the process may have grown meanwhile
    assert needed(0.3, 20_000_000) - needed(0.3, 1_000) > 1.5e9


def test_memory_of_models_that_were_tried_out_serves_again():
    config, present = build_config({"model": {"hidden_size": 8, "layers": 1}}), process_bytes()
    sizes = {"vocab_size": 65, "rows": 1, "steps": 1}
    fresh = memory_needed(config, **sizes)
    assert memory_needed(config, **sizes, held=present + 10**9) == pytest.approx(fresh + 10**9, abs=1e8)
    assert present <= memory_needed(config, **sizes, held=-(10**12)) < fresh


@pytest.mark.parametrize("vocab_size", [65, 9000])
def test_a_longer_context_takes_more_memory(vocab_size):
    short, long = (estimate(cell="window", context=size, vocab_size=vocab_size) for size in (4, 40))
    assert long > short


def test_bytes_are_told_as_people_read_them():
    assert (in_words(123_456_789), in_words(1_234_567_890)) == ("123 MB", "1.2 GB")


PROGRAM = """
import sys
from pathlib import Path
import torch
from seqgen.config import build_config
from seqgen.kernels.recurrent import choose_precision
from seqgen.networks.tasks import LanguageModel
from seqgen.training.loop import Trainer
from seqgen.training.memory import process_bytes, training_bytes
from tests.corpora import MemoryCorpus, sentences

config = build_config({"model": {"cell": "lstm", "hidden_size": 512}, "training": {"bptt": 100, "epochs": 1}})
corpus = MemoryCorpus(sentences(3000))
vocab_size = len(corpus.tokenizer.tokens)
with torch.device("meta"):
    parameters = LanguageModel(config.model, vocab_size).parameter_count()
told = process_bytes() + training_bytes(
    config, vocab_size=vocab_size, parameters=parameters, rows=64, steps=100,
    precision=choose_precision(torch.device("cpu")),
)
for _ in Trainer(corpus, config, path=Path(sys.argv[1]), source={}).steps():
    pass
print(told / process_bytes())
"""


@pytest.mark.slow
def test_memory_told_before_training_is_right_within_a_fifth(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "model")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 0.8 < float(done.stdout) < 1.2

"""Model directories with random weights, for tests of sampling."""

from pathlib import Path

import numpy as np

from seqgen.artifacts import load_artifact, write_artifact
from seqgen.config import build_config
from seqgen.data.tokenizers import make_tokenizer
from seqgen.data.vocab import EOS, UNK, Vocab
from seqgen.music.encodings import note_encoding
from seqgen.music.read import MusicUnit, parse_unit
from tests.kernels.plain_decode import random_weights

ALPHABET = "abcde .\n"
TUNE = "X:1\nT:A reel\nM:4/4\nL:1/8\nK:D\n|: ABcd e2f2 | gfed c4 :| d8 |]\n"


def char_tokenizer(alphabet=ALPHABET):
    tokens = (EOS, UNK, *alphabet)
    return make_tokenizer(Vocab(level="char", modality="text", tokens=tokens, options={"normalize": "nfc"}))


def note_tokenizer(pieces, notes="melody", **parameters):
    """Return a tokenizer that knows the tokens of some pieces."""
    encoding = note_encoding(notes, parameters)
    known = dict.fromkeys(token for piece in pieces for token in encoding.encode(piece))
    options = {"notes": notes, "parameters": encoding.parameters()}
    return make_tokenizer(Vocab(level="note", modality="music", tokens=(EOS, UNK, *known), options=options))


def abc_piece(abc):
    return parse_unit(MusicUnit(Path("tune.abc"), text=abc))


def write_model(path, tokenizer=None, *, cell="lstm", end=0.0, config=None, weights=None, seed=0):
    """Write a model whose network is random; `end` is added to the logit of EOS."""
    tokenizer = tokenizer or char_tokenizer()
    if weights is None:
        weights = random_weights(cell, vocab=len(tokenizer.tokens), hidden=16, seed=seed)
        weights["head.bias"][0] += end
    values = {"model": {"cell": cell, "layers": 2, "hidden_size": 16, "embedding_size": 5}, **(config or {})}
    write_artifact(
        path,
        config=build_config(values),
        weights=weights,
        tokenizer=tokenizer,
        history=[],
        source={"corpus": ["letters.txt"], "corpus_hash": "x", "index_hash": "y"},
        scores={},
        card="# letters\n",
    )
    return load_artifact(path)


def spelling_weights(tokenizer, content, *, again=False):
    """Return the weights of a network that says its content, then EOS, or its content over and over.

    Unit s of its one layer is +1 at step s and -1 otherwise: EOS, or the last unit, lights the first one, and
    each lights the next.
    """
    ids = tokenizer.encode(content).tolist() + [0] * (not again)
    vocab, steps = len(tokenizer.tokens), len(ids)
    shapes = random_weights("rnn", vocab=vocab, embedding=1, hidden=steps, layers=1)
    weights = {name: np.zeros_like(array) for name, array in shapes.items()}
    weights["embedding.weight"][0] = 1
    weights["encoder.0.weight_ih"][0] = 40
    weights["encoder.0.weight_hh"][:] = 40 * np.eye(steps, k=-1)
    weights["encoder.0.weight_hh"][0, -1] = 40 * again
    weights["encoder.0.bias_ih"][:] = -20
    for step, token in enumerate(ids):
        weights["head.weight"][token, step] = 20
        weights["head.bias"][token] += 20
    return weights

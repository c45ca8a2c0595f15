"""Small corpora in memory for the tests of training and evaluation."""

import random
from collections import Counter

import numpy as np

from seqgen.data.tokenizers import make_tokenizer, ranked_vocab

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "rat", "run", "to", "its", "den"]


def sentences(count, seed=0):
    """Return `count` documents with enough structure for a small model to learn."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 9))) + "." for _ in range(count)]


class MemoryCorpus:
    """An index that was never written: every tenth document validates."""

    def __init__(self, documents):
        self.parts = {
            "train": [text for k, text in enumerate(documents) if k % 10],
            "valid": documents[::10],
            "test": [],
        }
        counts = Counter("".join(self.parts["train"]))
        options = {"normalize": "nfc", "lowercase": False}
        self.tokenizer = make_tokenizer(ranked_vocab("char", counts, options=options))
        self.content_hash = f"memory-{hash(tuple(documents))}"
        self.corpus_hash = self.content_hash

    def _encoded(self, part):
        return [np.append(self.tokenizer.encode(text), 0) for text in self.parts[part]]

    def tokens(self, part):
        return np.concatenate([np.zeros(0, np.uint8), *self._encoded(part)]).astype(np.uint8)

    def documents(self, part):
        return np.cumsum([0, *map(len, self._encoded(part))])

    def counts(self, part):
        text = self.parts[part]
        size = sum(map(len, text))
        return {
            "tokens": size + len(text), "documents": len(text), "chars": size, "bytes": size,
            "notes": 0, "unknown": 0,
        }  # fmt: skip

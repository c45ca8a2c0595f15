"""Labelled texts as a corpus for training: parts, vocabulary, and token ids with the numbers of labels.

At the levels word and subword a text is read with one space before it, so that its first word is the token
that the word is elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from zlib import crc32

import numpy as np

from seqgen.config import Config, VocabConfig
from seqgen.data.batches import Integers
from seqgen.data.blocks import block_of
from seqgen.data.building import build_text_tokenizer
from seqgen.data.index import PARTS
from seqgen.data.labelled import Example, Notify, read_labelled
from seqgen.data.split import PartBlock, assign_parts
from seqgen.data.tokenizers import Ids, Tokenizer
from seqgen.data.vocab import canonical_hash
from seqgen.errors import ConfigError, CorpusError

_MIN_COUNT = 2
"""A word seen once teaches a classifier nothing; as unknown it teaches what unknown words are like."""


@dataclass(frozen=True)
class Part:
    """Examples as numbers.

    Attributes:
        ids: The tokens of each text; at least one.
        labels: The number of each label, (N,).
    """

    ids: list[Ids]
    labels: Integers

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Integers:
        """The tokens of each text, (N,)."""
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)


@dataclass(frozen=True)
class LabelledCorpus:
    """What a classifier is trained, validated and tested on.

    Attributes:
        config: With level, least count and labels settled.
        parts: By name: train, valid, test; a part may be empty.
        corpus_hash: sha256 over the texts and labels of all parts.
    """

    config: Config
    tokenizer: Tokenizer
    parts: Mapping[str, Part]
    corpus_hash: str


def read_parts(
    names: Sequence[str],
    config: Config,
    notify: Notify,
    *,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
) -> dict[str, list[Example]]:
    """Read labelled texts and divide them.

    Args:
        names: Tables or folders.
        config: Names columns, and the shares of parts that come without files of their own.
        notify: Called with one line on each choice made for the user.
        valid: Tables or folders that validate; without them a share of the others does.
        test: Likewise.
    """
    parts = {"train": read_labelled(names, config, notify), "valid": [], "test": []}
    for part, given in (("valid", valid), ("test", test)):
        if given:
            parts[part] = read_labelled(given, config, notify)
    shares = [share * (not parts[part]) for share, part in zip(config.index.split, PARTS, strict=True)]
    shares[0] = config.index.split[0]
    if not any(shares[1:]):
        return parts
    assigned = assign_parts([crc32(example.text.encode()) for example in parts["train"]], shares)
    everything, parts["train"] = parts["train"], []
    for example, number in zip(everything, assigned, strict=True):
        parts[PARTS[number]].append(example)
    return parts


def label_names(parts: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
    """Return the labels of the training part in their natural order.

    Raises:
        CorpusError: If there is but one, or another part has one that training never sees.
    """
    counts = Counter(example.label for example in parts["train"])
    if len(counts) == 1:
        (only,) = counts
        raise CorpusError(
            f"all {counts[only]:,} texts have the label {only}; a classifier needs at least two"
        )
    for part in PARTS[1:]:
        for example in parts[part]:
            if example.label not in counts:
                raise CorpusError(
                    f"{example.place}: an empty class, no training text has the label {example.label}"
                )
    return tuple(
        sorted(counts, key=lambda label: (not label.isdecimal(), len(label) * label.isdecimal(), label))
    )


def make_corpus(
    parts: Mapping[str, Sequence[Example]],
    config: Config,
    notify: Notify,
    *,
    tokenizer: Tokenizer | None = None,
    min_count_given: bool = False,
) -> LabelledCorpus:
    """Encode labelled texts.

    Args:
        parts: From `read_parts`.
        config: What the vocabulary is to be; `auto` is the level word, whose words are to be seen twice.
        notify: Called with one line on each choice made for the user.
        tokenizer: Use this instead of a vocabulary made from the training part.
        min_count_given: Whether the user decided the least count.
    """
    labels = label_names(parts)
    if tokenizer is None:
        config = replace(config, vocab=_settled(config, min_count_given))
        tokenizer = make_vocabulary([example.text for example in parts["train"]], config, notify)
    else:
        config = replace(config, vocab=replace(config.vocab, level=tokenizer.level))  # type: ignore[arg-type]
    config = replace(config, classify=replace(config.classify, labels=labels))
    encoded = {name: encode_part(part, tokenizer, labels) for name, part in parts.items()}
    return LabelledCorpus(config, tokenizer, encoded, corpus_hash(parts))


def _settled(config: Config, min_count_given: bool) -> VocabConfig:
    vocab = config.vocab
    if vocab.level == "auto":
        vocab = replace(vocab, level="word")
    if vocab.level == "note":
        raise ConfigError("--level note: classifiers read text; use char, byte, word or subword")
    if vocab.level == "word" and not min_count_given:
        vocab = replace(vocab, min_count=_MIN_COUNT)
    return vocab


def make_vocabulary(texts: Sequence[str], config: Config, notify: Notify) -> Tokenizer:
    """Build the vocabulary of texts at a settled level."""
    level = config.vocab.level
    data = [as_read(text, level).encode("utf-8", "replace") for text in texts]

    def blocks() -> Iterator[PartBlock]:
        block = block_of(data)
        whole = np.ones(len(data), dtype=bool)
        yield PartBlock(block.data, block.starts, block.ends, np.zeros(len(data), np.uint8), whole, whole)

    return build_text_tokenizer(
        blocks,
        config.vocab,
        level,
        size=sum(map(len, data)),
        origin={"documents": len(data)},
        notify=notify,
    )


def as_read(text: str, level: str) -> str:
    """Return a text as it is encoded at a level."""
    return f" {text.strip()}" if level in ("word", "subword") else text


def encode_texts(texts: Iterable[str], tokenizer: Tokenizer) -> list[Ids]:
    """Return the ids of each text; those of an empty one are EOS alone."""
    empty = np.array([tokenizer.eos_id], dtype=np.uint32)
    encoded = [tokenizer.encode(as_read(text, tokenizer.level)) if text.strip() else empty for text in texts]
    return [ids if len(ids) else empty for ids in encoded]


def encode_part(examples: Sequence[Example], tokenizer: Tokenizer, labels: Sequence[str]) -> Part:
    """Encode examples whose labels are all known."""
    numbers = {label: number for number, label in enumerate(labels)}
    ids = encode_texts([example.text for example in examples], tokenizer)
    return Part(ids, np.array([numbers[example.label] for example in examples], dtype=np.int64))


def corpus_hash(parts: Mapping[str, Sequence[Example]]) -> str:
    """Return the sha256 over the texts and labels of all parts, in order."""
    digest = sha256()
    for name in PARTS:
        digest.update(canonical_hash([name, *([e.label, e.text] for e in parts[name])]).encode())
    return digest.hexdigest()

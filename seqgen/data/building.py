"""Vocabularies from corpora. Symbols are counted in the training part alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from seqgen.config import VocabConfig
from seqgen.data.encoding import WORTH_COMPILING, in_threads, piece_texts
from seqgen.data.split import PartBlock
from seqgen.data.subwords import DEFAULT_SIZE, train_subwords
from seqgen.data.tokenizers import Tokenizer, byte_vocab, make_tokenizer, prepare, ranked_vocab
from seqgen.data.vocab import Vocab
from seqgen.data.words import cut_words, is_split_at_spaces
from seqgen.errors import ConfigError, TokenError

Notify = Callable[[str], None]

_SUBWORD_SAMPLE_BYTES = 16_000_000
"""Training text for subwords: more takes minutes and finds the same pieces."""
_LOOKED_AT_CHARS = 1_000_000
_FLAGS = {
    "velocities": "--without velocity",
    "programs": "--without program",
    "tempos": "--without tempo",
    "pedals": "--with pedal",
    "chords": "--with chord",
}


def build_text_tokenizer(
    blocks: Callable[[], Iterator[PartBlock]],
    config: VocabConfig,
    level: str,
    *,
    size: int,
    origin: Mapping[str, Any],
    notify: Notify,
) -> Tokenizer:
    """Build the vocabulary of a text corpus.

    Args:
        blocks: Reads the blocks of the corpus from the start, as often as it is called.
        config: What the vocabulary is to be.
        level: `char`, `byte`, `word` or `subword`.
        size: Bytes of the corpus.
        origin: What to note about the corpus in the vocabulary.
        notify: Called with one line on each choice made for the user.

    Raises:
        ConfigError: If an option makes no sense at this level.
        TokenError: If the training part is empty, or leaves no room in a vocabulary of that size.
    """
    check_options(config, level)

    def train() -> Iterator[PartBlock]:
        return (part for block in blocks() if (part := block.of_part(0)) is not None)

    if level == "byte":
        return make_tokenizer(byte_vocab())
    if level == "subword":
        return make_tokenizer(_build_subwords(train(), config, size, origin, notify))
    options: dict[str, Any] = {"normalize": config.normalize, "lowercase": config.lowercase}
    if level == "word":
        spaced = is_split_at_spaces(_beginning(train()))
        options["words"] = "spaces" if spaced else "words"
        if spaced:
            notify("the text is already split at spaces: every word is taken as it stands")
    counts = _count(train(), level, options, size)
    if not counts:
        raise TokenError("the training part is empty; give it a larger share with --split")
    return make_tokenizer(trimmed_vocab(level, counts, config, options=options, origin=origin))


def check_options(config: VocabConfig, level: str) -> None:
    """Refuse options that a level would silently ignore.

    Raises:
        ConfigError: Naming the option.
    """
    defaults = VocabConfig()
    levels = {
        "lowercase": ("char", "word", "subword"),
        "min_count": ("char", "word", "note"),
        "max_size": ("char", "word", "subword", "note"),
        "subword": ("subword",),
        "notes": ("note",),
        "grid": ("note",),
        "velocities": ("note",),
        "programs": ("note",),
        "tempos": ("note",),
        "pedals": ("note",),
        "chords": ("note",),
        "merges": ("note",),
    }
    for option, allowed in levels.items():
        if level not in allowed and getattr(config, option) != getattr(defaults, option):
            flag = _FLAGS.get(option, "--" + option.replace("_", "-"))
            raise ConfigError(f"{flag} has no meaning at level {level}; it is for {' and '.join(allowed)}")


def trimmed_vocab(level: str, counts: Mapping[str, int], config: VocabConfig, **fields: Any) -> Vocab:
    """Make a vocabulary of the symbols that are frequent enough.

    Raises:
        TokenError: If none is.
    """
    kept = {token: count for token, count in counts.items() if count >= config.min_count}
    if config.max_size is not None and len(kept) > config.max_size - 2:
        ranked = sorted(kept, key=lambda token: (-kept[token], token))
        kept = {token: kept[token] for token in ranked[: max(config.max_size - 2, 0)]}
    if not kept:
        raise TokenError(
            "no token is frequent enough for the vocabulary; lower --min-count or raise --max-size"
        )
    unknown = sum(counts.values()) - sum(kept.values())
    return ranked_vocab(level, kept, unknown=unknown, **fields)


def _beginning(blocks: Iterator[PartBlock]) -> str:
    return "\n".join(text for block in islice(blocks, 1) for text in piece_texts(block))[:_LOOKED_AT_CHARS]


def _count(blocks: Iterable[PartBlock], level: str, options: Mapping[str, Any], size: int) -> Counter[str]:
    if size >= WORTH_COMPILING:
        from seqgen.data import compiled

        twin = compiled.count_chars if level == "char" else compiled.count_words
        found = (counts for _, counts in in_threads(lambda b: twin(b, options), blocks, size=size))
    else:
        found = (_count_plainly(block, level, options) for block in blocks)
    total: Counter[str] = Counter()
    for counts in found:
        total.update(counts)
    return total


def _count_plainly(block: PartBlock, level: str, options: Mapping[str, Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in piece_texts(block):
        text = prepare(text, options)
        counts.update(text if level == "char" else cut_words(text, options["words"]))
    return counts


def _build_subwords(
    blocks: Iterator[PartBlock], config: VocabConfig, size: int, origin: Mapping[str, Any], notify: Notify
) -> Vocab:
    wanted = config.max_size or DEFAULT_SIZE
    stride = -(-size // _SUBWORD_SAMPLE_BYTES)
    if stride > 1:
        notify(f"subwords are learned from every {stride}th stretch of the training part")
    texts = (text for block in islice(blocks, 0, None, stride) for text in piece_texts(block))
    vocab = train_subwords(texts, kind=config.subword, size=wanted, lowercase=config.lowercase, origin=origin)
    if len(vocab.tokens) < wanted:
        notify(f"the text is too small for {wanted:,} subwords: the vocabulary has {len(vocab.tokens):,}")
    return vocab

"""`seqgen train --init-from`: a language model that goes on to learn from another corpus."""

from pathlib import Path
from typing import TYPE_CHECKING

from seqgen.cli.console import notice
from seqgen.cli.running import TrainRequest
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.config import Config
    from seqgen.data.index import TokenIndex
    from seqgen.training.transfer import Arrays


def prepare_to_go_on(request: TrainRequest, model: Path) -> "tuple[TokenIndex, Config, Arrays]":
    """Index a corpus in the vocabulary of a model, its own words added, and return what to start from.

    Raises:
        ConfigError: If a vocabulary was given as well, or settings contradict the weights.
    """
    from seqgen.artifacts import load_artifact, require_task
    from seqgen.cli.planning import check_early, choose
    from seqgen.config import build_config, merge
    from seqgen.data.indexing import ensure_index
    from seqgen.training.transfer import extended_tokenizer, language_weights, model_settings

    if request.vocab is not None:
        raise ConfigError("--vocab: the vocabulary is that of the model of --init-from; leave it out")
    base = require_task(load_artifact(model), "lm")
    chosen = merge(request.chosen, {"model": model_settings(base, request.chosen.get("model", {}))})
    check_early(chosen, request.preset, request.memory)
    counts: dict[str, int] = {}
    if base.tokenizer.level == "word":
        options = base.tokenizer.vocab.options
        vocab = {"level": "word", "lowercase": bool(options.get("lowercase"))}
        own = ensure_index(request.corpus, build_config(merge(chosen, {"vocab": vocab})), notify=notice)
        if own.tokenizer.vocab.options["words"] == options["words"]:
            counts = dict(zip(own.tokenizer.tokens, own.tokenizer.counts, strict=True))
        else:
            notice("the corpus is cut into words in another way than that of the model: none is added")
    least = build_config(chosen).vocab.min_count
    tokenizer = extended_tokenizer(base.tokenizer, counts, min_count=least)
    added = len(tokenizer.tokens) - len(base.tokenizer.tokens)
    notice(f"starting from {model}: its {len(base.tokenizer.tokens):,} tokens and {added:,} new words")
    index = ensure_index(request.corpus, build_config(chosen), tokenizer=tokenizer, notify=notice)
    config = choose(index, merge(chosen, index.config), request.preset, planned=False, memory=request.memory)
    return index, config, language_weights(base, tokenizer)

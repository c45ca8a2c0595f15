"""`seqgen evaluate` for a translation model: the loss of given targets, and BLEU and chrF of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

from seqgen.cli.console import notice
from seqgen.cli.own_corpus import check_unchanged, own_files
from seqgen.cli.translate import score_rows
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.pairs import PairCorpus


def evaluate_translator(
    artifact: "Artifact", names: list[str] | None, part: str, device: str, *, as_json: bool
) -> None:
    """Score a translator on a part of its own pairs, or on other pairs, and print the result."""
    import json

    from seqgen.evaluation.translation import score_targets
    from seqgen.sampling.translation import Search, Translator
    from seqgen.training.translation import score_part

    corpus, part = _pairs(artifact, names, part)
    if not corpus.parts[part]:
        raise CorpusError(f"the {part} part is empty; name other pairs, or another --part")
    translator = Translator.of(artifact, device)
    search = Search()
    losses = score_targets(translator.model, corpus, part).record()
    record = {**losses, **score_part(translator, corpus, part, search).record(), "beam": search.beam}
    if as_json:
        print(json.dumps(record))
        return
    rows = {
        "protocol": record["protocol"],
        "nats per token": f"{record['loss_nats']:.4f}",
        "perplexity": f"{record['perplexity']:.3f}",
        "bits per char": f"{record['bits_per']['char']:.4f}",
        "beam": str(search.beam),
        **score_rows(record),
    }
    for name, value in rows.items():
        print(f"{name:<14}  {value}")


def _pairs(artifact: "Artifact", names: list[str] | None, part: str) -> "tuple[PairCorpus, str]":
    """Return pairs and the part of them to score."""
    from seqgen.data.index import PARTS
    from seqgen.data.pairs import PairCorpus, read_pairs

    if part not in PARTS:
        raise ConfigError(f"--part {part}: choose {', '.join(PARTS)}")
    if names:
        pairs = read_pairs(
            [Path(name) for name in names], encoding=artifact.config.corpus.encoding, notify=notice
        )
        tokenizers = artifact.tokenizer, artifact.target_tokenizer
        return PairCorpus({"test": pairs}, *tokenizers, corpus_hash=""), "test"
    return own_pairs(artifact), part


def own_pairs(artifact: "Artifact") -> "PairCorpus":
    """Read the pairs that a model was trained on, in their parts.

    Raises:
        CorpusError: If they cannot be read any more.
        ArtifactError: If the model does not name them, or they have changed.
    """
    from seqgen.data.index import PARTS
    from seqgen.data.pairs import load_pairs

    otherwise = "name pairs to evaluate on"
    files = own_files(artifact, otherwise=otherwise)
    corpus = load_pairs(
        [Path(name) for name in files["corpus"]],
        artifact.config,
        given={name: [Path(file) for file in files[name]] for name in PARTS[1:]},
        tokenizers=(artifact.tokenizer, artifact.target_tokenizer),
        notify=lambda _: None,
    )
    check_unchanged(artifact, corpus.corpus_hash, otherwise=otherwise)
    return corpus

"""`seqgen evaluate`: how well a model predicts a corpus."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice
from seqgen.errors import ArtifactError, ConfigError, CorpusError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.evaluation import Score

_CORPUS = typer.Argument(help="What to predict; without it, a part of the corpus the model was trained on.")


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    corpus: Annotated[list[str] | None, _CORPUS] = None,
    part: Annotated[str, typer.Option(help="train, valid or test: of the model's own corpus.")] = "valid",
    protocol: Annotated[str, typer.Option(help="carried, or windows:N: a fresh state every N.")] = "carried",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    per_token: Annotated[
        bool, typer.Option("--per-token", help="Print a JSON line a token: document, position, token, nats.")
    ] = False,
) -> None:
    """Score a model: nats per token, perplexity, bits per character, byte or note.

    Every token is charged exactly once, ends of documents included. Scores compare only within one protocol.

    Example: seqgen evaluate models/pydoc --part test
    """
    from seqgen.artifacts import load_artifact

    artifact = load_artifact(model)
    index, part = _what_to_predict(artifact, corpus, part)
    if not index.counts(part)["tokens"]:
        raise CorpusError(f"the {part} part is empty; name a corpus, or another --part")
    if per_token:
        _print_tokens(artifact, index, part, protocol, device)
        return
    _print_score(_score(artifact, index, part, protocol, device), index.counts(part), as_json)


def _what_to_predict(artifact: "Artifact", corpus: list[str] | None, part: str) -> "tuple[TokenIndex, str]":
    """Return an index in the model's own vocabulary and the part of it to read."""
    from dataclasses import replace

    from seqgen.data.index import PARTS
    from seqgen.data.indexing import ensure_index

    if part not in PARTS:
        raise ConfigError(f"--part {part}: choose {', '.join(PARTS)}")
    if corpus:
        everything = replace(artifact.config.index, split=(0.0, 0.0, 100.0))
        config = replace(artifact.config, index=everything)
        return ensure_index(corpus, config, tokenizer=artifact.tokenizer, notify=notice), "test"
    index = ensure_index(
        artifact.source["corpus"], artifact.config, tokenizer=artifact.tokenizer, notify=notice
    )
    if index.corpus_hash != artifact.source["corpus_hash"]:
        raise ArtifactError(
            f"{artifact.path}: its corpus {' '.join(artifact.source['corpus'])} has changed since; "
            "name a corpus to evaluate on"
        )
    return index, part


def _score(artifact: "Artifact", index: "TokenIndex", part: str, protocol: str, device: str) -> "Score":
    from seqgen.evaluation import evaluate, restore_model, units_of

    return evaluate(
        restore_model(artifact, device),
        index.tokens(part),
        index.documents(part),
        protocol=protocol,
        units=units_of(index.counts(part)),
    )


def _print_score(score: "Score", counts: dict[str, int], as_json: bool) -> None:
    import json

    record = {**score.record(), "documents": counts["documents"], "unknown": counts["unknown"]}
    if as_json:
        print(json.dumps(record))
        return
    rows = {
        "protocol": score.protocol,
        "documents": f"{counts['documents']:,}",
        "tokens": f"{score.tokens:,}",
        "unknown tokens": f"{counts['unknown']:,}",
        "nats per token": f"{score.loss_nats:.4f}",
        "perplexity": f"{score.perplexity:.3f}",
        **{f"bits per {unit.removesuffix('s')}": f"{bits:.4f}" for unit, bits in score.bits.items()},
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


def _print_tokens(artifact: "Artifact", index: "TokenIndex", part: str, protocol: str, device: str) -> None:
    import json

    tokens = index.tokens(part)
    names = index.tokenizer.tokens
    for number, start, losses in _document_losses(artifact, index, part, protocol, device):
        for position, nats in enumerate(losses):
            record: dict[str, Any] = {
                "document": number,
                "position": position,
                "token": names[int(tokens[start + position])],
                "nats": round(float(nats), 5),
            }
            print(json.dumps(record, ensure_ascii=False))


def _document_losses(
    artifact: "Artifact", index: "TokenIndex", part: str, protocol: str, device: str
) -> "Iterator[tuple[int, int, NDArray[np.float32]]]":
    from itertools import pairwise

    import numpy as np

    from seqgen.data.batches import segments
    from seqgen.evaluation import restore_model, stream_losses

    documents = index.documents(part)
    losses = np.zeros(len(index.tokens(part)), dtype=np.float32)
    model = restore_model(artifact, device)
    for positions, values in stream_losses(model, index.tokens(part), segments(documents, protocol)):
        losses[positions] = values
    for number, (start, stop) in enumerate(pairwise(documents)):
        yield number, int(start), losses[start:stop]

"""`seqgen evaluate` for a classifier: accuracy, macro-F1 and the confusion matrix."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqgen.cli.console import notice, print_table
from seqgen.cli.own_corpus import check_unchanged, own_files
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.labelled import Example
    from seqgen.evaluation.classification import LabelScore


def evaluate_classifier(
    artifact: "Artifact",
    names: list[str] | None,
    part: str,
    device: str,
    *,
    as_json: bool,
    others: Sequence[Path] = (),
) -> None:
    """Score a classifier on a part of its own corpus, or on other labelled texts, and print the result.

    Args:
        artifact: The model whose corpus it is.
        names: Other labelled texts.
        part: Of its own corpus.
        device: As `--device`.
        as_json: Whether one JSON document is printed.
        others: Classifiers to average with.
    """
    import json

    import numpy as np

    from seqgen.artifacts import load_artifact, require_task
    from seqgen.evaluation.classification import score_labels
    from seqgen.evaluation.ensemble import restore_ensemble

    members = [artifact, *(require_task(load_artifact(path), "classify") for path in others)]
    ensemble = restore_ensemble(members, device)
    examples = _examples(artifact, names, part)
    if not examples:
        raise CorpusError(f"the {part} part is empty; name labelled texts, or another --part")
    for member in members[1:]:
        if not names and member.source.get("corpus_hash") != artifact.source.get("corpus_hash"):
            notice(
                f"{member.path} was trained on other parts than {artifact.path}, maybe on texts scored here"
            )
    truth = np.array([ensemble.labels.index(example.label) for example in examples])
    probabilities = ensemble.predict([example.text for example in examples])
    score = score_labels(probabilities, truth, ensemble.labels)
    if as_json:
        print(json.dumps(score.record(), ensure_ascii=False))
    else:
        _print(score)


def _examples(artifact: "Artifact", names: list[str] | None, part: str) -> "list[Example]":
    from seqgen.data.index import PARTS
    from seqgen.data.labelled import read_labelled

    if part not in PARTS:
        raise ConfigError(f"--part {part}: choose {', '.join(PARTS)}")
    labels = artifact.config.classify.labels
    if not names:
        return own_examples(artifact, part, notice)
    found = read_labelled(names, artifact.config, notice)
    for example in found:
        if example.label not in labels:
            raise CorpusError(
                f"{example.place}: the model knows no label {example.label}, only {', '.join(labels)}"
            )
    return found


def own_examples(artifact: "Artifact", part: str, notify: Callable[[str], None]) -> "list[Example]":
    """Read a part of the labelled texts that a model was trained on.

    Raises:
        CorpusError, ConfigError: If they cannot be read any more.
        ArtifactError: If the model does not name them, or they have changed.
    """
    from seqgen.data.examples import corpus_hash, read_parts

    otherwise = "name labelled texts to evaluate on"
    files = own_files(artifact, otherwise=otherwise)
    parts = read_parts(files["corpus"], artifact.config, notify, valid=files["valid"], test=files["test"])
    check_unchanged(artifact, corpus_hash(parts), otherwise=otherwise)
    return parts[part]


def _print(score: "LabelScore") -> None:
    rows = {
        "examples": f"{score.confusion.sum():,}",
        "accuracy": f"{score.accuracy:.4f}",
        "macro-F1": f"{score.macro_f1:.4f}",
        "nats per label": f"{score.loss_nats:.4f}",
    }
    for name, value in rows.items():
        print(f"{name:<14}  {value}")
    print()
    table = zip(score.labels, score.confusion.tolist(), score.f1, strict=True)
    print_table(
        [[label, *map(str, row), f"{f1:.4f}"] for label, row, f1 in table],
        headings=["true, given", *score.labels, "F1"],
    )

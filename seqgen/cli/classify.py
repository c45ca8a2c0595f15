"""`seqgen classify`: texts, one a line, to labels."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice
from seqgen.cli.options import Column
from seqgen.errors import ConfigError, CorpusError
from seqgen.files import unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seqgen.artifacts import Artifact
    from seqgen.evaluation.ensemble import Ensemble
    from seqgen.networks.classifier import Classifier

LINES_AT_ONCE = 256

_MODEL = typer.Argument(metavar="MODEL", help="A classifier, made by `seqgen train --task classify`.")
_FILES = typer.Argument(
    metavar="FILE", help="Texts, one a line, or tables with a column of them; else standard input."
)

Others = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="MODEL", help="Average with this classifier; repeatable."),
]


def classify(
    model: Annotated[Path, _MODEL],
    files: Annotated[list[Path] | None, _FILES] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line a text, with every label.")
    ] = False,
    per_token: Annotated[
        bool,
        typer.Option(
            "--per-token", help="Add what each token contributes, by leaving it out; implies --json."
        ),
    ] = False,
    column: Column = None,
    others: Others = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Label texts, one a line.

    Prints a line with label, TAB and probability for every line, or row of a .csv, .tsv or .jsonl. The
    contribution of a token is by how much the log odds of the label fall when the token is left out. Several
    classifiers that err in different places (--with) do better together: probabilities are averaged.

    Example: echo "a gripping film" | seqgen classify models/reviews
    """
    from seqgen.artifacts import load_artifact, require_task
    from seqgen.data.labelled import is_table
    from seqgen.evaluation.ensemble import restore_ensemble

    if per_token and others:
        raise ConfigError("--per-token tells what the tokens of one model contribute; leave out --with")
    artifacts = [require_task(load_artifact(path), "classify") for path in (model, *(others or []))]
    ensemble = restore_ensemble(artifacts, device)
    if column is not None and not any(map(is_table, files or [])):
        raise ConfigError(f"--column {column}: no file is a .csv, .tsv or .jsonl; leave it out")
    lines = _texts(files or [], artifacts[0], column)
    while texts := list(islice(lines, 1 if sys.stdin.isatty() and not files else LINES_AT_ONCE)):
        if per_token:
            for text in texts:
                _print_tokens(artifacts[0], ensemble.members[0][1], text)
        else:
            _print_labels(ensemble, texts, as_json)
        sys.stdout.flush()


def _texts(files: list[Path], artifact: "Artifact", column: str | None) -> Iterator[str]:
    from seqgen.data.labelled import is_table, read_texts

    if not files:
        for number, line in enumerate(sys.stdin.buffer, 1):
            yield _decoded(line, "standard input", number)
    for path in files:
        if path.is_file() and is_table(path):
            yield from read_texts(path, artifact.config, notice, column=column)
            continue
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    yield _decoded(line, str(path), number)
        except OSError as error:
            raise CorpusError(unreadable(path, error)) from error


def _decoded(line: bytes, name: str, number: int) -> str:
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{name}:{number}: byte {error.start} of the line is not UTF-8") from error


def _print_labels(ensemble: "Ensemble", texts: list[str], as_json: bool) -> None:
    import json

    for chances in ensemble.predict(texts):
        if as_json:
            print(json.dumps(_record(ensemble.labels, chances), ensure_ascii=False))
        else:
            best = int(chances.argmax())
            print(f"{ensemble.labels[best]}\t{chances[best]:.4f}")


def _print_tokens(artifact: "Artifact", network: "Classifier", text: str) -> None:
    import json

    from seqgen.data.examples import encode_texts
    from seqgen.data.tokenizers import texts_of
    from seqgen.evaluation.classification import contributions

    (ids,) = encode_texts([text], artifact.tokenizer)
    chances, shares = contributions(network, ids)
    names, pieces = artifact.tokenizer.tokens, texts_of(artifact.tokenizer, ids.tolist())
    pieces[0] = pieces[0].removeprefix(" ")  # which it was read with, see `as_read`
    tokens = [
        {"token": names[token], "text": piece, "contribution": round(float(share), 5)}
        for token, piece, share in zip(ids, pieces, shares, strict=True)
    ]
    record = {**_record(artifact.config.classify.labels, chances), "tokens": tokens}
    print(json.dumps(record, ensure_ascii=False))


def _record(labels: tuple[str, ...], chances: "NDArray[Any]") -> dict[str, Any]:
    best = int(chances.argmax())
    return {
        "label": labels[best],
        "probability": round(float(chances[best]), 6),
        "probabilities": {
            name: round(float(chance), 6) for name, chance in zip(labels, chances, strict=True)
        },
    }

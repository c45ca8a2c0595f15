"""`seqgen compare`: models side by side on one split."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice, print_table
from seqgen.cli.options import (
    Documents,
    Names,
    Split,
    by_name,
    file_to_write,
    folder_to_write,
    given_values,
    parse_cells,
    parse_shares,
)
from seqgen.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.training.comparison import Compared

DEFAULT_CELLS = "window,bow,rnn,gru,lstm"
DEFAULT_MINUTES = 1.0
NGRAM = "ngram"

_CELLS = typer.Option(help=f"Encoders to train, such as {DEFAULT_CELLS}; ngram counts n-grams.")
_MODELS = typer.Option("--models", metavar="MODEL...", help="Trained ones to compare instead.")
_PARAMETERS = typer.Option(min=1, help="Give each about so many, by its hidden size.")
_OUTPUT = typer.Option(
    "--output", "-o", callback=folder_to_write, help="A folder that keeps the trained models, one a cell."
)
_PLOT = typer.Option(callback=file_to_write, help="Draw the curves: a PNG, SVG or PDF file.")
_SET = typer.Option("--set", metavar="KEY=VALUE", help="Set any configuration key, for all of them.")


def compare(
    corpus: Names,
    cells: Annotated[str | None, _CELLS] = None,
    models: Annotated[list[Path] | None, _MODELS] = None,
    minutes: Annotated[float | None, typer.Option(help="Of training for each; 1 if not given.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training part for each.")] = None,
    parameters: Annotated[int | None, _PARAMETERS] = None,
    level: Annotated[str | None, typer.Option(help="char, byte, word, subword or note.")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers of each encoder.")] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Units a layer of each.")] = None,
    context: Annotated[int | None, typer.Option(help="Tokens that window and bow see; else 8.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    split: Split = None,
    documents: Documents = None,
    settings: Annotated[list[str] | None, _SET] = None,
    output: Annotated[Path | None, _OUTPUT] = None,
    plot: Annotated[Path | None, _PLOT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare encoders, trained on one split with one budget each.

    The cell ngram is interpolated Kneser-Ney; its parameters are the n-grams it stores, and -o does not keep
    it.
    With --models, models that are trained already are scored on the corpus instead. The gap is how many bits
    more a model takes on the validation part than on as much of the training part: how far it overfits.

    Example: seqgen compare pydoc --cells window,bow,rnn,gru,lstm --minutes 1 --plot curves.svg
    """
    from seqgen.report.plots import check_plot

    if plot:
        check_plot(plot)
    if models and (cells or minutes or epochs or parameters):
        raise ConfigError("--models are trained already: no --cells, --minutes, --epochs or --parameters")
    given = given_values(
        vocab__level=level,
        model__layers=layers,
        model__hidden_size=hidden_size,
        model__context=context,
        training__minutes=minutes if minutes or epochs else DEFAULT_MINUTES,
        training__epochs=epochs,
        training__seed=seed,
        index__split=parse_shares(split),
        corpus__documents=documents,
    )
    if models:
        corpus, models = _told_apart(corpus, models)
        named = by_name(models)
        scored = [_score_model(path, corpus, parse_shares(split), documents) for path in named.values()]
        results = [replace(result, name=name) for name, result in zip(named, scored, strict=True)]
    else:
        with _folder(output) as folder:
            results = _train_all(
                corpus,
                parse_cells(DEFAULT_CELLS if cells is None else cells, more=(NGRAM,)),
                folder,
                given,
                settings or [],
                parameters,
            )
    _show(results, corpus, plot, as_json=as_json)


def _told_apart(corpus: list[str], models: list[Path]) -> tuple[list[str], list[Path]]:
    """Return corpus and models where `--models A B C` left B and C among the corpora."""
    from seqgen.artifacts import is_model

    names = [name for name in corpus if not is_model(Path(name))]
    if not names:
        raise ConfigError("name a corpus before --models, such as seqgen compare book.txt --models A B")
    return names, [*models, *(Path(name) for name in corpus if name not in names)]


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder that was asked for, or one that is gone afterwards."""
    from tempfile import TemporaryDirectory

    if output is not None:
        yield output
        return
    with TemporaryDirectory(prefix="seqgen-compare-") as folder:
        yield Path(folder)


def _train_all(
    corpus: list[str],
    cells: list[str],
    folder: Path,
    given: dict[str, Any],
    settings: list[str],
    parameters: int | None,
) -> "list[Compared]":
    from seqgen.cli.planning import choose
    from seqgen.config import build_config, merge, parse_overrides
    from seqgen.data.indexing import ensure_index
    from seqgen.training.comparison import compare_ngrams, with_parameters

    taken = [cell for cell in cells if (folder / cell).exists()]
    if taken:
        raise ConfigError(f"{folder / taken[0]}: exists; choose another -o")
    results = []
    for cell in cells:
        chosen = merge(merge(parse_overrides(settings), given), {"model": {"cell": cell}})
        notice(f"--- {cell} ---")
        if cell == NGRAM:
            uncelled = build_config(merge(parse_overrides(settings), given))
            results.append(compare_ngrams(ensure_index(corpus, uncelled, notify=notice)))
            continue
        index = ensure_index(corpus, build_config(chosen), notify=notice)
        config = choose(index, merge(chosen, index.config), planned=False)
        if parameters:
            config = with_parameters(config, len(index.tokenizer.tokens), parameters)
            notice(f"hidden size {config.model.hidden_size} for about {parameters:,} parameters")
        results.append(_train_one(corpus, index, config, folder / cell))
    return results


def _train_one(corpus: list[str], index: "TokenIndex", config: Any, path: Path) -> "Compared":
    from seqgen.artifacts import load_artifact
    from seqgen.cli.live import follow
    from seqgen.training.comparison import compare_model
    from seqgen.training.finish import finish
    from seqgen.training.loop import train

    source = {"corpus": corpus, "corpus_hash": index.corpus_hash}
    with closing(train(index, config, path=path, source=source)) as steps:
        follow(steps, index, path, tensorboard=None)
    finish(index, path, device=config.training.device)
    return compare_model(load_artifact(path), index)


def _score_model(
    path: Path, corpus: list[str], shares: list[float] | None, documents: str | None
) -> "Compared":
    from seqgen.artifacts import load_artifact, require_task
    from seqgen.training.comparison import compare_model

    artifact = require_task(load_artifact(path), "lm")
    trained = artifact.config.corpus.documents
    if documents is not None and documents != trained:
        raise ConfigError(f"--documents {documents}: {path} was trained on {trained}; leave it out")
    index = _split_like_the_others(artifact, corpus, shares)
    if index.corpus_hash != artifact.source.get("corpus_hash"):
        notice(f"{path} was trained on another corpus: its gap tells nothing of overfitting here")
    return compare_model(artifact, index)


def _split_like_the_others(
    artifact: "Artifact", corpus: list[str], shares: list[float] | None
) -> "TokenIndex":
    """Return the corpus in a model's own vocabulary, divided by the same shares for every model."""
    from seqgen.config import IndexConfig
    from seqgen.data.indexing import ensure_index

    wanted = IndexConfig() if shares is None else IndexConfig(split=(shares[0], shares[1], shares[2]))
    if artifact.config.index.split != wanted.split:
        raise ArtifactError(
            f"{artifact.path}: trained on a split of {_slashed(artifact.config.index.split)}, compared on "
            f"{_slashed(wanted.split)}; it may have seen what it is scored on, so give --split as in training"
        )
    return ensure_index(
        corpus, replace(artifact.config, index=wanted), tokenizer=artifact.tokenizer, notify=notice
    )


def _slashed(shares: tuple[float, float, float]) -> str:
    return "/".join(f"{share:g}" for share in shares)


def _show(results: "list[Compared]", corpus: list[str], plot: Path | None, *, as_json: bool) -> None:
    import json

    from seqgen.report.plots import plot_curves

    if plot:
        curves = {_label(result): _points(result) for result in results}
        title = f"Validation loss while training, {corpus[0]}"
        plot_curves(plot, curves, x="seconds of training", y="bits per token", title=title)
        notice(f"{plot} is drawn")
    if as_json:
        print(json.dumps({"corpus": corpus, "models": [result.record() for result in results]}))
        return
    _print(results)


def _label(result: "Compared") -> str:
    return result.name if result.name == result.cell else f"{result.name} ({result.cell})"


def _points(result: "Compared") -> tuple[list[float], list[float]]:
    return [seconds for seconds, _ in result.curve], [bits for _, bits in result.curve]


def _print(results: "list[Compared]") -> None:
    """Print the table, the worst model first, so that one reads down to the best."""
    from seqgen.training.memory import in_words

    units = {result.unit for result in results}
    unit = units.pop().removesuffix("s") if len(units) == 1 else "unit"
    ordered = sorted(results, key=lambda result: -result.bits)
    rows = [
        [
            _label(result),
            f"{result.parameters:,}",
            f"{result.minutes:.2f}",
            "" if result.tokens_per_second is None else f"{result.tokens_per_second:,.0f}",
            f"{result.bits:.3f}",
            f"{result.gap_bits:+.3f}",
            in_words(result.memory_bytes),
        ]
        for result in ordered
    ]
    headings = ["model", "parameters", "minutes", "tokens/s", f"bits per {unit}", "gap", "memory"]
    print_table(rows, headings=headings)
    print(f"\nfrom worst to best: {' > '.join(_label(result) for result in ordered)}")

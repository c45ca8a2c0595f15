"""`seqgen inspect`: looking inside a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.commands import plain_typer
from seqgen.cli.console import notice, print_table
from seqgen.cli.options import Model, Names, by_name, file_to_write
from seqgen.cli.prompts import is_file_name, read_prompt, tell_remarks
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from torch import Tensor

    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.inspection.gates import Readings, Selective
    from seqgen.inspection.gradients import DescentStep, GradientFlow

MOST_SHOWN = 1000
"""Tokens of a text that the page of gates shows."""
MAP_TOKENS = 150

app = plain_typer(help="Look inside a model: gradients, embeddings, gates.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Plot = Annotated[
    Path | None, typer.Option(callback=file_to_write, help="Also draw it: a PNG, SVG or PDF file.")
]
_BESIDE = typer.Option("--with", metavar="MODEL", help="Another model beside it; may be given several times.")
_SCALE = typer.Option(help="Multiply the recurrent weights, such as by 2; may be given several times.")
_CLIP = typer.Option(min=1e-9, help="Also take a step of descent, with and without clipping at this norm.")
_MAP = typer.Option(callback=file_to_write, help="Also draw a flat map (PCA): a PNG, SVG or PDF file.")
_PAGE = typer.Option("--output", "-o", callback=file_to_write, help="An HTML page to write.")
_TEXT = typer.Argument(
    metavar="TEXT",
    help="What it reads: a file, a text as it stands, or - for standard input; tunes as a file.",
)


@app.command()
def gradients(
    model: Model,
    corpus: Names,
    beside: Annotated[list[Path] | None, _BESIDE] = None,
    distance: Annotated[int, typer.Option(min=12, help="How many tokens to look back.")] = 100,
    places: Annotated[int, typer.Option(min=1, help="Places of the corpus to average over.")] = 64,
    scale: Annotated[list[float] | None, _SCALE] = None,
    clip: Annotated[float | None, _CLIP] = None,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Show how far back a loss is felt.

    That is the norm of its gradient at each earlier state. The factor is what a step back multiplies the norm
    by: below 1 it vanishes, above 1 it explodes. Recurrent weights scaled up with --scale make it explode on
    purpose; --clip 1 shows what clipping then does for a step of gradient descent at the learning rate of
    training.

    Example: seqgen inspect gradients models/book book.txt --scale 2 --plot flow.png
    """
    import json
    from dataclasses import asdict

    from seqgen.artifacts import load_artifact, require_task
    from seqgen.report.plots import check_plot, plot_flow

    if plot:
        check_plot(plot)
    flows: dict[str, GradientFlow] = {}
    descents: dict[str, DescentStep] = {}
    for called, path in by_name([model, *(beside or [])]).items():
        artifact = require_task(load_artifact(path), "lm")
        index = _read(artifact, corpus)
        for factor in scale or [1.0]:
            name = _flow_name(called, artifact.config.model.cell, factor)
            read = _places(index, distance, places)
            flows[name] = _flow(artifact, read, factor, distance=distance)
            if clip:
                descents[name] = _descend(artifact, read, factor, clip)
    if plot:
        lines = {**_lines(flows), **_clipped_lines(flows, descents)}
        plot_flow(plot, lines, title=f"How far back a loss is felt, {corpus[0]}")
        notice(f"{plot} is drawn")
    if as_json:
        records = {name: dict(flow.record()) for name, flow in flows.items()}
        for name, descent in descents.items():
            records[name]["descent"] = asdict(descent)
        print(json.dumps(records))
        return
    _print_flows(flows, distance)
    if descents:
        print()
        _print_descents(descents)


def _read(artifact: "Artifact", corpus: list[str]) -> "TokenIndex":
    """Return an index of all of a corpus as one part, in the model's own vocabulary."""
    from dataclasses import replace

    from seqgen.data.indexing import ensure_index

    everything = replace(artifact.config.index, split=(0.0, 0.0, 100.0))
    config = replace(artifact.config, index=everything)
    return ensure_index(corpus, config, tokenizer=artifact.tokenizer, notify=notice)


def _flow_name(model: str, cell: str, scale: float) -> str:
    name = f"{model} ({cell})"
    return name if scale == 1 else f"{name}, weights × {scale:g}"


def _places(index: "TokenIndex", distance: int, places: int) -> "Tensor":
    from seqgen.inspection.gradients import read_places

    return read_places(index.tokens("test"), index.documents("test"), distance=distance, places=places)


def _flow(artifact: "Artifact", read: "Tensor", scale: float, *, distance: int) -> "GradientFlow":
    from seqgen.evaluation import restore_model
    from seqgen.inspection.gradients import flow_back

    try:
        return flow_back(restore_model(artifact, "cpu"), read, distance=distance, scale=scale)
    except ConfigError as error:
        raise ConfigError(f"{artifact.path}: {error}") from error


def _descend(artifact: "Artifact", read: "Tensor", scale: float, clip: float) -> "DescentStep":
    from seqgen.evaluation import restore_model
    from seqgen.inspection.gradients import descend

    rate = artifact.config.training.learning_rate
    return descend(restore_model(artifact, "cpu"), read, clip_norm=clip, learning_rate=rate, scale=scale)


def _clipped_lines(
    flows: "dict[str, GradientFlow]", descents: "dict[str, DescentStep]"
) -> dict[str, list[float]]:
    """Return the gradient at each earlier state as clipping leaves it: all of it is scaled alike."""
    return {
        f"{name}, clipped": (flows[name].hidden * descent.clipped_share).tolist()
        for name, descent in descents.items()
        if descent.clipped_share < 1
    }


def _lines(flows: "dict[str, GradientFlow]") -> dict[str, list[float]]:
    return {label: line for name, flow in flows.items() for label, line in flow.lines(name).items()}


def _print_flows(flows: "dict[str, GradientFlow]", distance: int) -> None:
    from seqgen.inspection.gradients import decades

    shown = [k for k in (1, 10, 30, 100, 300) if k < distance] + [distance]
    rows = [
        [
            name,
            *(f"{flow.hidden[k]:.1e}" for k in shown),
            f"{flow.near:.3f}",
            f"{flow.far:.3f}",
            f"{decades(flow.far):+.4f}",
            _meaning(flow.far),
        ]
        for name, flow in flows.items()
    ]
    factors = ["factor to 10", "factor beyond", "decades a step", "beyond 10"]
    print_table(rows, headings=["model", *(f"k={k}" for k in shown), *factors])


def _print_descents(descents: "dict[str, DescentStep]") -> None:
    rows = [
        [
            name,
            f"{descent.gradient_norm:.3g}",
            *(
                f"{loss:.4g}"
                for loss in (descent.loss_before, descent.loss_after, descent.loss_after_clipped)
            ),
        ]
        for name, descent in descents.items()
    ]
    losses = ["loss in nats", "after a step", "after a clipped step"]
    print_table(rows, headings=["model", "gradient norm", *losses])


def _meaning(factor: float) -> str:
    """Say what a factor per step amounts to, such as "halves every 3.1"."""
    from math import isnan, log

    if isnan(factor):
        return "nothing left"
    if abs(factor - 1) < 1e-3:
        return "holds"
    verb = "halves" if factor < 1 else "doubles"
    return f"{verb} every {abs(log(2) / log(factor)):.1f}"


@app.command()
def neighbours(
    model: Model,
    word: Annotated[str, typer.Argument(metavar="WORD", help="A token of the model.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many neighbours.")] = 10,
    plot: Annotated[Path | None, _MAP] = None,
    as_json: Json = False,
) -> None:
    """Show the tokens nearest to a token, by the cosine.

    Example: seqgen inspect neighbours models/words the --plot map.svg
    """
    import json

    from seqgen.artifacts import load_artifact
    from seqgen.inspection.neighbours import find_token, learned_vectors, nearest
    from seqgen.report.plots import check_plot

    if plot:
        check_plot(plot)
    artifact = load_artifact(model)
    vectors, names = learned_vectors(artifact), list(artifact.tokenizer.tokens)
    token = find_token(artifact.tokenizer, word)
    found = nearest(vectors, token, count)
    if plot:
        _draw_map(plot, vectors, names, [token, *(other for other, _ in found)])
    if as_json:
        near = [{"token": names[other], "cosine": round(cosine, 5)} for other, cosine in found]
        print(json.dumps({"token": names[token], "neighbours": near}, ensure_ascii=False))
        return
    heading, *labels = _visible([names[token], *(names[other] for other, _ in found)])
    rows = [[label, f"{cosine:.3f}"] for label, (_, cosine) in zip(labels, found, strict=True)]
    print_table(rows, headings=[heading, "cosine"])


def _visible(names: list[str]) -> list[str]:
    """Return names of tokens as a table shows them: without the space before a word if one can do without."""
    plain = [name.lstrip(" ▁") for name in names]
    return [
        short if short and short.isprintable() and plain.count(short) == 1 else ascii(name)
        for short, name in zip(plain, names, strict=True)
    ]


def _draw_map(path: Path, vectors: Any, names: list[str], marked: list[int]) -> None:
    from seqgen.inspection.neighbours import flat_map, most_frequent
    from seqgen.report.plots import plot_map

    shown = [*marked, *(token for token in most_frequent(names, MAP_TOKENS) if token not in marked)]
    points, share = flat_map(vectors[shown])
    (title,) = _visible([names[marked[0]]])
    title += f", its neighbours and frequent tokens ({share:.0%} of the variance)"
    plot_map(path, points, [names[token] for token in shown], marked=list(range(len(marked))), title=title)
    notice(f"{path} is drawn")


@app.command()
def gates(
    model: Model,
    text: Annotated[str, _TEXT],
    output: Annotated[Path | None, _PAGE] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Cells to rank for each mark.")] = 3,
    tune: Annotated[
        int | None, typer.Option(min=1, help="Which tune of a tune file; else the first.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every gate and value of every token as JSON.")
    ] = False,
) -> None:
    """Show what gates and cells do while the model reads.

    Also which cells watch what. Cells are ranked by how well they tell tokens within quotes or brackets, line
    ends, indentation and bar lines from the others; 0 is chance, 1 perfect. A text of a few thousand
    characters ranks best.

    Example: seqgen inspect gates models/book book.txt -o strip.html
    """
    import json

    from seqgen.artifacts import load_artifact, require_task
    from seqgen.evaluation import restore_model
    from seqgen.inspection.gates import find_marks, most_selective, read_gates

    artifact = require_task(load_artifact(model), "lm")
    ids = _encode(artifact, text, tune)
    tokens = [artifact.tokenizer.tokens[token] for token in ids]
    try:
        readings = read_gates(restore_model(artifact, "cpu"), ids)
    except ConfigError as error:
        raise ConfigError(f"{model}: {error}") from error
    ranked = most_selective(readings.values, find_marks(tokens), count=count)
    if output:
        _write_page(output, artifact, tokens, readings, ranked)
    if as_json:
        print(json.dumps(_gates_record(tokens, readings, ranked), ensure_ascii=False))
        return
    if not ranked:
        notice("the text has too few quotes, brackets, line ends, indents or bar lines to rank cells by")
        return
    rows = [
        [mark, f"{cell.layer}", f"{cell.cell}", f"{cell.score:.3f}", "higher" if cell.rises else "lower"]
        for mark, cells in ranked.items()
        for cell in cells
    ]
    print_table(rows, headings=["mark", "layer", "cell", "selectivity", "value there"])


def _encode(artifact: "Artifact", text: str, tune: int | None) -> list[int]:
    from seqgen.data.readers import read_text

    given = text
    if artifact.tokenizer.modality == "text" and is_file_name(text):
        notice(f"reading the file {text}")
        given = read_text(Path(text))
    prompt = read_prompt(artifact.tokenizer, given, tune, option="TEXT")
    tell_remarks(prompt, "TEXT")
    if not len(prompt.ids):
        raise CorpusError("TEXT is empty; give a text to read, a file, or - for standard input")
    return [int(token) for token in prompt.ids]


def _write_page(
    path: Path,
    artifact: "Artifact",
    tokens: list[str],
    readings: "Readings",
    ranked: "dict[str, list[Selective]]",
) -> None:
    from seqgen.files import replacing
    from seqgen.inspection.gates import best_stretch, find_marks
    from seqgen.report.strip import page

    start = best_stretch(find_marks(tokens), MOST_SHOWN)
    part = slice(start, start + MOST_SHOWN)
    shown = tokens[part]
    layers = [
        {"value": value[part], **{name: gate[part] for name, gate in gates.items()}}
        for gates, value in zip(readings.gates, readings.values, strict=True)
    ]
    remarks = [
        f"The {artifact.config.model.cell.upper()} reads {len(tokens):,} tokens from the beginning of a "
        "document. The cells below tell their mark best of all cells; 0 is chance, 1 perfect."
    ]
    if len(shown) < len(tokens):
        remarks.append(f"{len(shown):,} tokens from number {start + 1:,} are shown; the ranking is of all.")
    title = f"What the cells of {artifact.path.resolve().name} do"
    with replacing(path) as aside:
        content = page(title, _spaced(artifact, shown), _sections(layers, ranked), layers, remarks=remarks)
        aside.write_text(content, encoding="utf-8")
    notice(f"{path} is written")


def _spaced(artifact: "Artifact", tokens: list[str]) -> list[str]:
    """Return tokens as a page shows them: words and notes a space apart."""
    apart = artifact.tokenizer.level in ("word", "note")
    return [f"{token} " for token in tokens] if apart else [token.replace("▁", " ") for token in tokens]


def _sections(layers: list[dict[str, Any]], ranked: "dict[str, list[Selective]]") -> list[Any]:
    from seqgen.report.strip import Section, Strip

    sections = []
    for mark, (best, *_) in ranked.items():
        quantities = layers[best.layer - 1].items()
        strips = [
            Strip("value" if name == "value" else f"{name} gate", values[:, best.cell], name == "value")
            for name, values in quantities
        ]
        heading = f"{mark.capitalize()}: layer {best.layer}, cell {best.cell} (selectivity {best.score:.3f})"
        sections.append(Section(heading, strips))
    return sections


def _gates_record(
    tokens: list[str], readings: "Readings", ranked: "dict[str, list[Selective]]"
) -> dict[str, Any]:
    layers = [
        {"value": value.round(4).tolist(), **{name: gate.round(4).tolist() for name, gate in gates.items()}}
        for gates, value in zip(readings.gates, readings.values, strict=True)
    ]
    selective = {mark: [cell._asdict() for cell in cells] for mark, cells in ranked.items()}
    return {"tokens": tokens, "selective": selective, "layers": layers}

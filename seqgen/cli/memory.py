"""`seqgen memory`: how far back encoders remember."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice, show_table
from seqgen.cli.options import file_to_write, folder_to_write, parse_cells
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.config import ModelConfig, TrainingConfig
    from seqgen.data.memory_tasks import MemoryTask
    from seqgen.inspection.gradients import GradientFlow
    from seqgen.training.memory_tests import Remembered

DEFAULT_CELLS = "rnn,gru,lstm"
DEFAULT_STEPS = 1500


class TaskName(StrEnum):
    """The memory tests."""

    ADDING = "adding"
    AGREEMENT = "agreement"
    COPY = "copy"
    REVERSE = "reverse"


_TASK = typer.Argument(
    metavar="TEST", help="To add two numbers, tell a language by a country, copy letters or reverse them."
)
_CELLS = typer.Option(help="Encoders to test; window and bow can be, too.")
_DISTANCES = typer.Option(help="Steps between a fact and its use, such as 2,10,100.")
_STEPS = typer.Option(min=1, help=f"Of training at most, for each network; {DEFAULT_STEPS:,} unless given.")
_MINUTES = typer.Option(min=0.001, help="Of training at most, for each network.")
_OPEN = typer.Option(help="Let the gates of lstm and gru begin as memories of twice the distance.")
_CURRICULUM = typer.Option("--curriculum", help="Teach one network all distances, short ones among them.")
_CONTEXT = typer.Option(min=1, help="Tokens that window and bow see.")
_SYMBOLS = typer.Option(min=1, help="How many symbols copy keeps at once.")
_SHOW = typer.Option(min=1, help="Only print so many sequences of each distance, with their answers.")
_PLOT = typer.Option(callback=file_to_write, help="Draw accuracy over distance: a PNG, SVG or PDF file.")
_FLOW = typer.Option(
    callback=file_to_write, help="Draw how the gradient flows back from the answer: a PNG, SVG or PDF file."
)
_OUTPUT = typer.Option(
    "--output", "-o", callback=folder_to_write, help="A folder that keeps the networks as models to inspect."
)


def memory(
    task: Annotated[TaskName, _TASK],
    cells: Annotated[str, _CELLS] = DEFAULT_CELLS,
    distances: Annotated[str | None, _DISTANCES] = None,
    steps: Annotated[int | None, _STEPS] = None,
    minutes: Annotated[float | None, _MINUTES] = None,
    hidden_size: Annotated[int, typer.Option(min=1, help="Units of each encoder.")] = 64,
    context: Annotated[int, _CONTEXT] = 8,
    symbols: Annotated[int, _SYMBOLS] = 3,
    learning_rate: Annotated[float, typer.Option(min=1e-6, help="Of AdamW, at its peak.")] = 1e-2,
    open_gates: Annotated[bool, _OPEN] = True,
    curriculum: Annotated[bool, _CURRICULUM] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides data and weights.")] = 1,
    show: Annotated[int | None, _SHOW] = None,
    plot: Annotated[Path | None, _PLOT] = None,
    flow: Annotated[Path | None, _FLOW] = None,
    output: Annotated[Path | None, _OUTPUT] = None,
) -> None:
    """Test how far back encoders remember.

    Prints the share of right answers by distance, as JSON, and a table on stderr. Each distance has a network
    of its own, as in the literature; with --curriculum one network learns all. Sequences are drawn at random,
    so there is nothing to learn by heart.

    Example: seqgen memory agreement --plot memory.svg
    """
    import json

    from seqgen.data.memory_tasks import memory_task
    from seqgen.report.plots import check_plot
    from seqgen.training.memory_tests import take_test

    test = memory_task(task.value, symbols=symbols)
    chosen = test.distances if distances is None else _numbers(distances)
    test.check_distances(chosen)
    for path in (plot, flow):
        if path:
            check_plot(path)
    if (flow or output) and test.tokenizer is None:
        raise ConfigError(f"--flow and -o are for tests that read tokens; {task.value} reads numbers")
    if show:
        _show_sequences(test, chosen, show, seed)
        return
    settings = _settings(steps, minutes, learning_rate, seed)
    results, flows = [], {}
    for cell in parse_cells(cells):
        config = _model(cell, hidden_size, context)
        model, result = take_test(
            test, config, settings, chosen, open_first=open_gates, curriculum=curriculum
        )
        notice(_told(result))
        results.append(result)
        if flow and cell in ("rnn", "gru", "lstm"):
            flows[cell] = _flow_of(model, test, max(chosen), seed)
        if output:
            _keep(output / cell, model, test, config, settings)
    _show_results(results, flows)
    _draw(test, results, flows, plot=plot, flow=flow)
    record = {"test": test.name, "chance": test.chance, "cells": [result.record() for result in results]}
    gradients = {"gradients": {cell: found.record() for cell, found in flows.items()}} if flows else {}
    print(json.dumps({**record, **gradients}))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise ConfigError(f"--distances {text}: expected whole numbers such as 2,10,100") from error


def _show_sequences(test: "MemoryTask", distances: tuple[int, ...], count: int, seed: int) -> None:
    import numpy as np

    from seqgen.data.memory_tasks import as_text

    for distance in distances:
        for line in as_text(test, test.draw(np.random.default_rng([seed, distance]), distance, count)):
            print(f"{distance}\t{line}")


def _settings(steps: int | None, minutes: float | None, rate: float, seed: int) -> "TrainingConfig":
    from seqgen.config import TrainingConfig

    if steps is None and minutes is None:
        steps = DEFAULT_STEPS
    return TrainingConfig(
        epochs=steps, minutes=minutes, learning_rate=rate, seed=seed, batch_size=32, weight_decay=0.0
    )


def _model(cell: Any, hidden_size: int, context: int) -> "ModelConfig":
    from seqgen.config import ModelConfig

    return ModelConfig(
        cell=cell, layers=1, hidden_size=hidden_size, embedding_size=32, context=context, dropout=0.0
    )


def _told(result: "Remembered") -> str:
    held = f"right up to a distance of {result.reach}" if result.reach else "not right at any distance"
    return f"{result.cell}: {result.steps:,} steps in {result.seconds:.0f} s, {held}"


def _flow_of(model: Any, test: "MemoryTask", distance: int, seed: int) -> "GradientFlow":
    import numpy as np
    import torch

    from seqgen.inspection.gradients import flow_back

    questions = test.draw(np.random.default_rng([seed, distance]), distance, 64)
    read = torch.from_numpy(np.concatenate([questions.inputs, questions.answers[-1:]]))
    return flow_back(model, read, distance=distance - 1)


def _keep(
    path: Path, model: Any, test: "MemoryTask", config: "ModelConfig", settings: "TrainingConfig"
) -> None:
    from seqgen.artifacts import write_artifact
    from seqgen.config import Config, VocabConfig

    if test.tokenizer is None:
        raise ValueError("a model without a tokenizer cannot be kept")
    level: Any = test.tokenizer.level
    write_artifact(
        path,
        config=Config(vocab=VocabConfig(level=level), model=config, training=settings),
        weights={name: parameter.detach().numpy() for name, parameter in model.named_parameters()},
        tokenizer=test.tokenizer,
        history=[],
        source={"corpus": [f"seqgen memory {test.name}"], "corpus_hash": "", "index_hash": ""},
        scores={},
        card=f"# {path.name}\n\nOf `seqgen memory {test.name}`: it knows the answers and nothing else.\n",
    )
    notice(f"{path} is written")


def _show_results(results: "list[Remembered]", flows: "dict[str, GradientFlow]") -> None:
    distances = sorted(results[0].accuracy)
    rows = [
        [result.cell, f"{result.steps:,}", *(f"{100 * result.accuracy[k]:.3g}" for k in distances)]
        for result in results
    ]
    show_table(rows, headings=["right, %", "steps", *(f"k={k}" for k in distances)])
    if flows:
        flow_rows = [row for cell, flow in flows.items() for row in _slopes(cell, flow)]
        show_table(flow_rows, headings=["gradient", "factor a step back", "decades a step"])


def _slopes(cell: str, flow: "GradientFlow") -> list[list[str]]:
    from seqgen.inspection.gradients import decades

    factors = {"dL/dh": flow.far, "dL/dc": flow.memory_far}
    return [
        [f"{cell}, {name}", f"{factor:.4f}", f"{decades(factor):+.4f}"]
        for name, factor in factors.items()
        if factor is not None
    ]


def _draw(
    test: "MemoryTask",
    results: "list[Remembered]",
    flows: "dict[str, GradientFlow]",
    *,
    plot: Path | None,
    flow: Path | None,
) -> None:
    from seqgen.report.plots import plot_flow, plot_memory

    if plot:
        accuracies = {result.cell: result.accuracy for result in results}
        plot_memory(plot, accuracies, chance=test.chance, title=f"Memory test: {test.name}")
        notice(f"{plot} is drawn")
    if flow:
        lines = {name: line for cell, found in flows.items() for name, line in found.lines(cell).items()}
        plot_flow(flow, lines, title=f"How far back the answer is felt: {test.name}")
        notice(f"{flow} is drawn")

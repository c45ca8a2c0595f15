"""What `seqgen train` shows while it works: a live line on a terminal, plain lines in a log."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.cli.console import console, notice
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from seqgen.data.index import TokenIndex
    from seqgen.training.step import Step, Validation

RECENT_STEPS = 50
"""The training loss shown is the mean of so many steps."""
SAMPLE_TOKENS = 160
SAMPLE_LINES = 4
SAMPLE_WIDTH = 100
SAMPLE_TEMPERATURE = 0.8


def follow(steps: "Iterator[Step]", index: "TokenIndex", output: Path, *, tensorboard: Path | None) -> None:
    """Draw the training of a language model, with a short sample after each new best."""
    unit = "chars" if index.tokenizer.level == "char" else "tokens"
    follow_steps(steps, unit=unit, tensorboard=tensorboard, preview=lambda step: _preview(output, step))


def follow_steps(
    steps: "Iterator[Step]",
    *,
    unit: str,
    tensorboard: Path | None,
    preview: Callable[[int], str] | None = None,
) -> None:
    """Draw the steps of a training on stderr as they come.

    Args:
        steps: The training.
        unit: What its speed counts, such as "tokens".
        tensorboard: A folder for logs.
        preview: Returns what to show of a new best model, by its step.
    """
    view = _live_view() if sys.stderr.isatty() else None
    recent: deque[float] = deque(maxlen=RECENT_STEPS)
    with view or nullcontext(), _event_writer(tensorboard) as events:
        task = view.add_task("", total=1.0, loss="", speed="", valid="") if view else None
        for step in steps:
            if step.notice:
                notice(step.notice)
            recent.append(step.loss_nats)
            loss = sum(recent) / len(recent)
            if view and task is not None:
                _advance(view, task, step, loss, unit)
            if events:
                _write_events(events, step)
            if step.validation:
                _tell_validation(step, step.validation, loss, unit)
                if step.is_best and view and preview:
                    _show_sample(view, preview(step.step))
            if step.stopped_early:
                notice("the validation score no longer improves: stopped early")


def _live_view() -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[valid]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console(),
        transient=True,
    )


def _advance(view: "Progress", task: "TaskID", step: "Step", loss: float, unit: str) -> None:
    fields: dict[str, Any] = {
        "loss": f"loss {loss:.3f}",
        "speed": f"{step.tokens_per_second:,.0f} {unit}/s",
    }
    if step.validation:
        fields["valid"] = step.validation.summary
    view.update(task, completed=step.progress, **fields)


def _tell_validation(step: "Step", score: "Validation", loss: float, unit: str) -> None:
    notice(
        f"{step.seconds:6.0f} s  epoch {step.epoch:6.2f}  train {loss:.4f}  {score.summary}"
        f"{' *' if step.is_best else '  '}  {step.tokens_per_second:,.0f} {unit}/s"
        f"  norm {step.gradient_norm:.2f}, {step.clipped_share:.0%} clipped{_saturation(step)}"
    )


def _saturation(step: "Step") -> str:
    return "" if step.gate_saturation is None else f", gates {step.gate_saturation:.0%} saturated"


def _show_sample(view: "Progress", sample: str) -> None:
    for line in sample.strip().splitlines()[:SAMPLE_LINES]:
        view.console.print(f"  | {line[:SAMPLE_WIDTH]}", style="dim")


def _preview(output: Path, seed: int) -> str:
    """Return a sample of the best model so far; of music only what can be shown as text."""
    from seqgen.artifacts import load_artifact
    from seqgen.sampling.engine import SampleConfig, Sampler
    from seqgen.sampling.events import collect
    from seqgen.sampling.outputs import make_piece, natural_format

    artifact = load_artifact(output, verify=False)
    form = natural_format(artifact.tokenizer)
    if form not in ("text", "abc"):
        return ""
    config = SampleConfig(length=SAMPLE_TOKENS, seed=seed, temperature=SAMPLE_TEMPERATURE)
    (sample,) = collect(Sampler(artifact).generate(config))
    if form == "text":
        return sample.text
    from seqgen.music.write import write_abc

    abc = write_abc([make_piece(artifact.tokenizer, sample.tokens, "")])
    return "\n".join(line for line in abc.splitlines() if line[1:2] != ":")  # the music without its headers


def _write_events(events: Any, step: "Step") -> None:
    events.add_scalar("loss/train", step.loss_nats, step.step)
    events.add_scalar("gradient_norm", step.gradient_norm, step.step)
    events.add_scalar("clipped_share", step.clipped_share, step.step)
    events.add_scalar("learning_rate", step.learning_rate, step.step)
    events.add_scalar("tokens_per_second", step.tokens_per_second, step.step)
    if step.gate_saturation is not None:
        events.add_scalar("gate_saturation", step.gate_saturation, step.step)
    if step.validation:
        events.add_scalar("loss/valid", step.validation.loss_nats, step.step)


def _event_writer(folder: Path | None) -> AbstractContextManager[Any]:
    if folder is None:
        return nullcontext()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard needs an extra: pip install 'seqgen[tensorboard]'") from error
    writer: AbstractContextManager[Any] = SummaryWriter(str(folder))
    return writer

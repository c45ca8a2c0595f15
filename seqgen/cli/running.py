"""What every kind of training needs around it: what was asked for, a place to write, and Ctrl-C."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.cli.options import MUSIC_KEYS
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.training.step import Step


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What `seqgen train` was asked to do.

    Attributes:
        corpus: The names of files, folders or corpora to train on.
        output: The model directory.
        chosen: The configuration values that were given, nested.
        valid: Files that validate, where the user has them apart.
        test: Files for the test, likewise.
        init_from: A language model to start from.
        memory: Most memory to take, in GB.
    """

    corpus: list[str]
    output: Path
    chosen: dict[str, Any]
    preset: str
    valid: list[str]
    test: list[str]
    init_from: Path | None
    vocab: Path | None
    memory: float | None
    resume: bool
    overwrite: bool
    tensorboard: Path | None


_RUNNERS = {
    "lm": "seqgen.cli.train",
    "classify": "seqgen.cli.train_classifier",
    "translate": "seqgen.cli.train_translator",
}
"""The module whose `run(request)` trains a model for each task."""

_LANGUAGE_MODELS_ALONE = {
    "corpus": ("documents", "column", *MUSIC_KEYS["corpus"]),
    "vocab": MUSIC_KEYS["vocab"],
    "training": (
        "random_bptt",
        "activation_regularization",
        "temporal_regularization",
        "ngram_smoothing",
        "distillation",
        "teachers",
        "fold",
    ),
}
"""Keys of how a stream of documents, or music, is read and learnt, which labelled texts and pairs are not."""


def runner_of(request: TrainRequest) -> Callable[[TrainRequest], int]:
    """Return what does a training, by its task; one that is resumed stays with its own.

    Raises:
        ConfigError: If settings of another task were given.
    """
    task = request.chosen.get("task") or _task_to_resume(request) or "lm"
    for other in _RUNNERS:
        if other != task and other in request.chosen:
            key = next(iter(request.chosen[other]))
            raise ConfigError(f"{other}.{key} is of no effect on --task {task}; it is for --task {other}")
    for section, keys in _LANGUAGE_MODELS_ALONE.items():
        for key in keys:
            if task != "lm" and key in request.chosen.get(section, {}):
                raise ConfigError(f"{section}.{key} is of no effect on --task {task}; leave it out")
    if task == "lm" and (request.valid or request.test):
        raise ConfigError("--valid and --test are for --task classify and translate; use --split here")
    run: Callable[[TrainRequest], int] = import_module(_RUNNERS[task]).run
    return run


def _task_to_resume(request: TrainRequest) -> str | None:
    from seqgen.artifacts import load_checkpoint

    return load_checkpoint(request.output).config.task if request.resume else None


def refuse_to_overwrite(output: Path) -> None:
    """Raise ConfigError where a training would write over something."""
    from seqgen.artifacts import is_model

    if is_model(output):
        raise ConfigError(f"{output}: holds a model; go on with --resume, replace it with --overwrite")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output}: exists and is not a model directory; choose another -o")


@contextmanager
def ctrl_c_noted() -> "Iterator[list[int]]":
    """Yield a list that the first Ctrl-C fills; the second one interrupts as usual."""
    noted: list[int] = []
    former = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: object) -> None:
        noted.append(number)
        signal.signal(signal.SIGINT, former)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, former)


def until(interrupted: list[int], steps: "Iterator[Step]") -> "Iterator[Step]":
    """Pass steps on until Ctrl-C was pressed: a step is never cut in two."""
    for step in steps:
        yield step
        if interrupted:
            return

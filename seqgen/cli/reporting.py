"""What the pages of `seqgen report` have in common, whatever the task of the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.report.page import Section

CELLS = {
    "lstm": "An LSTM",
    "gru": "A GRU",
    "rnn": "A tanh RNN",
    "window": "A window",
    "bow": "A bag of words",
}
_LEARNING = (
    "The loss on what it trained on, and on what it did not see. Where the second rises while the first "
    "falls, it learns by heart."
)


@dataclass(frozen=True)
class Subject:
    """A model that is reported on, and how.

    Attributes:
        count: How many samples or examples to show.
        temperature: Of samples.
        seed: Decides samples.
        compared: Models it is compared with, as `seqgen compare --json` tells them.
    """

    artifact: "Artifact"
    count: int
    temperature: float
    seed: int
    compared: Sequence[dict[str, Any]]


S = TypeVar("S", bound=Subject)


@dataclass(frozen=True)
class TaskReport(Generic[S]):
    """What a page shows of the models of a task.

    Attributes:
        subject: Such a model, and what several sections need of it.
        subtitle: Tells what the model is, in a sentence.
        sections: In their order; one that does not suit a model is None, and absent.
        count: How many samples or examples are shown where the user does not say.
        unused: Options of the command that are of no effect on such a page.
    """

    subject: Callable[..., S]
    subtitle: Callable[[S], str]
    sections: "tuple[Callable[[S], Section | None], ...]"
    count: int
    unused: tuple[str, ...] = ()


def learning_section(subject: Subject, unit: str, remark: str = "") -> "Section | None":
    """Show the curves of a training whose losses are means per `unit`; None where it was too short."""
    from seqgen.report.sections import curves_section

    history = subject.artifact.history()
    return curves_section(history, f"{_LEARNING}{remark}", unit) if len(history) > 1 else None


def corpus_name(artifact: "Artifact") -> str:
    """Name a corpus without the folders it lies in, which are nobody else's business."""
    return ", ".join(Path(name).name for name in artifact.source.get("corpus", []))


def trained_on(artifact: "Artifact") -> str:
    """Tell what a model was trained on, and for how long."""
    history = artifact.history()
    time = f" for {_duration(float(history[-1]['seconds']))}" if history else ""
    return f"trained on {corpus_name(artifact) or 'an unnamed corpus'}{time}"


def parameter_count(artifact: "Artifact") -> str:
    """Return how many weights a model has, as it is shown."""
    return f"{sum(array.size for array in artifact.weights().values()):,}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

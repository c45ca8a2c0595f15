"""What a training tells of itself while it goes on."""

from dataclasses import dataclass
from typing import Protocol


class Validation(Protocol):
    """A score measured while training; `seqgen.evaluation.Score` is one."""

    @property
    def loss_nats(self) -> float:
        """Mean loss of what is predicted: a token, or the label of an example."""
        ...

    @property
    def summary(self) -> str:
        """What to tell of it in a few words."""
        ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of training, or the validation that followed it.

    Attributes:
        step: Steps done, this one included.
        epoch: Passes over the training part, as a fraction.
        progress: Share of the budget used, 0 to 1.
        loss_nats: Mean training loss of this batch per token.
        gradient_norm: Before clipping.
        clipped_share: Share of the steps among the last 100 whose gradients were clipped.
        tokens_per_second: Since training began or was resumed, validations not counted.
        validation: The score measured after this step, if it was due.
        gate_saturation: Then also the share of gate values below 0.1 or above 0.9, of an LSTM or GRU.
        is_best: Whether that score is the best so far.
        stopped_early: Whether this is the last step because the score no longer improved.
        notice: What the user should know of what happened before this step.
    """

    step: int
    epoch: float
    progress: float
    loss_nats: float
    gradient_norm: float
    clipped_share: float
    learning_rate: float
    seconds: float
    tokens_per_second: float
    validation: Validation | None = None
    gate_saturation: float | None = None
    is_best: bool = False
    stopped_early: bool = False
    notice: str | None = None

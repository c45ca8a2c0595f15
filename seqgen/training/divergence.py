"""Telling a training that falls apart from one that is merely noisy."""

import math
from collections.abc import Mapping

SMOOTHING = 0.02
"""Share of the newest loss in the smoothed one, which so follows some 50 steps."""
MOST_RECOVERIES = 3
"""How often training goes back to a good state, at half the learning rate, before it gives up."""
HOPELESS = 10.0
"""A validation loss of so many times that of a uniform model is no overfitting; weights have exploded."""


class DivergenceError(ArithmeticError):
    """Training fell apart; the message says how. The loop catches it, no user sees it."""


class LossWatch:
    """Follows the training loss and says when it has exploded.

    The smoothed loss begins at ln V, that of a model to which all V tokens are alike. It has exploded when
    half of what was learned is lost again, or a quarter of ln V where that is more. One wild batch is not
    enough, unless its loss is absurd.

    Args:
        vocab_size: V.
    """

    def __init__(self, vocab_size: int) -> None:
        self.uniform = math.log(max(vocab_size, 2))
        self.smoothed = self.best = self.uniform

    @property
    def limit(self) -> float:
        """The smoothed loss above which training has diverged."""
        return self.best + max(self.uniform - self.best, self.uniform / 2) / 2

    def check_step(self, loss_nats: float, gradient_norm: float) -> None:
        """Take note of a step.

        Raises:
            DivergenceError: If training cannot go on from here.
        """
        if not math.isfinite(loss_nats):
            raise DivergenceError("the loss is no longer finite")
        if not math.isfinite(gradient_norm):
            raise DivergenceError("the gradient is no longer finite")
        self.smoothed += SMOOTHING * (loss_nats - self.smoothed)
        self.best = min(self.best, self.smoothed)
        if self.smoothed > self.limit:
            raise DivergenceError(f"the loss has exploded to {loss_nats:.3g} nats")

    def check_validation(self, loss_nats: float) -> None:
        """Look at a validation loss.

        Raises:
            DivergenceError: If no model that could be trained further has it.
        """
        if not loss_nats < HOPELESS * self.uniform:  # which NaN is not, either
            raise DivergenceError(f"the validation loss has exploded to {loss_nats:.3g} nats")

    def record(self) -> dict[str, float]:
        """Return what was seen so far, for a checkpoint."""
        return {"smoothed": self.smoothed, "best": self.best}

    def restore(self, record: Mapping[str, float]) -> None:
        """Put back what `record` returned."""
        self.smoothed = record.get("smoothed", self.uniform)
        self.best = record.get("best", self.uniform)

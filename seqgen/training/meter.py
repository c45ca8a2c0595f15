"""The clock of a training, and how its last steps went."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

RECENT_STEPS = 100
"""The share of clipped steps is among so many."""


class Meter:
    """Measures one run of the loop; nothing of it is kept.

    Args:
        seconds: What the training took before.
    """

    def __init__(self, seconds: float) -> None:
        self._began = time.perf_counter() - seconds
        self._idle = seconds
        self._tokens = 0
        self._clipped: deque[bool] = deque(maxlen=RECENT_STEPS)

    def seconds(self) -> float:
        """Return the seconds that the training took so far."""
        return time.perf_counter() - self._began

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do not count what happens meanwhile as time of the steps."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._idle += time.perf_counter() - began

    def count(self, tokens: int, *, clipped: bool) -> None:
        """Take note of a step."""
        self._tokens += tokens
        self._clipped.append(clipped)

    def tokens_per_second(self) -> float:
        """Return the speed of the steps counted."""
        return self._tokens / max(self.seconds() - self._idle, 1e-9)

    def clipped_share(self) -> float:
        """Return which share of the recent steps had their gradients clipped."""
        return sum(self._clipped) / max(len(self._clipped), 1)

"""Stop strings: text is held back while it may still turn out to be the beginning of one.

What has been shown can not be taken back, so a sample that ends at a stop string never shows a part of it.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Drawn(NamedTuple):
    """A token was drawn.

    Attributes:
        sequence: Which of the samples it belongs to, from 0.
        logprob: Its log-probability in nats under the model alone, without temperature or filters.
        text: The text that became certain with it; music has none.
    """

    sequence: int
    token: int
    logprob: float
    text: str


class StopWatch:
    """Passes tokens on unless their text is, or may become, a stop string.

    A token in which a stop string begins is passed on with the text before it; what follows is dropped.
    """

    def __init__(self, stops: Iterable[str] = ()) -> None:
        self._stops = tuple(stops)
        self._held: list[Drawn] = []
        self.stopped = False
        """Whether a stop string was met; nothing more is passed on then."""

    def feed(self, drawn: Drawn) -> list[Drawn]:
        """Take a token and return those that are certain now, in order."""
        if not self._stops:
            return [drawn]
        self._held.append(drawn)
        text = "".join(held.text for held in self._held)
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._cut(min(found))
        return self._release(len(text) - max(_overlap(text, stop) for stop in self._stops))

    def flush(self) -> list[Drawn]:
        """Return what is still held back, because nothing follows that could make it a stop string."""
        held, self._held = self._held, []
        return held

    def _release(self, certain: int) -> list[Drawn]:
        """Return the held tokens that lie wholly within the first `certain` characters."""
        end = count = 0
        for drawn in self._held:
            end += len(drawn.text)
            if end > certain:
                break
            count += 1
        released, self._held = self._held[:count], self._held[count:]
        return released

    def _cut(self, end: int) -> list[Drawn]:
        """Return the held tokens that begin before character `end`, the last one shortened."""
        kept, start = [], 0
        for drawn in self.flush():
            if start >= end:
                break
            kept.append(drawn._replace(text=drawn.text[: end - start]))
            start += len(drawn.text)
        return kept


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that is a beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)

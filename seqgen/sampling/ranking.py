"""Which of several samples is the likeliest, under the model alone.

A score is the log-probability of all tokens together, EOS included, in nats. As every token takes something
off it, longer samples are less likely; a length penalty makes up for that (Wu et al. 2016, "Google's neural
machine translation system"): the score is divided by ((5 + tokens) / 6) ** penalty.
"""

from collections.abc import Iterable, Iterator

from seqgen.errors import ConfigError
from seqgen.sampling.events import Ended, Event, in_order

MAX_CANDIDATES = 10_000
MAX_LENGTH_PENALTY = 10.0


def check_candidates(candidates: int) -> None:
    """Refuse a number of candidates that makes no sense.

    Raises:
        ConfigError: If it does not.
    """
    if not 1 <= candidates <= MAX_CANDIDATES:
        raise ConfigError(f"--best-of {candidates}: 1 to {MAX_CANDIDATES:,} candidates")


def check_length_penalty(penalty: float) -> None:
    """Refuse a penalty that makes no sense.

    Raises:
        ConfigError: If it does not.
    """
    if not 0 <= penalty <= MAX_LENGTH_PENALTY:
        raise ConfigError(f"--length-penalty {penalty}: 0 (none) to {MAX_LENGTH_PENALTY:g}")


def penalised(score: float, tokens: int, penalty: float) -> float:
    """Return a score by which sequences of different lengths are compared.

    Args:
        score: In nats.
        tokens: How many it is of, EOS included.
        penalty: 0 leaves it as it is.
    """
    return float(score / ((5 + tokens) / 6) ** penalty)


def best_of(events: Iterable[Event], candidates: int, *, length_penalty: float = 0.0) -> Iterator[Event]:
    """Keep the likeliest of every few sequences, the first one of equals, and number these anew.

    One that ended early because all that could follow would have copied too much loses to any other.

    Args:
        events: Of the sequences, as the sampler gives them.
        candidates: How many sequences are compared at a time.
        length_penalty: See the module.
    """
    best: list[Event] = []
    best_score = (False, float("-inf"))
    sequence: list[Event] = []
    for event in in_order(events):
        sequence.append(event)
        if not isinstance(event, Ended):
            continue
        drawn = len(sequence) - (event.reason != "eos")
        total = sum(part.logprob for part in sequence)
        score = event.reason != "copy", penalised(total, drawn, length_penalty)
        if not best or score > best_score:
            best, best_score = sequence, score
        sequence = []
        if (event.sequence + 1) % candidates == 0:
            number = event.sequence // candidates
            yield from (part._replace(sequence=number) for part in best)
            best = []

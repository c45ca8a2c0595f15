"""Learning-rate schedules: the share of the peak rate at a step, over whatever the budget is counted in.

A schedule is a function of where training stands and of the validation losses so far. It keeps nothing, so a
training that is resumed follows the same curve.
"""

import math
from collections.abc import Callable, Sequence

from seqgen.config import TrainingConfig

FINAL_RATE = 0.02
"""The cosine schedule ends at this share of the peak."""
WARM_UP = 0.05
"""Longest warm-up as a share of the budget."""
CYCLE_RISE = 0.3
"""Share of the budget in which one-cycle rises to its peak."""
CYCLE_START, CYCLE_END = 1 / 25, 1e-4
"""Where one-cycle begins and ends, as shares of its peak."""


def rate_factor(config: TrainingConfig, step: int, progress: float, losses: Sequence[float]) -> float:
    """Return the share of the peak learning rate.

    Args:
        config: Names the schedule and sets its details.
        step: Steps done so far.
        progress: Share of the budget used, 0 to 1.
        losses: The validation losses so far, oldest first.
    """
    return _SCHEDULES[config.schedule](config, step, progress, losses)


def _warm_up(config: TrainingConfig, step: int, progress: float) -> float:
    """Rise linearly to 1 over `warmup_steps`; a short budget warms up for `WARM_UP` of it instead."""
    return min(1.0, max((step + 1) / (config.warmup_steps + 1), progress / WARM_UP))


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def _constant(config: TrainingConfig, step: int, progress: float, _losses: Sequence[float]) -> float:
    return _warm_up(config, step, progress)


def _cosine(config: TrainingConfig, step: int, progress: float, _losses: Sequence[float]) -> float:
    """Half a cosine down to `FINAL_RATE` (Loshchilov and Hutter 2017, without restarts)."""
    return _warm_up(config, step, progress) * _cosine_between(1.0, FINAL_RATE, progress)


def _one_cycle(_config: TrainingConfig, _step: int, progress: float, _losses: Sequence[float]) -> float:
    """Up to the peak and down to almost nothing (Smith and Topin 2019).

    Both legs are half a cosine where the paper's are straight, and momentum is not cycled.
    """
    if progress < CYCLE_RISE:
        return _cosine_between(CYCLE_START, 1.0, progress / CYCLE_RISE)
    return _cosine_between(1.0, CYCLE_END, (progress - CYCLE_RISE) / (1 - CYCLE_RISE))


def _plateau(config: TrainingConfig, step: int, progress: float, losses: Sequence[float]) -> float:
    """Multiply by `plateau_factor` whenever `plateau_patience` validations in a row bring no new best."""
    best, stale, drops = math.inf, 0, 0
    for loss in losses:
        best, stale = (loss, 0) if loss < best else (best, stale + 1)
        if stale == config.plateau_patience:
            drops, stale = drops + 1, 0
    return _warm_up(config, step, progress) * config.plateau_factor**drops


_SCHEDULES: dict[str, Callable[[TrainingConfig, int, float, Sequence[float]], float]] = {
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "plateau": _plateau,
    "constant": _constant,
}

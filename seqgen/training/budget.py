"""How long to train, how far along a training is, and what size of model suits a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqgen.config import TrainingConfig, build_config, merge
from seqgen.errors import ConfigError

DEFAULT_MINUTES = 3.0
BUDGETS = ("steps", "epochs", "minutes")
"""The keys of `training` that a budget can be given by."""

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "model": {"hidden_size": 128, "embedding_size": 64, "dropout": 0.4},
        "training": {"batch_size": 16, "bptt": 64},
    },
    "small": {
        "model": {"hidden_size": 256, "embedding_size": 128, "dropout": 0.2},
        "training": {"batch_size": 64, "bptt": 64},
    },
    "medium": {
        "model": {"hidden_size": 512, "embedding_size": 256, "dropout": 0.3},
        "training": {"batch_size": 64, "bptt": 96},
    },
    "large": {
        "model": {"hidden_size": 1024, "embedding_size": 512, "dropout": 0.4},
        "training": {"batch_size": 128, "bptt": 128, "learning_rate": 2e-3},
    },
}

LARGE_VOCABULARY = 5_000
"""From so many tokens on, most of a step would go into a full softmax."""

_SGD = {"learning_rate": 20.0, "clip_norm": 0.25, "weight_decay": 1.2e-6, "validations": 40}
"""After PyTorch's word-language-model and Merity et al. 2018; a rate of 20 needs clipping as tight."""
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "muon": {"momentum": 0.9},
    "sgd": {**_SGD, "schedule": "plateau", "plateau_patience": 3},
    "nt-asgd": {**_SGD, "schedule": "constant"},
}


def preset(name: str) -> dict[str, Any]:
    """Return the nested configuration values of a preset.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"--preset {name}: choose {', '.join(PRESETS)} or auto")
    return PRESETS[name]


def suited_to(optimizer: str) -> dict[str, Any]:
    """Return the nested configuration values that an optimiser does well with, to lay over a preset."""
    return {"training": OPTIMIZERS[optimizer]}


def suited_to_vocabulary(settled: Mapping[str, Any], *, size: int, level: str) -> dict[str, Any]:
    """Return the nested configuration values that a large vocabulary does well with: an adaptive softmax.

    Args:
        settled: Nested values that are decided; some need a full softmax.
        size: V.
        level: Of the tokenizer; notes are not ordered by frequency.
    """
    config = build_config(settled)
    training = config.training
    full = config.model.tied or training.label_smoothing or training.ngram_smoothing or training.teachers
    if size < LARGE_VOCABULARY or level not in ("word", "subword") or full:
        return {}
    return {"model": {"softmax": "adaptive"}}


def preset_for(train_tokens: int, *, accelerated: bool) -> str:
    """Choose a preset by the size of the training part; a GPU affords one size more."""
    if train_tokens < 100_000:
        return "tiny"
    if train_tokens < 20_000_000:
        return "medium" if accelerated else "small"
    return "large" if accelerated else "medium"


@dataclass(frozen=True)
class Budget:
    """When training ends: after a number of steps, of seconds, or whichever comes first."""

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, config: TrainingConfig, *, steps_per_epoch: int) -> "Budget":
        """Build a budget from what the user gave; with nothing, `DEFAULT_MINUTES`."""
        steps = [] if config.steps is None else [config.steps]
        if config.epochs is not None:
            steps.append(max(1, round(config.epochs * steps_per_epoch)))
        minutes = config.minutes if steps or config.minutes else DEFAULT_MINUTES
        return cls(steps=min(steps, default=None), seconds=None if minutes is None else 60 * minutes)

    def progress(self, step: int, seconds: float) -> float:
        """Return how much of the budget is used, 0 to 1."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))


def with_budget(plain: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested configuration values with the budget that was chosen, if one was, for their own."""
    budget = {key: chosen.get("training", {}).get(key) for key in BUDGETS}
    return merge(plain, {"training": budget} if any(budget.values()) else {})


def budget_text(config: TrainingConfig) -> str:
    """Say how long a training lasts, such as "3 minutes"."""
    given = []
    if config.steps is not None:
        given.append(f"{config.steps:,} step{'s' * (config.steps != 1)}")
    if config.epochs is not None:
        given.append(f"{config.epochs:g} epoch{'s' * (config.epochs != 1)}")
    if config.minutes is not None:
        minutes = round(config.minutes, 2)
        given.append(f"{minutes:g} minute{'s' * (minutes != 1)}")
    return " or ".join(given) or f"{DEFAULT_MINUTES:g} minutes"

"""What contradicts itself whatever the corpus: refused before that is read."""

import torch

from seqgen.config import Config
from seqgen.data.folds import parse_fold
from seqgen.errors import ConfigError
from seqgen.networks.tasks import LanguageModel
from seqgen.runtime import choose_device
from seqgen.training.averaging import averaging_rule

_SOME_TOKENS = 1024
"""A vocabulary that every output layer takes."""


def check_settings(config: Config) -> None:
    """Refuse the settings of a language model that do not go together.

    Raises:
        ConfigError: Naming them, or a device that is missing.
    """
    settings, model = config.training, config.model
    choose_device(settings.device)
    if settings.temporal_regularization and model.dropout and not model.locked_dropout:
        raise ConfigError("--tar compares steps, which free dropout makes differ: add --locked-dropout")
    _check_targets(config)
    averaging_rule(settings)
    with torch.device("meta"):
        LanguageModel(model, max(_SOME_TOKENS, *(cutoff + 1 for cutoff in model.cutoffs), 1))


def _check_targets(config: Config) -> None:
    settings = config.training
    soft = {"--ngram-smoothing": settings.ngram_smoothing, "--teacher": settings.teachers}
    for flag, given in soft.items():
        if given and settings.label_smoothing:
            raise ConfigError(f"{flag} and --label-smoothing both spread targets; ask for one of them")
        if given and config.model.softmax == "adaptive":
            raise ConfigError(f"{flag} spreads targets over all tokens; leave out --softmax adaptive")
    if settings.teachers and settings.ngram_smoothing + settings.distillation >= 1:
        raise ConfigError("--ngram-smoothing and --distillation leave nothing of a target; lower one of them")
    if settings.fold:
        parse_fold(settings.fold)
        if settings.teachers:
            raise ConfigError("--fold is for teachers, and these have none: leave out --teacher or --fold")

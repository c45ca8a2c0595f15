"""What contradicts itself whatever the corpus: refused before that is read."""

import torch

from seqgen.config import Config
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
    if settings.ngram_smoothing and settings.label_smoothing:
        raise ConfigError("--ngram-smoothing and --label-smoothing both spread targets; ask for one of them")
    if settings.ngram_smoothing and model.softmax == "adaptive":
        raise ConfigError("--ngram-smoothing spreads targets over all tokens; leave out --softmax adaptive")
    averaging_rule(settings)
    with torch.device("meta"):
        LanguageModel(model, max(_SOME_TOKENS, *(cutoff + 1 for cutoff in model.cutoffs), 1))

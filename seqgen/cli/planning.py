"""How `seqgen train` fills in what the user left open, and says what it will do on what machine."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.cli.console import notice
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.config import Config, TrainingConfig
    from seqgen.data.index import TokenIndex


def choose(
    index: "TokenIndex",
    settled: dict[str, Any],
    preset: str = "auto",
    *,
    memory: float | None = None,
    planned: bool = True,
) -> "Config":
    """Return the complete configuration and tell it.

    Args:
        index: The token index.
        settled: Nested values that the user or the index decided.
        preset: The name of a preset; auto plans by the budget, or else goes by the size of the corpus.
        memory: Most memory to take, in GB.
        planned: Whether auto may plan; models that are to be compared get the same size instead.

    Raises:
        ConfigError: If the preset is unknown or the memory too little.
    """
    from seqgen.config import build_config
    from seqgen.training.memory import process_bytes

    held = process_bytes()
    values, how = _plan(index, settled, memory) if planned and preset == "auto" else (None, "")
    if values is None:
        values, how = _preset(index, settled, preset)
    config = build_config(values)
    needed = _memory_needed(index, config, held)
    if memory is not None:
        _check_memory(needed, memory)
    if planned and how != "plan" and "learning_rate" not in settled.get("training", {}):
        config = _with_suited_rate(index, config)
    _tell_plan(index, config, how, needed)
    return config


def check_early(chosen: dict[str, Any], preset: str, memory: float | None) -> None:
    """Refuse what can be refused before the corpus is read.

    Raises:
        ConfigError: If settings contradict each other, the preset is unknown, or the memory is too little for
            any model.
        ArtifactError: If a teacher cannot be read.
    """
    from seqgen.artifacts import load_artifact
    from seqgen.config import build_config, merge
    from seqgen.training import budget
    from seqgen.training.checks import check_settings
    from seqgen.training.memory import in_words, least_memory

    config = build_config(merge({} if preset == "auto" else budget.preset(preset), chosen))
    check_settings(config)
    if chosen.get("training", {}).get("distillation") and not config.training.teachers:
        raise ConfigError("training.distillation is of no effect without --teacher; name the teachers")
    for path in config.training.teachers:
        load_artifact(Path(path), verify=False)
    if memory is not None and least_memory() > memory * 1e9:
        least = in_words(least_memory())
        raise ConfigError(f"--memory {memory:g}: torch alone takes {least}; allow more, in GB")


def _plan(
    index: "TokenIndex", settled: dict[str, Any], memory: float | None
) -> "tuple[Mapping[str, Any] | None, str]":
    """Return what the planner chooses and how to call it; None, and a line why, where it does not plan."""
    from seqgen.training.planner import EXPERIENCE, make_plan, planned_seconds, reason_not_to_plan

    reason = reason_not_to_plan(settled, len(index.tokenizer.tokens))
    if reason is not None:
        notice(f"not planned: {reason}; a preset by the size of the corpus fills what is open")
        return None, ""
    seconds = planned_seconds(settled)
    plan = make_plan(index, settled, seconds=seconds, memory=None if memory is None else memory * 1e9)
    notice(f"planned in {plan.seconds:.1f} s: {'; '.join(plan.timed)}")
    seen = f"{plan.epochs:.3g} times over the corpus at {plan.tokens_per_second:,.0f} tokens/s"
    if not plan.whole:
        seen += f", about {plan.lasts:.0f} s: more would only overfit"
    notice(
        f"expected: about {plan.loss_nats:.2f} nats per token on the validation part, {EXPERIENCE} ({seen})"
    )
    return plan.values, "plan"


def _preset(index: "TokenIndex", settled: dict[str, Any], name: str) -> "tuple[Mapping[str, Any], str]":
    """Return the values of a preset and of what suits the optimiser below those settled, and what it is."""
    from seqgen.config import build_config, merge
    from seqgen.runtime import choose_device
    from seqgen.training.budget import preset, preset_for, suited_to, suited_to_vocabulary

    training = build_config(settled).training
    suited = suited_to(training.optimizer)
    if name == "auto":
        accelerated = choose_device(training.device) != "cpu"
        name = preset_for(index.counts("train")["tokens"], accelerated=accelerated)
        size, level = len(index.tokenizer.tokens), index.tokenizer.level
        suited = merge(suited, suited_to_vocabulary(settled, size=size, level=level))
    return merge(merge(preset(name), suited), settled), f"{name} preset"


def _with_suited_rate(index: "TokenIndex", config: "Config") -> "Config":
    from seqgen.training.planner import suited_rate

    rate = suited_rate(index, config)
    return config if rate is None else replace(config, training=replace(config.training, learning_rate=rate))


def _check_memory(needed: int, memory: float) -> None:
    from seqgen.training.memory import in_words

    if needed > memory * 1e9:
        raise ConfigError(
            f"--memory {memory:g}: this model takes {in_words(needed)}; choose a smaller --hidden-size or "
            "--batch-size, or allow more"
        )


def _memory_needed(index: "TokenIndex", config: "Config", held: int) -> int:
    from seqgen.training.loop import fit_batch
    from seqgen.training.memory import memory_needed

    training, tokens = config.training, index.counts("train")["tokens"]
    rows, steps = fit_batch(tokens, batch_size=training.batch_size, bptt=training.bptt)
    sizes = {"rows": rows, "steps": steps, "tokens": tokens, "held": held}
    return memory_needed(config, vocab_size=len(index.tokenizer.tokens), **sizes)


def _tell_plan(index: "TokenIndex", config: "Config", how: str, needed: int) -> None:
    from seqgen.training.budget import budget_text
    from seqgen.training.card import model_options
    from seqgen.training.loop import fit_batch

    model, training = config.model, config.training
    tokens = index.counts("train")["tokens"]
    notice(
        f"{config.vocab.level} level, vocabulary {len(index.tokenizer.tokens):,}, "
        f"{tokens:,} tokens to train on, {index.counts('valid')['tokens']:,} to validate on"
    )
    rows, bptt = fit_batch(tokens, batch_size=training.batch_size, bptt=training.bptt)
    if (rows, bptt) != (training.batch_size, training.bptt):
        notice(f"the corpus is smaller than a batch: {rows} rows of {bptt} tokens are used")
    notice(
        f"{how}: {model.cell} {model.layers} x {model.hidden_size}, "
        f"{''.join(f'{option}, ' for option in model_options(model))}"
        f"dropout {model.dropout:g}, {_targets_text(training)}{rows} x {bptt} tokens a step, "
        f"rate {training.learning_rate:g}, {budget_text(training)}"
    )
    notice(_machine_text(index, config, needed))
    if training.optimizer != "adamw":
        notice(f"{training.optimizer}, schedule {training.schedule}; {training.validations} validations")


def _targets_text(training: "TrainingConfig") -> str:
    """Say what is unusual about the targets, each with a comma after it."""
    texts = []
    if training.ngram_smoothing:
        texts.append(f"n-gram smoothing {training.ngram_smoothing:g}")
    if training.teachers:
        teachers = "1 teacher" if len(training.teachers) == 1 else f"{len(training.teachers)} teachers"
        texts.append(f"distillation {training.distillation:g} from {teachers}")
    if training.fold:
        texts.append(f"without fold {training.fold}")
    return "".join(f"{text}, " for text in texts)


def _machine_text(index: "TokenIndex", config: "Config", needed: int) -> str:
    """Say what the training runs on, and on a CPU the memory it will take."""
    import torch

    from seqgen.kernels.recurrent import HAS_NUMBA, choose_precision
    from seqgen.networks.tasks import LanguageModel
    from seqgen.runtime import choose_device, cpu_count
    from seqgen.training.memory import in_words

    training = config.training
    device = torch.device(choose_device(training.device))
    precision = choose_precision(device, training.precision)
    with torch.device("meta"):
        encoder = LanguageModel(config.model, len(index.tokenizer.tokens)).encoder
    text = f"{device.type}: {encoder.implementation(device, precision).value}"
    if device.type == "cpu":
        text += f", {cpu_count()} threads, {in_words(needed)} of memory"
        if not HAS_NUMBA:
            text += "; numba is missing, which would be faster: pip install numba"
    return text

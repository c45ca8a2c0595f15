"""The model card: what a model is, what it was trained on and how well it does, for people to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqgen.config import Config, ModelConfig
from seqgen.training.budget import budget_text

History = Sequence[Mapping[str, Any]]
"""One record a validation, oldest first."""
_NAMES = {
    "lstm": "An LSTM",
    "gru": "A GRU",
    "rnn": "A tanh RNN",
    "window": "A fixed window",
    "bow": "A bag of words",
}


def model_card(
    name: str,
    config: Config,
    source: Mapping[str, Any],
    scores: Mapping[str, Any],
    parameters: int,
    history: History,
) -> str:
    """Return the text of a model directory's README.md, in Markdown."""
    model = config.model
    what = [
        f"{_NAMES[model.cell]} of {model.layers} × {model.hidden_size} units"
        f"{''.join(f', {option}' for option in model_options(model))} ({parameters:,} parameters)",
        f"over {config.vocab.level} tokens, {_training(config, history)}.",
    ]
    facts = [_corpus("Corpus", source)]
    if source.get("licence"):
        facts.append(f"- Licence of the corpus: {source['licence']}")
    if config.training.fold:
        facts.append(f"- Trained without fold {config.training.fold} of the training part")
    if config.training.teachers:
        facts.append(f"- Taught by: {', '.join(config.training.teachers)}")
    return _card(name, what, facts, config, command=f"seqgen sample {name}", scores=_score_table(scores))


def classifier_card(
    name: str,
    config: Config,
    source: Mapping[str, Any],
    scores: Mapping[str, Any],
    parameters: int,
    history: History,
) -> str:
    """Return the text of a classifier's README.md, in Markdown."""
    model, task = config.model, config.classify
    layers = "" if model.cell == "bow" else f" of {model.layers} × {model.hidden_size} units"
    both = ", read from both ends" * model.bidirectional
    what = [
        f"{_NAMES[model.cell]}{layers}{both} ({parameters:,} parameters)",
        f"over {config.vocab.level} tokens, {task.pool} pooling, {_training(config, history)}.",
    ]
    facts = [f"- Labels: {', '.join(task.labels)}", _corpus("Corpus", source)]
    if task.init_from:
        facts.append(f"- Started from: {task.init_from}")
    table = []
    if scores:
        table += ["| part | examples | accuracy | macro-F1 |", "|---|---|---|---|"]
        table += [
            f"| {part} | {score['examples']:,} | {score['accuracy']:.4f} | {score['macro_f1']:.4f} |"
            for part, score in scores.items()
        ]
    return _card(name, what, facts, config, command=f"seqgen classify {name}", scores=table)


def translation_card(
    name: str,
    config: Config,
    source: Mapping[str, Any],
    scores: Mapping[str, Any],
    parameters: int,
    history: History,
) -> str:
    """Return the text of a translation model's README.md, in Markdown."""
    model = config.model
    directions = "both directions" if model.bidirectional else "one direction"
    what = [
        f"{_NAMES[model.cell]} of {model.layers} × {model.hidden_size} units that reads in {directions},"
        f" and one that writes ({parameters:,} parameters),",
        f"attention: {config.translate.attention}, {_training(config, history)}.",
    ]
    told = []
    if "valid" in scores:
        valid = scores["valid"]
        told.append(f"Validation: {valid['loss_nats']:.4f} nats per token ({valid['protocol']})")
        if "bleu" in valid:
            told[-1] += f", BLEU {valid['bleu']:.1f}, chrF {valid['chrf']:.1f}"
            told += ["", *(f"    {signature}" for signature in valid["signatures"].values())]
    command = f"seqgen translate {name} < sentences.txt"
    return _card(name, what, [_corpus("Pairs", source)], config, command=command, scores=told)


def _card(
    name: str,
    what: Sequence[str],
    facts: Sequence[str],
    config: Config,
    *,
    command: str,
    scores: Sequence[str],
) -> str:
    """Lay out what all cards have: a title, what the model is, facts, how it is used, how well it does."""
    seed = f"- Seed: {config.training.seed}"
    lines = [f"# {name}", "", *what, "", *facts, seed, "", "```", command, "```", "", *scores]
    return "\n".join(lines).rstrip() + "\n"


def _corpus(kind: str, source: Mapping[str, Any]) -> str:
    return f"- {kind}: {', '.join(source.get('corpus', [])) or 'unknown'}"


def _training(config: Config, history: History) -> str:
    """Say how long a model was trained, and of which moment its weights are."""
    most = "at most " if config.training.patience is not None else ""
    text = f"trained with seqgen for {most}{budget_text(config.training)}"
    if not history:
        return text
    best = min(history, key=_cost)
    return f"{text};\nits weights are those of epoch {best['epoch']:.3g}, the best that was measured"


def _cost(record: Mapping[str, Any]) -> float:
    """Return what the best weights have least of, at a validation."""
    if "merit" in record:
        return -float(record["merit"])
    validated = record["valid_loss_nats"]
    return float(record["train_loss_nats"] if validated is None else validated)


def model_options(model: ModelConfig) -> list[str]:
    """Name what is unusual about a model, such as "mogrifier of 5 rounds"."""
    context = [f"a context of {model.context} tokens"] if model.cell in ("window", "bow") else []
    one_hot = ["one-hot tokens"] * (model.embedding == "one-hot")
    rank = f" of rank {model.mogrifier_rank}" if model.mogrifier_rank else ""
    mogrifier = [f"mogrifier of {model.mogrifier} rounds{rank}"] if model.mogrifier else []
    normalised = ["layer normalisation"] * model.layer_norm
    return context + one_hot + mogrifier + normalised + ["adaptive softmax"] * (model.softmax == "adaptive")


def _score_table(scores: Mapping[str, Any]) -> list[str]:
    if not scores:
        return []
    rows = ["| part | protocol | nats per token | perplexity | bits per |", "|---|---|---|---|---|"]
    for part, score in scores.items():
        if "perplexity" not in score:
            continue
        bits = ", ".join(f"{unit} {value:.3f}" for unit, value in score.get("bits_per", {}).items())
        numbers = f"{score['loss_nats']:.4f} | {score['perplexity']:.3f}"
        rows.append(f"| {part} | {score['protocol']} | {numbers} | {bits} |")
    told = [*rows, "", "Scores compare only with scores of the same protocol."]
    return [*told, "", *_rounding_lines(scores["int8"])] if "int8" in scores else told


def _rounding_lines(cost: Mapping[str, Any]) -> list[str]:
    change = cost["loss_nats_rounded"] - cost["loss_nats_exact"]
    return [
        f"Sampling rounds the weights to int8 unless told `--exact`. On {cost['tokens']:,} validation tokens",
        f"that is a mean divergence of {cost['kl_nats']:.2g} nats, a loss "
        f"changed by {change:+.2g}, the same likeliest token {cost['same_likeliest']:.1%} of the time.",
    ]

"""`seqgen train --task classify`: from labelled texts to a classifier."""

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seqgen.cli.console import notice, show_table
from seqgen.cli.running import TrainRequest, ctrl_c_noted, refuse_to_overwrite, until
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact, Checkpoint
    from seqgen.config import Config
    from seqgen.data.examples import LabelledCorpus
    from seqgen.evaluation.classification import LabelScore
    from seqgen.networks.classifier import Classifier

_DEFAULTS: dict[str, Any] = {
    "model": {
        "cell": "lstm",
        "layers": 1,
        "hidden_size": 128,
        "embedding_size": 128,
        "dropout": 0.3,
        "input_dropout": 0.5,
    },
    "training": {"batch_size": 32, "learning_rate": 2e-3, "epochs": 10.0},
}
_FINE_TUNING: dict[str, Any] = {
    "training": {"batch_size": 32, "learning_rate": 2e-3, "schedule": "one-cycle", "epochs": 8.0},
    "classify": {"pool": "concat", "rate_decay": round(1 / 2.6, 4), "unfreeze_epochs": 1.0},
}
"""What suits a training that starts from a language model (Howard and Ruder 2018)."""
_WITH_VECTORS: dict[str, Any] = {"training": {"epochs": 4.0, "average": "ema"}}
"""What suits one that starts from its vectors alone."""


def run(request: TrainRequest) -> int:
    """Train a classifier; return the exit code."""
    from seqgen.artifacts import load_checkpoint
    from seqgen.cli.live import follow_steps
    from seqgen.runtime import prepare_torch
    from seqgen.training.classifying import Classification
    from seqgen.training.supervised import train_supervised

    _check(request)
    checkpoint = load_checkpoint(request.output) if request.resume else None
    if checkpoint is None and not request.overwrite:
        refuse_to_overwrite(request.output)
    base = None
    if checkpoint is not None:
        corpus = _prepare_again(request, checkpoint)
        source = checkpoint.source
    else:
        base = _language_model(request)
        corpus = _prepare(request, base)
        names = {"corpus": request.corpus, "valid": request.valid, "test": request.test}
        source = {**names, "corpus_hash": corpus.corpus_hash}
    prepare_torch(corpus.config.training.seed)
    model = _build(corpus, base)
    _tell_plan(corpus, model)
    objective = Classification(corpus, model, source)
    steps = train_supervised(
        objective, corpus.config, path=request.output, source=source, checkpoint=checkpoint
    )
    with closing(steps), ctrl_c_noted() as interrupted:
        follow_steps(until(interrupted, steps), unit="tokens", tensorboard=request.tensorboard)
    if interrupted:
        notice(f"interrupted; the model and a checkpoint are in {request.output}; go on with --resume")
        return 130
    _finish(corpus, objective, request)
    return 0


def _check(request: TrainRequest) -> None:
    """Refuse what makes no sense for a classifier."""
    if request.memory is not None:
        raise ConfigError("--memory plans language models; a classifier of whole texts is not planned")
    for key in ("tied", "softmax", "cutoffs"):
        if key in request.chosen.get("model", {}):
            raise ConfigError(f"model.{key} is about predicting tokens; a classifier predicts labels")
    if not request.init_from and request.chosen.get("classify", {}).get("vectors_only"):
        raise ConfigError("--vectors-only: there are none without --init-from MODEL")
    if request.init_from and request.vocab:
        raise ConfigError("--vocab: the vocabulary is that of the model of --init-from; leave it out")


def _language_model(request: TrainRequest) -> "Artifact | None":
    from seqgen.artifacts import load_artifact, require_task

    if request.init_from is None:
        return None
    base = require_task(load_artifact(request.init_from), "lm")
    if base.tokenizer.modality != "text":
        raise ConfigError(
            f"--init-from {base.path}: a model of music; classifiers read text, so take one of text"
        )
    return base


def _prepare(request: TrainRequest, base: "Artifact | None") -> "LabelledCorpus":
    """Read the examples, settle the configuration and the vocabulary, and encode."""
    from seqgen.config import build_config, merge
    from seqgen.data.examples import make_corpus, read_parts
    from seqgen.data.tokenizers import load_tokenizer

    config = _settle(request, base)
    parts = read_parts(request.corpus, config, notice, valid=request.valid, test=request.test)
    given = "min_count" in request.chosen.get("vocab", {})
    tokenizer = load_tokenizer(request.vocab) if request.vocab else None
    if base is not None:
        from seqgen.data.examples import as_read
        from seqgen.training.transfer import extended_tokenizer, word_counts

        texts = (as_read(example.text, base.tokenizer.level) for example in parts["train"])
        least = config.vocab.min_count if given else 2
        counts = word_counts(texts, base.tokenizer)
        tokenizer = extended_tokenizer(base.tokenizer, counts, min_count=least)
        added = len(tokenizer.tokens) - len(base.tokenizer.tokens)
        notice(
            f"starting from {base.path}: its {len(base.tokenizer.tokens):,} tokens and {added:,} new words"
        )
        own = {
            "lowercase": bool(base.tokenizer.vocab.options.get("lowercase")),
            "level": base.tokenizer.level,
        }
        config = replace(config, vocab=build_config({"vocab": merge({"min_count": least}, own)}).vocab)
    return make_corpus(parts, config, notice, tokenizer=tokenizer, min_count_given=given)


def _settle(request: TrainRequest, base: "Artifact | None") -> "Config":
    """Fill in what the user left open."""
    from seqgen.config import build_config, merge
    from seqgen.training.budget import BUDGETS, preset, suited_to

    chosen = request.chosen
    optimizer = build_config(chosen).training.optimizer
    defaults = merge(_DEFAULTS, suited_to(optimizer))
    if request.preset != "auto":
        defaults = merge(defaults, preset(request.preset))
    if base is not None:
        from seqgen.training.transfer import model_settings

        alone = build_config(chosen).classify.vectors_only
        settings = model_settings(base, chosen.get("model", {}), vectors_only=alone)
        defaults = merge(defaults, _WITH_VECTORS if alone else _FINE_TUNING)
        chosen = merge(chosen, {"model": settings, "classify": {"init_from": str(base.path)}})
    settled = build_config(merge(defaults, chosen))
    if settled.classify.adversarial and settled.model.embedding == "one-hot":
        raise ConfigError("--adversarial moves learned vectors; --embedding one-hot has none")
    if settled.model.cell == "bow":
        _refuse_layers(chosen)
        defaults = merge(defaults, {"classify": {"pool": "mean"}})
    if any(key in chosen.get("training", {}) for key in BUDGETS):
        defaults = merge(defaults, {"training": {"epochs": None}})
    return build_config(merge(defaults, chosen))


def _refuse_layers(chosen: dict[str, Any]) -> None:
    for key in ("layers", "hidden_size", "context"):
        if key in chosen.get("model", {}):
            raise ConfigError(f"model.{key}: a classifier's bag of words is the mean of vectors and has none")


def _prepare_again(request: TrainRequest, checkpoint: "Checkpoint") -> "LabelledCorpus":
    """Read the examples that a checkpoint was trained on; only the budget may be new."""
    from seqgen.artifacts import load_artifact
    from seqgen.config import build_config, to_plain
    from seqgen.data.examples import make_corpus, read_parts
    from seqgen.training.budget import with_budget

    config = build_config(with_budget(to_plain(checkpoint.config), request.chosen))
    source = checkpoint.source
    parts = read_parts(request.corpus, config, notice, valid=source["valid"], test=source["test"])
    return make_corpus(parts, config, notice, tokenizer=load_artifact(request.output).tokenizer)


def _build(corpus: "LabelledCorpus", base: "Artifact | None") -> "Classifier":
    """Build the network; what a language model has of it begins with its weights."""
    from seqgen.networks.classifier import Classifier
    from seqgen.runtime import choose_device

    config = corpus.config
    model = Classifier(config.model, config.classify, len(corpus.tokenizer.tokens))
    if base is not None:
        from seqgen.training.transfer import language_weights, take_over

        weights = language_weights(base, corpus.tokenizer)
        take_over(model, {name: array for name, array in weights.items() if name.startswith("embedding.")})
        if not config.classify.vectors_only:
            take_over(model, weights, prefix="reader.")
    return model.to(choose_device(config.training.device))


def _tell_plan(corpus: "LabelledCorpus", model: "Classifier") -> None:
    from seqgen.training.budget import budget_text

    config = corpus.config
    sizes = ", ".join(f"{len(part):,} to {name}" for name, part in corpus.parts.items())
    notice(f"{len(config.classify.labels)} labels ({', '.join(config.classify.labels[:8])}); {sizes}")
    notice(f"{config.vocab.level} level, vocabulary {len(corpus.tokenizer.tokens):,}")
    layers = "" if config.model.cell == "bow" else f" {config.model.layers} x {config.model.hidden_size}"
    both = " from both ends" if config.model.bidirectional else ""
    notice(
        f"{config.model.cell}{layers}{both}, {config.classify.pool} pooling, {model.parameter_count():,} "
        f"parameters, {config.training.batch_size} texts a step, {budget_text(config.training)}"
    )


def _finish(corpus: "LabelledCorpus", objective: Any, request: TrainRequest) -> None:
    """Score the best weights on what validates and on the test, store that and tell it."""
    from seqgen.artifacts import load_artifact, load_checkpoint
    from seqgen.evaluation.classification import restore_classifier, score_part
    from seqgen.training.classifying import measure_of

    artifact = load_artifact(request.output)
    objective.model = restore_classifier(artifact, corpus.config.training.device)
    labels, by = corpus.config.classify.labels, measure_of(corpus.config)
    scores = {
        name: score_part(objective.model, corpus.parts[name], labels, by=by)
        for name in ("valid", "test")
        if len(corpus.parts[name])
    }
    records = {name: score.record() for name, score in scores.items()}
    objective.write(request.output, history=load_checkpoint(request.output).history, scores=records)
    for name, score in scores.items():
        texts = f"{score.confusion.sum():,} texts"
        notice(f"{name}: accuracy {score.accuracy:.2%}, macro-F1 {score.macro_f1:.4f} ({texts})")
        _show_confusion(name, score)
    notice(f"{request.output} is ready: seqgen classify {request.output} < texts.txt")


def _show_confusion(name: str, score: "LabelScore") -> None:
    rows = [
        [label, *map(str, row)] for label, row in zip(score.labels, score.confusion.tolist(), strict=True)
    ]
    show_table(rows, headings=[f"{name}: true, given", *score.labels])

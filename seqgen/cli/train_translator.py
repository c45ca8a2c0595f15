"""`seqgen train --task translate`: from sentence pairs to a model directory."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.cli.console import notice
from seqgen.cli.running import TrainRequest, ctrl_c_noted, refuse_to_overwrite, until
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.artifacts import Checkpoint
    from seqgen.config import Config
    from seqgen.data.pairs import PairCorpus
    from seqgen.data.tokenizers import Tokenizer

DEFAULTS: dict[str, Any] = {
    "model": {
        "cell": "lstm",
        "layers": 1,
        "hidden_size": 256,
        "embedding_size": 256,
        "dropout": 0.4,
        "bidirectional": True,
    },
    "training": {"batch_size": 64, "learning_rate": 3e-3, "label_smoothing": 0.1},
}
"""What suits some ten thousand short pairs, where nothing else is asked for."""


def run(request: TrainRequest) -> int:
    """Train a translation model; return the exit code."""
    from seqgen.artifacts import load_checkpoint
    from seqgen.cli.live import follow_steps
    from seqgen.training.supervised import train_supervised
    from seqgen.training.translation import TranslationObjective, finish_translation

    _refuse_what_has_no_meaning(request)
    output = request.output
    checkpoint = load_checkpoint(output) if request.resume else None
    if checkpoint is None and not request.overwrite:
        refuse_to_overwrite(output)
    corpus, config = _prepare(request, checkpoint)
    given = checkpoint.source if checkpoint else {"valid": request.valid, "test": request.test}
    source = {
        "corpus": request.corpus,
        "valid": given["valid"],
        "test": given["test"],
        "corpus_hash": corpus.corpus_hash,
    }
    objective = TranslationObjective(corpus, config, source=source)
    notice(f"{objective.model.parameter_count():,} parameters, attention {config.translate.attention}")
    steps = train_supervised(objective, config, path=output, source=source, checkpoint=checkpoint)
    with closing(steps), ctrl_c_noted() as interrupted:
        follow_steps(until(interrupted, steps), unit="tokens", tensorboard=request.tensorboard)
    if interrupted:
        notice(f"interrupted; the model and a checkpoint are in {output}; go on with --resume")
        return 130
    valid = finish_translation(corpus, output, device=config.training.device)
    score = (
        f"validation BLEU {valid['bleu']:.1f}, chrF {valid['chrf']:.1f}" if valid else "no validation part"
    )
    notice(f"{output} is ready: {score}; now: seqgen translate {output} < sentences.txt")
    return 0


def _refuse_what_has_no_meaning(request: TrainRequest) -> None:
    given = {"--vocab": request.vocab, "--memory": request.memory, "--init-from": request.init_from}
    for flag, value in given.items():
        if value is not None:
            raise ConfigError(f"{flag} is of no effect on --task translate; leave it out")


def _prepare(request: TrainRequest, checkpoint: "Checkpoint | None") -> "tuple[PairCorpus, Config]":
    """Read the pairs and settle the configuration, which a checkpoint keeps but for the budget."""
    from seqgen.artifacts import load_artifact
    from seqgen.config import build_config, merge, to_plain
    from seqgen.training.budget import preset, with_budget

    if checkpoint is None:
        base = merge(DEFAULTS, {} if request.preset == "auto" else preset(request.preset))
        config = build_config(merge(base, {**request.chosen, "task": "translate"}))
        return _load(request.corpus, config, None, valid=request.valid, test=request.test), config
    config = build_config(with_budget(to_plain(checkpoint.config), request.chosen))
    artifact = load_artifact(request.output)
    tokenizers = artifact.tokenizer, artifact.target_tokenizer
    given = {part: checkpoint.source[part] for part in ("valid", "test")}
    return _load(request.corpus, config, tokenizers, **given), config


def _load(
    names: list[str],
    config: "Config",
    tokenizers: "tuple[Tokenizer, Tokenizer] | None",
    **given: list[str],
) -> "PairCorpus":
    from seqgen.data.pairs import load_pairs, repeated_sources, repeated_targets

    corpus = load_pairs(
        [Path(name) for name in names],
        config,
        given={part: [Path(name) for name in files] for part, files in given.items()},
        tokenizers=tokenizers,
        notify=notice,
    )
    sizes = ", ".join(f"{len(pairs):,} {part}" for part, pairs in corpus.parts.items())
    notice(f"pairs: {sizes}")
    for part in given:
        if repeated := repeated_targets(corpus.parts, part):
            notice(f"{repeated:,} of {len(corpus.parts[part]):,} {part} targets are training targets, too")
        if repeated := repeated_sources(corpus.parts, part):
            notice(f"{repeated:,} {part} sources are training sources, too: their scores tell of memory")
    return corpus

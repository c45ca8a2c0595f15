"""`seqgen train`: from a corpus or an index to a model directory."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice
from seqgen.cli.flags import given_by_flags, naming_flags
from seqgen.cli.going_on import prepare_to_go_on
from seqgen.cli.options import (
    Column,
    Documents,
    Encoding,
    Grid,
    Keeping,
    LeavingOut,
    Lowercase,
    MaxSize,
    Merges,
    MinCount,
    Names,
    Normalize,
    Notes,
    OnError,
    Parts,
    Split,
    Stretch,
    Subword,
    Transpose,
    folder_to_write,
    given_values,
    parse_kept,
    parse_shares,
    refuse_foreign_options,
)
from seqgen.cli.running import TrainRequest, ctrl_c_noted, refuse_to_overwrite, runner_of, until
from seqgen.cli.task_options import (
    Adversarial,
    AttentionName,
    Bidirectional,
    ClassWeights,
    InitFrom,
    InputFeeding,
    LabelColumn,
    Pool,
    PooledDropout,
    RateDecay,
    SharedVocab,
    TargetLevel,
    TargetMaxSize,
    TaskName,
    TeacherForcing,
    TestFiles,
    TextColumn,
    UnfreezeEpochs,
    ValidFiles,
    VectorsOnly,
    WordDropout,
)

if TYPE_CHECKING:
    from seqgen.artifacts import Checkpoint
    from seqgen.config import Config
    from seqgen.data.index import TokenIndex
    from seqgen.evaluation import Score
    from seqgen.training.transfer import Arrays

_OUTPUT = typer.Option("--output", "-o", callback=folder_to_write, help="The model directory to write.")
_LOGS = typer.Option(callback=folder_to_write, help="Also write TensorBoard logs here.")
_SET = typer.Option("--set", metavar="KEY=VALUE", help="Set any configuration key, such as model.layers=3.")
_TEACHER = typer.Option(
    "--teacher", metavar="MODEL", help="A model trained with --fold that teaches this one; repeatable; lm."
)
_FOLD = typer.Option(metavar="K/N", help="Leave the K-th of N parts out, to be a teacher; lm.")
_LAYER_NORM = typer.Option("--layer-norm", help="Normalise inside the cells (Ba et al. 2016).")


def train(
    called: typer.Context,
    corpus: Names,
    output: Annotated[Path, _OUTPUT],
    level: Annotated[str | None, typer.Option(help="char, byte, word, subword or note.")] = None,
    cell: Annotated[str | None, typer.Option(help="lstm, gru, rnn, window or bow (bag of words).")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers of the encoder.")] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Units a layer.")] = None,
    embedding_size: Annotated[int | None, typer.Option(help="Size of a token's vector.")] = None,
    embedding: Annotated[str | None, typer.Option(help="A token's vector: learned or one-hot.")] = None,
    context: Annotated[int | None, typer.Option(help="Tokens that window and bow see; else 8.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of units dropped, 0 to 1.")] = None,
    input_dropout: Annotated[float | None, typer.Option(help="The same of embedded tokens.")] = None,
    embedding_dropout: Annotated[float | None, typer.Option(help="Share of the vocabulary dropped.")] = None,
    weight_drop: Annotated[float | None, typer.Option(help="Share of recurrent weights dropped.")] = None,
    locked_dropout: Annotated[
        bool | None,
        typer.Option("--locked-dropout/--free-dropout", help="One mask for all time steps, or one each."),
    ] = None,
    activation_regularization: Annotated[
        float | None, typer.Option("--ar", help="Weight of the features' mean square.")
    ] = None,
    temporal_regularization: Annotated[
        float | None, typer.Option("--tar", help="Weight of the mean square of their changes.")
    ] = None,
    tied: Annotated[bool | None, typer.Option("--tied", help="Embedding and output share a matrix.")] = None,
    softmax: Annotated[str | None, typer.Option(help="full, or adaptive for a large vocabulary.")] = None,
    mogrifier: Annotated[int | None, typer.Option(help="Rounds of mutual gating before a step.")] = None,
    mogrifier_rank: Annotated[int | None, typer.Option(help="Rank of the gating; 0 is full.")] = None,
    layer_norm: Annotated[bool | None, _LAYER_NORM] = None,
    bptt: Annotated[int | None, typer.Option(help="Tokens that gradients flow back through.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows read side by side.")] = None,
    random_bptt: Annotated[bool | None, typer.Option(help="Draw the length of each window.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adamw, muon, sgd or nt-asgd.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Of the rate: cosine, one-cycle, plateau or constant.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of weights, not of biases.")] = None,
    average: Annotated[
        str | None, typer.Option(help="Keep an average of the weights: none, ema or tail.")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of a target spread over all.")] = None,
    ngram_smoothing: Annotated[
        float | None, typer.Option(help="The same, spread as n-grams of the corpus say; lm.")
    ] = None,
    teachers: Annotated[list[str] | None, _TEACHER] = None,
    distillation: Annotated[
        float | None, typer.Option(help="Share of a target that teachers decide; 0.3 unless given.")
    ] = None,
    fold: Annotated[str | None, _FOLD] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimiser.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training part.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Minutes of training; 3 if no budget is given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    memory: Annotated[float | None, typer.Option(help="Most memory to take, in GB.")] = None,
    preset: Annotated[
        str, typer.Option(help="tiny, small, medium or large; auto plans for the minutes there are.")
    ] = "auto",
    config_file: Annotated[Path | None, typer.Option("--config", help="A YAML file of settings.")] = None,
    settings: Annotated[list[str] | None, _SET] = None,
    vocab: Annotated[Path | None, typer.Option(help="Use this vocabulary instead of building one.")] = None,
    min_count: MinCount = None,
    max_size: MaxSize = None,
    lowercase: Lowercase = None,
    normalize: Normalize = None,
    subword: Subword = None,
    notes: Notes = None,
    grid: Grid = None,
    keeping: Keeping = None,
    leaving_out: LeavingOut = None,
    merges: Merges = None,
    split: Split = None,
    documents: Documents = None,
    column: Column = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    transpose: Transpose = None,
    stretch: Stretch = None,
    parts: Parts = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUTPUT.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in OUTPUT.")] = False,
    tensorboard: Annotated[Path | None, _LOGS] = None,
    task: TaskName = None,
    valid: ValidFiles = None,
    test: TestFiles = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    bidirectional: Bidirectional = None,
    pool: Pool = None,
    word_dropout: WordDropout = None,
    pooled_dropout: PooledDropout = None,
    adversarial: Adversarial = None,
    class_weights: ClassWeights = None,
    base: InitFrom = None,
    vectors_only: VectorsOnly = None,
    rate_decay: RateDecay = None,
    unfreeze_epochs: UnfreezeEpochs = None,
    attention: AttentionName = None,
    input_feeding: InputFeeding = None,
    teacher_forcing: TeacherForcing = None,
    shared_vocab: SharedVocab = None,
    target_level: TargetLevel = None,
    target_max_size: TargetMaxSize = None,
) -> None:
    """Train a model: a language model, or one for another --task.

    Example: seqgen train fiddle -o models/dances --minutes 2
    """
    from seqgen.config import build_config, merge, nest

    # Parameters that are called as configuration keys are read off `called`.
    written = _written_values(config_file, settings or [])
    with naming_flags(called, written):
        kept = given_values(**parse_kept(keeping, leaving_out), index__split=parse_shares(split))
        typed = merge(nest(given_by_flags(called)), kept)
        build_config(typed, source="")
        request = TrainRequest(
            corpus=corpus,
            output=output,
            chosen=merge(written, typed),
            preset=preset,
            valid=valid or [],
            test=test or [],
            init_from=base,
            vocab=vocab,
            memory=memory,
            resume=resume,
            overwrite=overwrite,
            tensorboard=tensorboard,
        )
        code = runner_of(request)(request)
    raise typer.Exit(code)


def _written_values(file: Path | None, settings: list[str]) -> dict[str, Any]:
    """Lay --set over the YAML file, and check both against the known keys."""
    from seqgen.config import build_config, load_yaml, merge, parse_overrides

    values = load_yaml(file) if file else {}
    build_config(values, source=str(file))
    overrides = parse_overrides(settings)
    build_config(overrides, source="--set")
    return merge(values, overrides)


def run(request: TrainRequest) -> int:
    """Train a language model; return the exit code."""
    from seqgen.artifacts import load_checkpoint
    from seqgen.cli.live import follow
    from seqgen.training.finish import finish
    from seqgen.training.loop import train

    corpus, output = request.corpus, request.output
    checkpoint, initial = load_checkpoint(output) if request.resume else None, None
    if checkpoint is None and not request.overwrite:
        refuse_to_overwrite(output)
    if checkpoint is None:
        index, config, initial = _prepare(request)
    else:
        index, config = _prepare_again(corpus, request.chosen, checkpoint, output)
    source = {"corpus": corpus, "corpus_hash": index.corpus_hash, **_licence(corpus)}
    steps = train(index, config, path=output, source=source, checkpoint=checkpoint, initial=initial)
    with closing(steps), ctrl_c_noted() as interrupted:
        follow(until(interrupted, steps), index, output, tensorboard=request.tensorboard)
    if interrupted:
        notice(f"interrupted; the model and a checkpoint are in {output}; go on with --resume")
        return 130
    notice("scoring the best weights on the whole validation part")
    score = finish(index, output, device=config.training.device)
    _tell_result(output, score)
    return 0


def _licence(corpus: list[str]) -> dict[str, str]:
    """Return the licences of the corpora of the catalogue, for the model card."""
    from seqgen.data.catalogue import find_manifest

    manifests = [find_manifest(name) for name in corpus if not Path(name).exists()]
    licences = dict.fromkeys(manifest.licence for manifest in manifests if manifest)
    return {"licence": " ".join(licences)} if licences else {}


def _prepare(request: TrainRequest) -> "tuple[TokenIndex, Config, Arrays | None]":
    """Build or find the index, fill in what was left open, and return the weights to start from, if any."""
    from seqgen.cli.planning import check_early, choose
    from seqgen.config import build_config, merge
    from seqgen.data.indexing import ensure_index
    from seqgen.data.tokenizers import load_tokenizer

    if request.init_from is not None:
        return prepare_to_go_on(request, request.init_from)
    check_early(request.chosen, request.preset, request.memory)
    tokenizer = load_tokenizer(request.vocab) if request.vocab else None
    index = ensure_index(
        request.corpus,
        build_config(request.chosen),
        tokenizer=tokenizer,
        notify=notice,
        check=partial(refuse_foreign_options, request.chosen),
    )
    settled = merge(request.chosen, index.config)
    return index, choose(index, settled, request.preset, memory=request.memory), None


def _prepare_again(
    corpus: list[str], chosen: dict[str, Any], checkpoint: "Checkpoint", output: Path
) -> "tuple[TokenIndex, Config]":
    """Find the index and the configuration that a checkpoint was made with; only the budget may be new."""
    from seqgen.artifacts import load_artifact
    from seqgen.config import build_config, merge, to_plain
    from seqgen.data.indexing import ensure_index
    from seqgen.training.budget import with_budget

    plain = with_budget(to_plain(checkpoint.config), chosen)
    config = build_config(plain)
    if merge(plain, chosen) != plain:
        notice(
            "--resume keeps the settings of the checkpoint; only --steps, --epochs and --minutes can be new"
        )
    index = ensure_index(corpus, config, tokenizer=load_artifact(output).tokenizer, notify=notice)
    return index, config


def _tell_result(output: Path, score: "Score | None") -> None:
    if score is None:
        notice(f"{output} is ready (no validation part, so no score): seqgen sample {output}")
        return
    bits = ", ".join(f"{value:.3f} bits per {unit.removesuffix('s')}" for unit, value in score.bits.items())
    notice(
        f"{output} is ready: validation {score.loss_nats:.4f} nats per token ({score.protocol})"
        f"{', ' + bits if bits else ''}"
    )
    notice(f"now: seqgen sample {output}")

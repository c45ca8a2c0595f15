"""The complete configuration of a run: frozen values, strict YAML, dotted overrides.

The resolved configuration is stored in every artifact, so a model can always say how it was made.
Values are coerced by field type, because YAML alone reads `1e-3` as a string and `no` as False.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from seqgen.errors import ConfigError
from seqgen.files import unreadable

Level = Literal["auto", "char", "byte", "word", "subword", "note"]
Cell = Literal["lstm", "gru", "rnn", "window", "bow"]
Task = Literal["lm", "classify", "translate"]
Share = Annotated[float, Ge(0)]
Rate = Annotated[float, Ge(0), Lt(1)]
PositiveInt = Annotated[int, Gt(0)]


class _Strict:
    """Makes pydantic refuse unknown keys when it builds one of these dataclasses."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  (pydantic reads it as a class attribute)


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(_Strict):
    """How files are read as documents."""

    documents: Literal["files", "lines", "paragraphs"] = "files"
    column: str | None = None
    encoding: str = "utf-8"
    on_error: Literal["auto", "fail", "skip"] = "auto"
    """`auto` skips music files that cannot be read and fails on text."""
    parts: str = "all"
    """Of pieces of music: `all`, `melody`, `bass`, or names or numbers of parts with commas between."""
    transpose: str | None = None
    """`C` moves every piece to C major, A minor and the like; `all` (every key within range) and semitones
    such as `-3:3` (in YAML with quotes) add copies to the training part alone."""
    stretch: str | None = None
    """Factors such as `1/2,2` that durations of further copies are multiplied by."""


@dataclass(frozen=True, kw_only=True)
class VocabConfig(_Strict):
    """What a token is."""

    level: Level = "auto"
    """`auto` is `note` for a corpus of music files, else `char`."""
    normalize: Literal["nfc", "none"] = "nfc"
    lowercase: bool = False
    min_count: PositiveInt = 1
    max_size: PositiveInt | None = None
    """Most tokens to keep; for subwords the size to train (8,000 when not given)."""
    subword: Literal["unigram", "bpe"] = "unigram"
    notes: Literal["auto", "melody", "chorale", "remi", "tsd", "midilike", "structured", "octuple"] = "auto"
    """The note encoding; `auto` is `melody` where nearly every piece is a single line, else `remi`. `octuple`
    is refused with the reason."""
    grid: PositiveInt | None = None
    """Positions or frames a quarter, of remi (12 when not given) and chorale (4)."""
    velocities: Annotated[int, Ge(0), Le(127)] | None = None
    """How many velocities remi, tsd, midilike and structured tell apart (16 when not given); 0 is none."""
    programs: bool | None = None
    tempos: bool | None = None
    pedals: bool | None = None
    """Whether they keep programs (all parts are one without), tempos, and (not structured) sustain pedals;
    when not given, programs and tempos."""
    chords: bool | None = None
    """Whether melody keeps chord symbols."""
    merges: Annotated[int, Ge(0)] = 0
    """How many pairs of note tokens that often follow each other to learn as tokens of their own."""


@dataclass(frozen=True, kw_only=True)
class IndexConfig(_Strict):
    """How an index is divided."""

    split: tuple[Share, Share, Share] = (90.0, 5.0, 5.0)
    """Shares of train, valid and test; they need not add up to 100."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(_Strict):
    """The network."""

    cell: Cell = "gru"
    layers: PositiveInt = 2
    hidden_size: PositiveInt = 256
    embedding_size: PositiveInt = 128
    embedding: Literal["learned", "one-hot"] = "learned"
    """`one-hot` gives a token as V numbers, all 0 but one; `embedding_size` is then of no effect."""
    context: PositiveInt = 8
    """N: how many tokens `window` and `bow` see, the newest included; of no effect on recurrent cells."""
    dropout: Rate = 0.2
    """Share of units dropped between layers and of the features."""
    input_dropout: Rate = 0.0
    """Share of units of embedded tokens dropped; with none, a small vocabulary trains a quarter faster."""
    embedding_dropout: Rate = 0.0
    """Share of the vocabulary whose vectors are zero for a step."""
    weight_drop: Rate = 0.0
    """Share of the recurrent weights dropped."""
    locked_dropout: bool = False
    """Whether all time steps of a batch share the masks of units (variational dropout)."""
    tied: bool = False
    """Whether embedding and output layer are one matrix; the last layer then has `embedding_size` units."""
    softmax: Literal["full", "adaptive"] = "full"
    cutoffs: tuple[PositiveInt, ...] = ()
    """Where the clusters of an adaptive softmax begin; chosen by the size of the vocabulary if not given."""
    mogrifier: Annotated[int, Ge(0)] = 0
    """Rounds in which input and state gate each other before each step; 0 is none."""
    mogrifier_rank: Annotated[int, Ge(0)] = 0
    """Rank of the mogrifier's matrices; 0 is full."""
    layer_norm: bool = False
    """Layer normalisation inside the cells."""
    bidirectional: bool = False
    """Whether a second stack of layers reads from the end; not for language models."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(_Strict):
    """The optimisation."""

    bptt: PositiveInt = 64
    batch_size: PositiveInt = 64
    random_bptt: bool = False
    """Whether the length of each window is drawn around `bptt` (Merity et al. 2018)."""
    optimizer: Literal["adamw", "muon", "sgd", "nt-asgd"] = "adamw"
    learning_rate: Annotated[float, Gt(0)] = 4e-3
    """At its peak; the schedule says what share of it a step takes."""
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.99
    """How slowly AdamW forgets gradients and their squares."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Of muon, sgd and nt-asgd."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    activation_regularization: Annotated[float, Ge(0)] = 0.0
    """AR (Merity et al. 2017): weight of the mean square of the features."""
    temporal_regularization: Annotated[float, Ge(0)] = 0.0
    """TAR: weight of the mean square of what changes in the features from step to step."""
    clip_norm: Annotated[float, Gt(0)] = 1.0
    schedule: Literal["cosine", "one-cycle", "plateau", "constant"] = "cosine"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of each target that is spread over all tokens; in training alone, never in a reported loss."""
    ngram_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The same, but spread by an n-gram model of the training part that leaves the target itself out."""
    distillation: Rate = 0.3
    """The same, as `teachers` expect; without any of no effect."""
    teachers: tuple[str, ...] = ()
    """Models that were trained on this corpus but for a fold each."""
    fold: str | None = None
    """K/N: train on all but the K-th of N parts of the training part, as a teacher."""
    warmup_steps: Annotated[int, Ge(0)] = 100
    """Steps of a linear rise before all schedules but one-cycle, which has its own."""
    plateau_factor: Annotated[float, Gt(0), Lt(1)] = 0.25
    plateau_patience: PositiveInt = 1
    """Validations in a row without a new best after which plateau multiplies the rate by `plateau_factor`."""
    average: Literal["none", "ema", "tail"] = "none"
    """Which average of the weights is validated and kept: exponential, or uniform over the last part."""
    average_decay: Annotated[float, Gt(0), Lt(1)] = 0.999
    """Of ema, per step."""
    average_tail: Annotated[float, Gt(0), Le(1)] = 0.25
    """Share of the budget, at its end, that tail averages over."""
    average_after: PositiveInt = 5
    """nt-asgd averages once a validation loss is worse than the best of those more than so many before it."""
    steps: PositiveInt | None = None
    epochs: Annotated[float, Gt(0)] | None = None
    minutes: Annotated[float, Gt(0)] | None = None
    """The budget: steps, epochs or minutes, whichever is given; of several, whichever ends first."""
    validations: PositiveInt = 10
    """How often in the budget the validation loss is measured, evenly spread."""
    patience: PositiveInt | None = None
    """Validations without a new best after which training stops early."""
    seed: Annotated[int, Ge(0)] = 1
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig(_Strict):
    """What `--task classify` alone needs to know."""

    text_column: str | None = None
    label_column: str | None = None
    """Columns of tables, by name or by number from 1."""
    labels: tuple[str, ...] = ()
    """The label of every output, in their order; found in the training part."""
    pool: Literal["last", "mean", "max", "attention", "concat"] = "max"
    """How the features of a text become one vector; `concat` joins last, max and mean."""
    word_dropout: Rate = 0.0
    """Share of the tokens of a text that are read as unknown while training."""
    pooled_dropout: Rate = 0.3
    """Share of the units dropped of the vector that a text has become."""
    adversarial: Annotated[float, Ge(0)] = 0.0
    """How far adversarial training moves the vectors of a text, in their standard deviations; 0 is none."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` lets every class count alike, however many examples it has."""
    init_from: str | None = None
    """The language model whose embedding and layers training began with."""
    vectors_only: bool = False
    """Whether training begins with that model's embedding alone, below layers of its own."""
    rate_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    """Each layer learns at so many times the rate of the one above it (Howard and Ruder 2018)."""
    unfreeze_epochs: Annotated[float, Ge(0)] = 0.0
    """So many epochs lie between the beginning of one layer's learning and that of the next below."""


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(_Strict):
    """What `--task translate` alone needs to know."""

    attention: Literal["none", "dot", "general", "additive"] = "additive"
    """How the decoder's state meets the source; `none` gives it only the encoder's last state."""
    input_feeding: bool = False
    """Whether each step of the decoder also reads the features of the one before (Luong et al. 2015)."""
    teacher_forcing: Annotated[float, Ge(0), Le(1)] = 1.0
    """Share of the decoder's inputs that are the right tokens at the end of training, 1 at its beginning."""
    shared_vocab: bool = False
    """Whether source and target have one vocabulary and one embedding."""
    target_level: Level = "auto"
    """What a token of the target is; `auto` goes by `vocab.level`."""
    target_max_size: PositiveInt | None = None
    """Most tokens of the target's vocabulary; `vocab.max_size` where not given."""


@dataclass(frozen=True, kw_only=True)
class Config(_Strict):
    """Everything that decides what a run produces."""

    task: Task = "lm"
    """What the model is for: to continue texts, to label them, or to translate them."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    vocab: VocabConfig = field(default_factory=VocabConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    classify: ClassifyConfig = field(default_factory=ClassifyConfig)
    translate: TranslateConfig = field(default_factory=TranslateConfig)


def known_keys(kind: Any = Config, prefix: str = "") -> list[str]:
    """List every dotted key of a configuration dataclass, such as `model.hidden_size`."""
    keys: list[str] = []
    for item in fields(kind):
        if is_dataclass(item.type):
            keys += known_keys(item.type, f"{prefix}{item.name}.")
        else:
            keys.append(prefix + item.name)
    return keys


def build_config(values: Mapping[str, Any], *, source: str = "configuration") -> Config:
    """Build a Config from nested plain values, coercing each by the type of its field.

    Args:
        values: Nested mappings as YAML gives them; what is absent takes its default.
        source: Named in the error, such as a file's path; not if empty.

    Raises:
        ConfigError: On an unknown key (the nearest known one is suggested) or a value out of range.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{source}: {_explain(first)}" if source else _explain(first)) from None


def _explain(problem: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "unexpected_keyword_argument":
        return unknown_key(key, known_keys())
    return f"{key} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Say that a key is unknown, naming the nearest known one or else all of them."""
    from difflib import get_close_matches

    known = sorted(known)
    near = get_close_matches(key, known, n=1) or [name for name in known if name.endswith("." + key)]
    return f"unknown key {key}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: If the file cannot be read, is not YAML (with its line) or is not a mapping.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(unreadable(path, error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values")
    return values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` laid over it, mapping by mapping."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `{"model.layers": 3}` into `{"model": {"layers": 3}}`."""
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        *parents, last = key.split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """Parse `key=value` strings with dotted keys into nested values.

    Raises:
        ConfigError: If an item has no `=` or its key is unknown.
    """
    import yaml

    known = known_keys()
    dotted: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set {item}: expected key=value, such as model.layers=3")
        if key not in known:
            raise ConfigError(f"--set {item}: {unknown_key(key, known)}")
        dotted[key] = yaml.safe_load(value)
    return nest(dotted)


def to_plain(config: Any) -> dict[str, Any]:
    """Return a configuration as nested plain values that YAML can write."""
    plain: dict[str, Any] = _lists_for_tuples(asdict(config))
    return plain


def _lists_for_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists_for_tuples(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value

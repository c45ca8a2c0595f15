"""The options of `seqgen evaluate` by which a model adapts to what it reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.data.index import TokenIndex
    from seqgen.evaluation.adapt import Adaptation
    from seqgen.networks.tasks import LanguageModel

CacheSize = Annotated[
    int | None, typer.Option("--cache", metavar="N", help="Mix in a cache of the last N hidden states.")
]
CacheTheta = Annotated[float | None, typer.Option(help="The cache's flatness; tuned unless given.")]
CacheLambda = Annotated[float | None, typer.Option(help="The cache's share; tuned unless given.")]
Dynamic = Annotated[bool, typer.Option("--dynamic", help="Let the model learn from what it has read.")]
DynamicRate = Annotated[float | None, typer.Option(help="How fast it learns; tuned unless given.")]
DynamicDecay = Annotated[float | None, typer.Option(help="How fast it forgets; tuned unless given.")]
DynamicUpdate = Annotated[str | None, typer.Option(help="rms or sgd; rms unless given.")]
DynamicSegment = Annotated[int | None, typer.Option(help="Tokens scored before each step; 20 unless given.")]

_COUNT = (lambda value: value >= 1, "expected at least 1")
_AMOUNT = (lambda value: 0 <= value < inf, "expected a number of at least 0")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "cache": _COUNT,
    "cache_theta": _AMOUNT,
    "cache_lambda": (lambda value: 0 <= value < 1, "expected a share from 0 to 1, 1 excluded"),
    "dynamic_rate": _AMOUNT,
    "dynamic_decay": _AMOUNT,
    "dynamic_update": (lambda value: value in ("rms", "sgd"), "choose rms or sgd"),
    "dynamic_segment": _COUNT,
}


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """The options as they were given, None where one was not.

    Raises:
        ConfigError: If one is out of range or makes no sense without another.
    """

    cache: int | None
    cache_theta: float | None
    cache_lambda: float | None
    dynamic: bool
    dynamic_rate: float | None
    dynamic_decay: float | None
    dynamic_update: str | None
    dynamic_segment: int | None

    def __post_init__(self) -> None:
        for name, (is_valid, expected) in _RULES.items():
            value = getattr(self, name)
            if value is None:
                continue
            option, method = f"--{name.replace('_', '-')} {value}", name.partition("_")[0]
            if not is_valid(value):
                raise ConfigError(f"{option}: {expected}")
            if not getattr(self, method):
                raise ConfigError(f"{option}: does nothing without --{method}")

    @property
    def wanted(self) -> bool:
        """Whether the model is to adapt at all."""
        return self.dynamic or self.cache is not None


def choose_adaptation(
    model: "LanguageModel", index: "TokenIndex", options: AdaptOptions
) -> "tuple[Adaptation, str | None]":
    """Settle how a model adapts; what was not given is tuned on the validation part.

    Args:
        model: The model.
        index: That of its own corpus.
        options: As given.

    Returns:
        How, and what it was tuned on, for people to read; None where everything was given.

    Raises:
        CorpusError: If something is to be tuned and there is no validation part.
    """
    from seqgen.evaluation import adapt

    missing = _missing(options)
    tokens = index.tokens("valid")
    if missing and not len(tokens):
        raise CorpusError(f"no validation part to tune on; give {', '.join(missing)}")
    adaptation = adapt.Adaptation()
    if options.dynamic:
        adaptation = _learn(model, index, options)
    if options.cache is not None:
        cache = adapt.tune_cache(
            model,
            tokens,
            size=options.cache,
            after=adaptation,
            thetas=_given(options.cache_theta),
            mixes=_given(options.cache_lambda),
        )
        adaptation = replace(adaptation, cache=cache)
    if not missing:
        return adaptation, None
    size = min(len(tokens), adapt.DYNAMIC_TOKENS if options.dynamic else adapt.CACHE_TOKENS)
    return adaptation, f"the first {size:,} tokens of valid"


def switched_off(adaptation: "Adaptation | None", options: AdaptOptions) -> list[str]:
    """Say which ways of adapting their tuning has switched off."""
    found = []
    if adaptation and adaptation.cache and not adaptation.cache.mix and options.cache_lambda is None:
        found.append("tuning has switched the cache off (lambda 0): the loss is least without it")
    if adaptation and adaptation.dynamic and not adaptation.dynamic.rate and options.dynamic_rate is None:
        found.append("tuning has switched learning off (rate 0): the loss is least without it")
    return found


def _missing(options: AdaptOptions) -> list[str]:
    """List the options whose values are to be tuned."""
    wanted = {"dynamic_rate": options.dynamic, "dynamic_decay": options.dynamic}
    wanted |= dict.fromkeys(("cache_theta", "cache_lambda"), options.cache is not None)
    return [
        f"--{name.replace('_', '-')}"
        for name, needed in wanted.items()
        if needed and getattr(options, name) is None
    ]


def _given(value: float | None) -> tuple[float, ...]:
    return () if value is None else (value,)


def _learn(model: "LanguageModel", index: "TokenIndex", options: AdaptOptions) -> "Adaptation":
    from seqgen.evaluation.adapt import Adaptation, tune_dynamic
    from seqgen.evaluation.dynamic import SEGMENT, gradient_scales

    segment = options.dynamic_segment or SEGMENT
    update: Any = options.dynamic_update or "rms"
    scales = gradient_scales(model, index.tokens("train"), segment=segment) if update == "rms" else None
    dynamic = tune_dynamic(
        model,
        index.tokens("valid"),
        update=update,
        segment=segment,
        scales=scales,
        rates=_given(options.dynamic_rate),
        decays=_given(options.dynamic_decay),
    )
    return Adaptation(dynamic=dynamic, scales=scales)

"""`seqgen evaluate`: how well a model predicts a corpus."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.adapting import (
    AdaptOptions,
    CacheLambda,
    CacheSize,
    CacheTheta,
    Dynamic,
    DynamicDecay,
    DynamicRate,
    DynamicSegment,
    DynamicUpdate,
    choose_adaptation,
    switched_off,
)
from seqgen.cli.classify import Others
from seqgen.cli.console import notice
from seqgen.cli.evaluate_classifier import evaluate_classifier
from seqgen.cli.evaluate_translator import evaluate_translator
from seqgen.cli.evaluate_tunes import compare_samples, pieces_of, quarters_of, sample_rows
from seqgen.cli.flags import flags_given
from seqgen.cli.ngram import AUTO, MixNgram, Ngram, NgramOptions, NgramOrder, choose_share, read_with_ngrams
from seqgen.cli.options import Model
from seqgen.cli.own_corpus import own_index
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.artifacts import Artifact
    from seqgen.data.index import TokenIndex
    from seqgen.evaluation.adapt import Adaptation
    from seqgen.evaluation.losses import Losses
    from seqgen.networks.tasks import LanguageModel

_OTHER_TASKS = {"classify": evaluate_classifier, "translate": evaluate_translator}
"""What scores the models of other tasks."""
_CORPUS = typer.Argument(
    metavar="CORPUS", help="What to predict; without it, a part of the corpus the model was trained on."
)


def evaluate(
    model: Model,
    corpus: Annotated[list[str] | None, _CORPUS] = None,
    part: Annotated[str, typer.Option(help="train, valid or test: of the model's own corpus.")] = "valid",
    protocol: Annotated[str, typer.Option(help="carried, or windows:N: a fresh state every N.")] = "carried",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    cache: CacheSize = None,
    cache_theta: CacheTheta = None,
    cache_lambda: CacheLambda = None,
    dynamic: Dynamic = False,
    dynamic_rate: DynamicRate = None,
    dynamic_decay: DynamicDecay = None,
    dynamic_update: DynamicUpdate = None,
    dynamic_segment: DynamicSegment = None,
    ngram: Ngram = False,
    mix_ngram: MixNgram = None,
    ngram_order: NgramOrder = None,
    others: Others = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Draw so many tunes and compare them with the corpus.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    per_token: Annotated[
        bool, typer.Option("--per-token", help="Print a JSON line a token: document, position, token, nats.")
    ] = False,
) -> None:
    """Score a model on its own corpus or on another.

    Tells nats per token, perplexity, and bits per character, byte, note or quarter. A classifier is scored on
    its labels instead: accuracy, macro-F1, confusion matrix; a translation model on
    its translations, too: BLEU, chrF.

    Every token is charged exactly once, ends of documents included. Scores compare only within one protocol.
    With --cache and --dynamic the model adapts to what it has read; how is tuned on the validation part. The
    n-gram model of --ngram and --mix-ngram predicts what followed the same tokens in the training part.

    Example: seqgen evaluate models/pydoc --part test
    """
    options = AdaptOptions(
        cache=cache,
        cache_theta=cache_theta,
        cache_lambda=cache_lambda,
        dynamic=dynamic,
        dynamic_rate=dynamic_rate,
        dynamic_decay=dynamic_decay,
        dynamic_update=dynamic_update,
        dynamic_segment=dynamic_segment,
    )
    ngrams = NgramOptions(ngram=ngram, mix_ngram=mix_ngram, ngram_order=ngram_order)
    if options.wanted and protocol != "carried":
        raise ConfigError(f"--protocol {protocol}: --cache and --dynamic read with the state carried")
    if ngrams.wanted and protocol != "carried":
        raise ConfigError(f"--protocol {protocol}: --ngram and --mix-ngram know all of the document before")
    if samples is not None and per_token:
        raise ConfigError("--samples: it compares tunes, and --per-token prints losses; ask for one of them")
    _evaluate(
        model,
        corpus,
        part,
        protocol,
        device,
        options,
        ngrams,
        samples,
        others or [],
        as_json=as_json,
        per_token=per_token,
    )


def _evaluate(
    path: Path,
    corpus: list[str] | None,
    part: str,
    protocol: str,
    device: str,
    options: AdaptOptions,
    ngrams: NgramOptions,
    samples: int | None,
    others: list[Path],
    *,
    as_json: bool,
    per_token: bool,
) -> None:
    from seqgen.artifacts import TASKS, load_artifact

    artifact = load_artifact(path)
    if others and artifact.config.task != "classify":
        raise ConfigError(f"{path}: --with averages classifiers, and this is none; leave it out")
    if artifact.config.task in _OTHER_TASKS:
        others_given = {"--protocol": protocol != "carried", "--samples": samples, "--per-token": per_token}
        beside = [flag for flag, given in others_given.items() if given]
        for flag in (*flags_given(options), *flags_given(ngrams), *beside):
            kind, _ = TASKS[artifact.config.task]
            raise ConfigError(f"{flag} is for language models, and {path} is {kind}; leave it out")
        extra: dict[str, Any] = {"others": others} if others else {}
        _OTHER_TASKS[artifact.config.task](artifact, corpus, part, device, as_json=as_json, **extra)
        return
    _evaluate_language_model(
        artifact,
        corpus,
        part,
        protocol,
        device,
        options,
        ngrams,
        samples,
        as_json=as_json,
        per_token=per_token,
    )


def _evaluate_language_model(
    artifact: "Artifact",
    corpus: list[str] | None,
    part: str,
    protocol: str,
    device: str,
    options: AdaptOptions,
    ngrams: NgramOptions,
    samples: int | None,
    *,
    as_json: bool,
    per_token: bool,
) -> None:
    from seqgen.evaluation import restore_model
    from seqgen.evaluation.ngram import mixed, ngram_losses

    if samples is not None and artifact.tokenizer.modality != "music":
        raise ConfigError("--samples: this model makes text, and only tunes are compared")
    index, part = _what_to_predict(artifact, corpus, part)
    if not index.counts(part)["tokens"]:
        raise CorpusError(f"the {part} part is empty; name a corpus, or another --part")
    model = restore_model(artifact, device)
    adaptation, tuned_on = None, None
    if options.wanted:
        adaptation, tuned_on = choose_adaptation(model, _own_index(artifact), options)
    for remark in switched_off(adaptation, options):
        notice(remark)
    if tuned_on and part == "valid":
        notice("tuned on the part that is scored here; --part test gives the fair score")
    losses = _losses(model, index, part, protocol, adaptation)
    name = adaptation.protocol if adaptation else protocol
    own = _own_index(artifact) if ngrams.wanted else index
    baseline = read_with_ngrams(own, index, part, ngrams.ngram_order) if ngrams.wanted else None
    share, chosen_on = ngrams.share, None
    if ngrams.mix_ngram == AUTO:
        held_out = _losses(model, own, "valid", protocol, adaptation)
        by_half = part == "valid" and not corpus
        share, chosen_on = choose_share(own, ngrams.ngram_order, held_out, by_half=by_half)
    if baseline is not None and share is not None:
        losses, name = mixed(losses, baseline, share), f"{name}+{ngrams.protocol}"
    if per_token:
        _print_tokens(index, part, losses)
        return
    record = _score(index, part, losses, name)
    if adaptation:
        record |= {**adaptation.record(), "tuned_on": tuned_on}
    if name != protocol:
        static = _score(index, part, _losses(model, index, part, protocol, None), protocol)
        record |= {"mix_ngram": share, "mix_ngram_chosen_on": chosen_on, "static": static}
    if baseline is not None and ngrams.ngram:
        record["ngram"] = _score(index, part, ngram_losses(baseline), ngrams.protocol)
    if samples is not None:
        own = index if not corpus else _own_index(artifact)
        record["samples"] = compare_samples(artifact, own, pieces_of(index, part), part, count=samples)
    _print_score(record, as_json)


def _what_to_predict(artifact: "Artifact", corpus: list[str] | None, part: str) -> "tuple[TokenIndex, str]":
    """Return an index in the model's own vocabulary and the part of it to read."""
    from dataclasses import replace

    from seqgen.data.index import PARTS
    from seqgen.data.indexing import ensure_index

    if part not in PARTS:
        raise ConfigError(f"--part {part}: choose {', '.join(PARTS)}")
    if corpus:
        everything = replace(artifact.config.index, split=(0.0, 0.0, 100.0))
        config = replace(artifact.config, index=everything)
        return ensure_index(corpus, config, tokenizer=artifact.tokenizer, notify=notice), "test"
    return _own_index(artifact), part


def _own_index(artifact: "Artifact") -> "TokenIndex":
    return own_index(artifact, otherwise="name a corpus to evaluate on")


def _losses(
    model: "LanguageModel", index: "TokenIndex", part: str, protocol: str, adaptation: "Adaptation | None"
) -> "Iterator[Losses]":
    from seqgen.data.batches import segments
    from seqgen.evaluation import stream_losses

    tokens = index.tokens(part)
    if adaptation:
        return adaptation.losses(model, tokens)
    return stream_losses(model, tokens, segments(index.documents(part), protocol))


def _score(index: "TokenIndex", part: str, losses: "Iterator[Losses]", protocol: str) -> dict[str, Any]:
    from seqgen.evaluation import total_score, units_of

    counts = index.counts(part)
    units = units_of(counts) | quarters_of(index, part)
    score = total_score(losses, protocol=protocol, units=units)
    return {**score.record(), "documents": counts["documents"], "unknown": counts["unknown"]}


def _print_score(record: dict[str, Any], as_json: bool) -> None:
    import json

    if as_json:
        print(json.dumps(record))
        return
    rows = {
        "protocol": record["protocol"],
        "documents": f"{record['documents']:,}",
        "tokens": f"{record['tokens']:,}",
        "unknown tokens": f"{record['unknown']:,}",
        **_measures(record),
    }
    for method in ("dynamic", "cache"):
        if method in record:
            rows[method] = ", ".join(f"{name} {value}" for name, value in record[method].items())
    if record.get("mix_ngram") is not None:
        chosen_on = record["mix_ngram_chosen_on"]
        rows["n-gram share"] = f"{record['mix_ngram']:g}" + (f", chosen on {chosen_on}" if chosen_on else "")
    if "tuned_on" in record:
        rows["tuned on"] = record["tuned_on"] or "nothing, all was given"
    for other in ("static", "ngram"):
        if other in record:
            name = record[other]["protocol"]
            rows |= {f"{measure}, {name}": value for measure, value in _measures(record[other]).items()}
    if "samples" in record:
        rows |= sample_rows(record["samples"])
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


def _measures(record: dict[str, Any]) -> dict[str, str]:
    return {
        "nats per token": f"{record['loss_nats']:.4f}",
        "perplexity": f"{record['perplexity']:.3f}",
        **{f"bits per {unit}": f"{bits:.4f}" for unit, bits in record["bits_per"].items()},
    }


def _print_tokens(index: "TokenIndex", part: str, losses: "Iterator[Losses]") -> None:
    import json
    from itertools import pairwise

    from seqgen.evaluation.losses import gather

    tokens, names = index.tokens(part), index.tokenizer.tokens
    nats = gather(losses, len(tokens))
    for number, (start, stop) in enumerate(pairwise(index.documents(part))):
        for place in range(int(start), int(stop)):
            record = {
                "document": number,
                "position": place - int(start),
                "token": names[int(tokens[place])],
                "nats": round(float(nats[place]), 5),
            }
            print(json.dumps(record, ensure_ascii=False))

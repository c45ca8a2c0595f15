"""BLEU on test pairs by the length of the source, with and without attention: the bottleneck made visible.

python benchmarks/quality/bench_translation.py PAIRS.tsv --epochs 12 -o FOLDER [--split 90/5/5]
    [--attention none additive] [--options="--hidden-size 256 --dropout 0.4"]

Trains a model for each kind of attention, all else alike, unless FOLDER holds it already; the weights that
are kept are chosen on validation pairs. Each distinct source of the test part is translated once and compared
with all of its translations. FOLDER gets bleu-by-length.png and bleu-by-length.json.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import describe_machine
from seqgen.artifacts import load_artifact
from seqgen.config import Config
from seqgen.data.pairs import PairCorpus, load_pairs, with_references
from seqgen.evaluation.bleu import score_translations
from seqgen.report.plots import plot_curves
from seqgen.sampling.translation import Search, Translator

FEWEST = 80
"""Neighbouring lengths are put together until there are so many sentences of them."""


def by_length(sources: list[str]) -> list[list[str]]:
    """Group sources by their number of words, shortest first."""
    groups: list[list[str]] = [[]]
    ordered = sorted(sources, key=lambda source: (len(source.split()), source))
    for number, source in enumerate(ordered):
        longer = number and len(source.split()) > len(ordered[number - 1].split())
        if longer and len(groups[-1]) >= FEWEST:
            groups.append([])
        groups[-1].append(source)
    if len(groups) > 1 and len(groups[-1]) < FEWEST:
        last = groups.pop()
        groups[-1] += last
    return groups


def train(pairs: Path, path: Path, attention: str, options: list[str]) -> None:
    command = [sys.executable, "-m", "seqgen", "train", str(pairs), "--task", "translate", "-o", str(path)]
    subprocess.run([*command, "--attention", attention, *options], check=True)


def measure(path: Path) -> dict:
    """Score a model's test part, as a whole and by length."""
    artifact = load_artifact(path)
    corpus = own_pairs(artifact.source["corpus"], artifact.config, path)
    references = with_references(corpus.parts["test"])
    found = Translator.of(artifact, "cpu").translate(references, Search())
    translations = {source: best.text for source, (best, *_) in zip(references, found, strict=True)}

    def score(sources: list[str]) -> dict:
        own = [translations[source] for source in sources], [references[source] for source in sources]
        return score_translations(*own).record()

    groups = []
    for sources in by_length(list(references)):
        words = [len(source.split()) for source in sources]
        record = score(sources)
        place = {"words": [min(words), max(words)], "mean_words": round(sum(words) / len(words), 2)}
        groups.append({**place, **{key: record[key] for key in ("bleu", "chrf", "sentences")}})
    last = artifact.history()[-1]
    return {
        "valid": artifact.scores["valid"],
        "test": score(list(references)),
        "by_length": groups,
        "training_seconds": last["seconds"],
        "epochs": last["epoch"],
    }


def own_pairs(names: list[str], config: Config, path: Path) -> PairCorpus:
    artifact = load_artifact(path)
    tokenizers = artifact.tokenizer, artifact.target_tokenizer
    return load_pairs([Path(name) for name in names], config, tokenizers=tokenizers, notify=lambda _: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--epochs", default="12")
    parser.add_argument("--split", default="90/5/5")
    parser.add_argument("--attention", nargs="+", default=["none", "additive"])
    parser.add_argument("--options", default="", help="further options of seqgen train")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    options = ["--epochs", given.epochs, "--split", given.split, *shlex.split(given.options)]
    results = {}
    for attention in given.attention:
        path = given.output / attention
        if not (path / "artifact.yaml").is_file():
            train(given.pairs, path, attention, options)
        results[attention] = measure(path)
    curves = {
        name: (
            [group["mean_words"] for group in own["by_length"]],
            [group["bleu"] for group in own["by_length"]],
        )
        for name, own in results.items()
    }
    title = f"{given.pairs.name}, test part"
    plot_curves(given.output / "bleu-by-length.png", curves, x="words of the source", y="BLEU", title=title)
    record = {"machine": describe_machine(), "options": options, "results": results}
    (given.output / "bleu-by-length.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()

"""What `seqgen report` shows of a classifier: what it confuses, and which tokens speak for its labels."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from seqgen.cli.console import notice
from seqgen.cli.reporting import (
    CELLS,
    Subject,
    TaskReport,
    corpus_name,
    learning_section,
    parameter_count,
    trained_on,
)

if TYPE_CHECKING:
    from seqgen.data.tokenizers import Ids, Tokenizer
    from seqgen.evaluation.classification import Explained
    from seqgen.report.page import Section

LONGEST = 120
"""Most tokens of a text that is explained: each is left out once."""


@dataclass(frozen=True)
class ClassifierSubject(Subject):
    """A classifier that is reported on."""

    @cached_property
    def examples(self) -> "list[Explained]":
        """Texts of its validation part, explained; none where that cannot be read any more."""
        from seqgen.cli.evaluate_classifier import own_examples
        from seqgen.data.examples import encode_part
        from seqgen.errors import ArtifactError, ConfigError, CorpusError
        from seqgen.evaluation.classification import explain_examples, restore_classifier

        try:
            texts = own_examples(self.artifact, "valid", lambda _: None)
        except (ArtifactError, ConfigError, CorpusError):
            names = " ".join(self.artifact.source.get("corpus", [])) or "its corpus"
            notice(f"no texts are shown: those of {names} are gone or have changed since training")
            return []
        part = encode_part(texts, self.artifact.tokenizer, self.artifact.config.classify.labels)
        found = explain_examples(restore_classifier(self.artifact, "cpu"), part, self.count, longest=LONGEST)
        if not found:
            notice(f"no texts are shown: none of up to {LONGEST} tokens validates")
        return found


def _subtitle(subject: ClassifierSubject) -> str:
    config = subject.artifact.config
    model, labels = config.model, len(config.classify.labels)
    layers = "" if model.cell == "bow" else f" of {model.layers} × {model.hidden_size} units"
    both = " that reads from both ends" if model.bidirectional else ""
    pooling = f"with {config.classify.pool} pooling"
    return (
        f"{CELLS[model.cell]}{layers}{both}, {pooling}, for {labels} labels, {trained_on(subject.artifact)}."
    )


def _confusion(subject: ClassifierSubject) -> "Section | None":
    from seqgen.report.sections import confusion_section

    scores = subject.artifact.scores
    if not scores:
        return None
    tables = {
        f"{score['examples']:,} texts of the {part} part": score["confusion"]
        for part, score in scores.items()
    }
    lead = (
        "How many texts of each label were given which. Green is right, red is wrong: the deeper, the larger "
        "the share of the row."
    )
    return confusion_section(tables, subject.artifact.config.classify.labels, lead)


def _texts(subject: ClassifierSubject) -> "Section | None":
    from seqgen.report.sections import Strip, contributions_section

    if not subject.examples:
        return None
    labels, tokenizer = subject.artifact.config.classify.labels, subject.artifact.tokenizer
    strips = []
    for example in subject.examples:
        given = int(example.probabilities.argmax())
        verdict = "which is right" if given == example.truth else f"but it is {labels[example.truth]}"
        heading = f"Labelled {labels[given]}, {verdict}"
        chance = f"Probability {example.probabilities[given]:.1%}"
        strips.append(Strip(heading, chance, _spelled(tokenizer, example.ids), example.shares, signed=True))
    return contributions_section(
        strips,
        "Texts that it was not trained on, from the surest hit to the worst mistake. The colour of a token "
        "tells by how much the log odds of the label fall when it is left out.",
    )


def _spelled(tokenizer: "Tokenizer", ids: "Ids") -> list[str]:
    """Return tokens as a strip shows them."""
    unknown = " <unk>" if tokenizer.level == "word" else "<unk>"
    return [
        unknown if token == tokenizer.unk_id else tokenizer.tokens[token].replace("\n", "↵\n")
        for token in ids
    ]


def _learning(subject: ClassifierSubject) -> "Section | None":
    return learning_section(subject, "text", " The first is that of single steps, with dropout.")


def _card(subject: ClassifierSubject) -> "Section | None":
    from seqgen.report.sections import card_section

    artifact = subject.artifact
    config, vocab = artifact.config, artifact.tokenizer
    facts = {
        "Corpus": corpus_name(artifact) or "unknown",
        "Labels": ", ".join(config.classify.labels),
        "Tokens": f"{vocab.level}s, {len(vocab.tokens):,} different ones",
        "Parameters": parameter_count(artifact),
        "Seed": str(config.training.seed),
    }
    if config.classify.init_from:
        facts["Started from"] = Path(config.classify.init_from).name
    for part, score in artifact.scores.items():
        texts = f"{part} part of {score['examples']:,} texts"
        facts[f"Accuracy, {texts}"] = f"{score['accuracy']:.2%}"
        facts[f"Macro-F1, {texts}"] = f"{score['macro_f1']:.4f}"
    return card_section(facts, f"seqgen classify {artifact.path.resolve().name} < texts.txt")


REPORT = TaskReport(
    subject=ClassifierSubject,
    subtitle=_subtitle,
    sections=(_confusion, _texts, _learning, _card),
    count=5,
    unused=("--temperature", "--seed", "--compare"),
)

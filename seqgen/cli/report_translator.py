"""What `seqgen report` shows of a translation model: translations of sentences it has not seen, above all."""

from dataclasses import dataclass
from functools import cached_property
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
    from seqgen.report.page import Section
    from seqgen.sampling.translation import Example

LONGEST = 16
"""Most tokens of a source whose attention a phone has room for."""


@dataclass(frozen=True)
class TranslatorSubject(Subject):
    """A translation model that is reported on."""

    @cached_property
    def examples(self) -> "list[Example]":
        """Translations of its validation part; none where that cannot be read any more."""
        from seqgen.cli.evaluate_translator import own_pairs
        from seqgen.data.pairs import with_references
        from seqgen.errors import ArtifactError, CorpusError
        from seqgen.sampling.translation import Translator, translate_examples

        try:
            pairs = own_pairs(self.artifact).parts["valid"]
        except (ArtifactError, CorpusError):
            names = " ".join(self.artifact.source.get("corpus", [])) or "its corpus"
            notice(f"no translations are shown: the pairs of {names} are gone or have changed since training")
            return []
        translator = Translator.of(self.artifact, "cpu")
        found = translate_examples(translator, with_references(pairs), self.count, longest=LONGEST)
        if not found:
            notice(f"no translations are shown: no pair of up to {LONGEST} tokens validates")
        return found


def _subtitle(subject: TranslatorSubject) -> str:
    model, attention = subject.artifact.config.model, subject.artifact.config.translate.attention
    reads = "in both directions" if model.bidirectional else "in one direction"
    looks = "without attention" if attention == "none" else f"with {attention} attention"
    return (
        f"{CELLS[model.cell]} of {model.layers} × {model.hidden_size} units that reads {reads} and one that "
        f"writes, {looks}, {trained_on(subject.artifact)}."
    )


def _examples(subject: TranslatorSubject) -> "Section | None":
    from seqgen.report.sections import ShownTranslation, translations_section

    if not subject.examples:
        return None
    shown = [
        ShownTranslation(
            example.source,
            example.translation.text,
            example.references,
            example.translation.source,
            example.translation.target,
            example.translation.attention,
        )
        for example in subject.examples
    ]
    lead = "Sentences that it was not trained on, from short to long, and what people made of them."
    if subject.artifact.config.translate.attention == "none":
        return translations_section(shown, f"{lead} It has no attention to be shown.")
    return translations_section(
        shown,
        f"{lead} Each row of a grid is a token that it wrote: the deeper the colour of a cell, the more it "
        "looked at the token of the source above. Point at a cell to read its weight.",
    )


def _learning(subject: TranslatorSubject) -> "Section | None":
    remark = " The first is that of single steps, with dropout and label smoothing, and may lie above."
    return learning_section(subject, "token", remark)


def _card(subject: TranslatorSubject) -> "Section | None":
    from seqgen.report.sections import card_section

    artifact = subject.artifact
    sides = {"source": artifact.tokenizer, "target": artifact.target_tokenizer}
    facts = {
        "Pairs": corpus_name(artifact) or "unknown",
        **{
            f"Tokens of the {side}": f"{vocab.level}s, {len(vocab.tokens):,} different ones"
            for side, vocab in sides.items()
        },
        "Attention": artifact.config.translate.attention,
        "Parameters": parameter_count(artifact),
        "Seed": str(artifact.config.training.seed),
    }
    for part, score in artifact.scores.items():
        facts[f"Loss, {part} part ({score['protocol']})"] = f"{score['loss_nats']:.4f} nats per token"
        for name in ("BLEU", "chrF"):
            if name.lower() in score:
                signature = score["signatures"][name.lower()].replace("|", " ")
                facts[f"{name}, {part} part, by sacreBLEU: {signature}"] = f"{score[name.lower()]:.1f}"
    return card_section(facts, f"seqgen translate {artifact.path.resolve().name} < sentences.txt")


REPORT = TaskReport(
    subject=TranslatorSubject,
    subtitle=_subtitle,
    sections=(_examples, _learning, _card),
    count=4,
    unused=("--temperature", "--seed", "--compare"),
)

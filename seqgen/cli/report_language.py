"""What `seqgen report` shows of a language model, most of it taken from what the model itself writes."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

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
    from seqgen.artifacts import Artifact
    from seqgen.music.pieces import Piece
    from seqgen.networks.tasks import LanguageModel
    from seqgen.report.page import Section
    from seqgen.report.tunes import ShownTune
    from seqgen.sampling.events import Sample

SAMPLE_TOKENS = 700
READ_TOKENS = 3000
"""Of its own samples, by which cells are ranked."""
SHOWN_TOKENS = 420
MARKS = 4
CLEAREST = 0.6
"""A cell that tells a mark less well is not shown."""


@dataclass(frozen=True)
class LanguageSubject(Subject):
    """A language model that is reported on, and what several sections need of it."""

    @cached_property
    def samples(self) -> "list[Sample]":
        """More samples than are shown, for the sections that look at how the model reads."""
        from seqgen.sampling.engine import SampleConfig, Sampler
        from seqgen.sampling.events import collect
        from seqgen.sampling.tune_rules import constrain_tune
        from seqgen.sampling.tune_wishes import TuneRules

        count = max(self.count, READ_TOKENS // SAMPLE_TOKENS)
        config = SampleConfig(count=count, length=SAMPLE_TOKENS, temperature=self.temperature, seed=self.seed)
        whole, _ = constrain_tune(TuneRules(), self.artifact.tokenizer, prompt=(), length=SAMPLE_TOKENS)
        return list(collect(Sampler(self.artifact).generate(config, constraint=whole)))

    @cached_property
    def network(self) -> "LanguageModel":
        """The model in torch."""
        from seqgen.evaluation import restore_model

        return restore_model(self.artifact, "cpu")


def _subtitle(subject: LanguageSubject) -> str:
    from seqgen.training.card import model_options

    model = subject.artifact.config.model
    size = f"{model.layers} × {model.hidden_size} units"
    options = "".join(f", {option}" for option in model_options(model))
    return f"{CELLS[model.cell]} of {size}{options}, {trained_on(subject.artifact)}."


def _samples(subject: LanguageSubject) -> "Section | None":
    from seqgen.report.sections import texts_section, tunes_section

    how = f"Drawn at temperature {subject.temperature:g} with seed {subject.seed}"
    shown = subject.samples[: subject.count]
    if subject.artifact.tokenizer.modality == "text":
        return texts_section([sample.text.strip("\n") for sample in shown], f"{how}, as they came.")
    tunes = [_tune(subject, sample) for sample in shown]
    lead = f"{how}, as they came. Press play, or click into a roll to hear it from there."
    return tunes_section(tunes, lead)


def _tune(subject: LanguageSubject, sample: "Sample") -> "ShownTune":
    from seqgen.music.compress import small_sound
    from seqgen.music.engrave import NARROW_MM, can_engrave, engrave
    from seqgen.music.timeline import timeline
    from seqgen.report.tunes import ShownTune
    from seqgen.sampling.outputs import make_piece

    piece = make_piece(subject.artifact.tokenizer, sample.tokens, f"Tune {sample.sequence + 1}")
    sound, kind = small_sound(piece)
    times = timeline(piece)
    return ShownTune(
        title=piece.title,
        about=_about(piece, times.duration_s),
        timeline=times,
        sound=sound,
        sound_type=kind,
        score=engrave(piece) if can_engrave() else "",
        narrow_score=engrave(piece, width_mm=NARROW_MM) if can_engrave() else "",
    )


def _about(piece: "Piece", seconds: float) -> str:
    first = [changes[0][1] for changes in (piece.keys, piece.meters) if changes]
    names = [value.name for value in first if value is not None]
    return " · ".join([*names, f"{piece.note_count} notes", f"{seconds:.0f} s"])


def _learning(subject: LanguageSubject) -> "Section | None":
    return learning_section(subject, "token")


def _cells(subject: LanguageSubject) -> "Section | None":
    from seqgen.inspection.gates import best_stretch, find_marks
    from seqgen.inspection.portrait import watched_marks
    from seqgen.report.sections import Strip, strips_section

    ids = [token for sample in subject.samples for token in (*sample.tokens, 0)][:READ_TOKENS]
    names = [subject.artifact.tokenizer.tokens[token] for token in ids]
    watched = [found for found in watched_marks(subject.network, ids, names) if found.cell.score >= CLEAREST][
        :MARKS
    ]
    if not watched:
        return None
    marks = find_marks(names)
    strips = []
    for mark, cell, values in watched:
        start = best_stretch({mark: marks[mark]}, SHOWN_TOKENS)
        part = slice(start, start + SHOWN_TOKENS)
        label = (
            f"Cell {cell.cell} of layer {cell.layer}, {'higher' if cell.rises else 'lower'} there; "
            f"selectivity {cell.score:.2f}"
        )
        shown = _spelled(subject.artifact, names[part])
        strips.append(Strip(mark.capitalize(), label, shown, values[part], signed=True))
    return strips_section(
        strips,
        "Nobody told it of these marks. For each, the one cell whose value tells it best while the model "
        "reads its own samples; 0 is chance, 1 perfect.",
    )


def _spelled(artifact: "Artifact", names: list[str]) -> list[str]:
    """Return tokens as a strip shows them."""
    by_notes = artifact.tokenizer.level == "note"

    def spelled(name: str) -> str:
        if name == artifact.tokenizer.tokens[0]:
            return "¶\n"
        if by_notes:
            return f"{name.partition('_')[2] or name} "
        return name.replace("\n", "↵\n").replace("▁", " ")

    return [spelled(name) for name in names]


def _map(subject: LanguageSubject) -> "Section | None":
    from seqgen.errors import ArtifactError
    from seqgen.inspection.neighbours import learned_vectors
    from seqgen.inspection.portrait import map_of_tokens
    from seqgen.report.sections import map_section

    try:
        vectors = learned_vectors(subject.artifact)
    except ArtifactError:
        return None
    points, names, kinds, share = map_of_tokens(vectors, list(subject.artifact.tokenizer.tokens))
    lead = (
        f"The vectors it learned for its most frequent tokens, laid flat (PCA). The map shows {share:.0%} of "
        "their variance, so what is near here need not be near in truth."
    )
    return map_section(points, [_short(name) for name in names], kinds, lead)


def _short(name: str) -> str:
    """Return a token's name as a map shows it."""
    shown = {" ": "␣", "\n": "↵", "\t": "⇥"}.get(name, name.replace("▁", ""))
    return shown.partition("_")[2] or shown if "_" in shown[1:] else shown.strip() or shown


def _flow(subject: LanguageSubject) -> "Section | None":
    from seqgen.inspection.portrait import own_flow
    from seqgen.report.sections import flow_section

    flow = own_flow(subject.network, [[0, *sample.tokens] for sample in subject.samples])
    if flow is None:
        return None
    lead = (
        "How strongly the loss of a token depends on the state k tokens before: the norm of dL(t)/dh(t−k) by "
        f"autograd, a mean over {flow.places} places of its own samples. Beyond the first ten tokens each "
        f"step back multiplies it by {flow.far:.3f}."
    )
    lines = {"hidden state h": flow.hidden.tolist()}
    if flow.memory is not None:
        lines["cell state c"] = flow.memory.tolist()
    return flow_section(lines, lead)


def _ladder(subject: LanguageSubject) -> "Section | None":
    from seqgen.report.sections import ladder_section

    if not subject.compared:
        return None
    lead = "Models on one split with one budget, from worst to best; the gap is how far each overfits."
    return ladder_section(subject.compared, subject.artifact.path.resolve().name, lead)


def _card(subject: LanguageSubject) -> "Section | None":
    from seqgen.data.index import PARTS
    from seqgen.report.sections import card_section

    artifact = subject.artifact
    config, vocab = artifact.config, artifact.tokenizer
    facts = {
        "Corpus": corpus_name(artifact) or "unknown",
        "Tokens": f"{vocab.level}s, {len(vocab.tokens):,} different ones",
        "Parameters": parameter_count(artifact),
        "Seed": str(config.training.seed),
    }
    for part in (part for part in PARTS if part in artifact.scores):
        score = artifact.scores[part]
        bits = [f"{value:.3f} bits per {unit}" for unit, value in score.get("bits_per", {}).items()]
        facts[f"Score, {part} part ({score['protocol']})"] = ", ".join(
            [f"{score['loss_nats']:.4f} nats", *bits[:1]]
        )
    if artifact.source.get("licence"):
        facts["Licence of the corpus"] = str(artifact.source["licence"])
    return card_section(facts, f"seqgen sample {artifact.path.resolve().name} --seed {subject.seed}")


REPORT = TaskReport(
    subject=LanguageSubject,
    subtitle=_subtitle,
    sections=(_samples, _learning, _cells, _map, _flow, _ladder, _card),
    count=3,
)

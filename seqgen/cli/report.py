"""`seqgen report`: a model on one page, to look at, to listen to and to send."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice
from seqgen.errors import ConfigError

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

_COMPARE = typer.Option(help="What `seqgen compare --json` printed: adds the table of models.")
_COUNT = typer.Option("--count", "-n", min=1, help="How many samples to show.")
_TEMPERATURE = typer.Option(min=0.0, help="Of the samples: sharper below 1, flatter above.")


@dataclass(frozen=True)
class Subject:
    """A model that is reported on, and what several sections need of it."""

    artifact: "Artifact"
    count: int
    temperature: float
    seed: int
    compared: list[dict[str, Any]]

    @property
    def writes(self) -> bool:
        """Whether it is a language model, which has samples, and can be looked into while it reads them."""
        return self.artifact.config.task == "lm"

    @cached_property
    def samples(self) -> "list[Sample]":
        """More samples than are shown, for the sections that look at how the model reads."""
        from seqgen.sampling.engine import SampleConfig, Sampler
        from seqgen.sampling.events import collect
        from seqgen.sampling.tune_rules import TuneRules, constrain_tune

        count = max(self.count, READ_TOKENS // SAMPLE_TOKENS)
        config = SampleConfig(count=count, length=SAMPLE_TOKENS, temperature=self.temperature, seed=self.seed)
        whole, _ = constrain_tune(TuneRules(), self.artifact.tokenizer, prompt=(), length=SAMPLE_TOKENS)
        return list(collect(Sampler(self.artifact).generate(config, constraint=whole)))

    @cached_property
    def network(self) -> "LanguageModel":
        """The model in torch."""
        from seqgen.evaluation import restore_model

        return restore_model(self.artifact, "cpu")


def report(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    compare: Annotated[Path | None, _COMPARE] = None,
    count: Annotated[int, _COUNT] = 3,
    temperature: Annotated[float, _TEMPERATURE] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Decides the samples.")] = 1,
) -> None:
    """Write a page on a model: samples, how it learned, what its cells watch. It needs no network to be read.

    Tunes come with a button that plays them, and as notation where `pip install 'seqgen[score]'` was done.

    Example: seqgen report models/fiddle -o fiddle.html
    """
    from seqgen.artifacts import load_artifact
    from seqgen.files import replacing
    from seqgen.report.page import make_page

    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"-o {output}: choose a name that ends in .html")
    compared = _read_comparison(compare) if compare else []
    subject = Subject(load_artifact(model), count, temperature, seed, compared)
    sections = [section for make in SECTIONS if (section := make(subject)) is not None]
    page = make_page(subject.artifact.path.resolve().name, _subtitle(subject.artifact), sections)
    with replacing(output) as aside:
        aside.write_text(page, encoding="utf-8")
    notice(f"{output} is written, {_size(len(page.encode()))}: {', '.join(s.title for s in sections)}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _read_comparison(path: Path) -> list[dict[str, Any]]:
    import json

    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        if not models or not all({"name", "bits", "curve", "unit"} <= set(model) for model in models):
            raise ValueError("models are missing")
    except OSError as error:
        raise ConfigError(f"--compare {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--compare {path}: not what `seqgen compare --json` prints ({error})") from error
    return list(models)


def _subtitle(artifact: "Artifact") -> str:
    from seqgen.training.card import cell_options

    model, corpus = artifact.config.model, _corpus(artifact) or "an unnamed corpus"
    names = {
        "lstm": "An LSTM",
        "gru": "A GRU",
        "rnn": "A tanh RNN",
        "window": "A window",
        "bow": "A bag of words",
    }
    is_mean = artifact.config.task == "classify" and model.cell == "bow"
    size = "" if is_mean else f" of {model.layers} × {model.hidden_size} units"
    both = ", read from both ends" * model.bidirectional
    options = "" if is_mean else "".join(f", {option}" for option in cell_options(model))
    history = artifact.history()
    time = f" for {_duration(float(history[-1]['seconds']))}" if history else ""
    return f"{names[model.cell]}{size}{both}{options}, trained on {corpus}{time}."


def _corpus(artifact: "Artifact") -> str:
    """Name a corpus without the folders it lies in, which are nobody else's business."""
    return ", ".join(Path(name).name for name in artifact.source.get("corpus", []))


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _samples(subject: Subject) -> "Section | None":
    from seqgen.report.sections import texts_section, tunes_section

    if not subject.writes:
        return None
    how = f"Drawn at temperature {subject.temperature:g} with seed {subject.seed}"
    shown = subject.samples[: subject.count]
    if subject.artifact.tokenizer.modality == "text":
        return texts_section([sample.text.strip("\n") for sample in shown], f"{how}, as they came.")
    tunes = [_tune(subject, sample) for sample in shown]
    lead = f"{how}, as they came. Press play, or click into a roll to hear it from there."
    return tunes_section(tunes, lead)


def _tune(subject: Subject, sample: "Sample") -> "ShownTune":
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


def _learning(subject: Subject) -> "Section | None":
    from seqgen.report.sections import curves_section

    history = subject.artifact.history()
    if len(history) < 2:
        return None
    lead = (
        "The loss on what it trained on, and on what it did not see. Where the second rises while the first "
        "falls, it learns by heart."
    )
    unit = "label" if subject.artifact.config.task == "classify" else "token"
    return curves_section(history, lead, unit=unit)


def _verdicts(subject: Subject) -> "Section | None":
    from seqgen.data.index import PARTS
    from seqgen.report.sections import confusion_section

    scores = subject.artifact.scores
    part = next((part for part in reversed(PARTS) if "confusion" in scores.get(part, {})), None)
    if part is None:
        return None
    score = scores[part]
    lead = (
        f"The {score['examples']:,} texts of the {part} part: their labels in rows, what it says in columns."
    )
    return confusion_section(subject.artifact.config.classify.labels, score["confusion"], lead)


def _cells(subject: Subject) -> "Section | None":
    from seqgen.inspection.gates import best_stretch, find_marks
    from seqgen.inspection.portrait import watched_marks
    from seqgen.report.sections import Strip, strips_section

    if not subject.writes:
        return None
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


def _map(subject: Subject) -> "Section | None":
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


def _flow(subject: Subject) -> "Section | None":
    from seqgen.inspection.portrait import own_flow
    from seqgen.report.sections import flow_section

    if not subject.writes:
        return None
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


def _ladder(subject: Subject) -> "Section | None":
    from seqgen.report.sections import ladder_section

    if not subject.compared:
        return None
    lead = "Models on one split with one budget, from worst to best; the gap is how far each overfits."
    return ladder_section(subject.compared, subject.artifact.path.resolve().name, lead)


def _card(subject: Subject) -> "Section | None":
    from seqgen.artifacts import TASKS
    from seqgen.data.index import PARTS
    from seqgen.report.sections import card_section

    artifact = subject.artifact
    config, vocab = artifact.config, artifact.tokenizer
    weights = sum(array.size for array in artifact.weights().values())
    facts = {
        "Corpus": _corpus(artifact) or "unknown",
        "Tokens": f"{vocab.level}s, {len(vocab.tokens):,} different ones",
        "Parameters": f"{weights:,}",
        "Seed": str(config.training.seed),
    }
    for part in PARTS:
        if part in artifact.scores:
            name, told = _told_score(part, artifact.scores[part])
            facts[name] = told
    if artifact.source.get("licence"):
        facts["Licence of the corpus"] = str(artifact.source["licence"])
    _, command = TASKS[config.task]
    seed = f" --seed {subject.seed}" * subject.writes
    return card_section(facts, f"seqgen {command} {artifact.path.resolve().name}{seed}")


def _told_score(part: str, score: dict[str, Any]) -> tuple[str, str]:
    """Name a score of any task, with its protocol if it has one, and say what it is."""
    bits = [f"{value:.3f} bits per {unit}" for unit, value in score.get("bits_per", {}).items()]
    told = [f"{score['loss_nats']:.4f} nats", *bits[:1]]
    if "accuracy" in score:
        told = [f"accuracy {score['accuracy']:.2%}", f"macro-F1 {score['macro_f1']:.4f}"]
    if "bleu" in score:
        told += [f"BLEU {score['bleu']:.1f}", f"chrF {score['chrf']:.1f}"]
    protocol = f" ({score['protocol']})" if "protocol" in score else ""
    return f"Score, {part} part{protocol}", ", ".join(told)


SECTIONS: tuple[Callable[[Subject], "Section | None"], ...] = (
    _samples,
    _learning,
    _verdicts,
    _cells,
    _map,
    _flow,
    _ladder,
    _card,
)
"""What a page shows, in this order; a section that does not suit a model is None, and absent."""

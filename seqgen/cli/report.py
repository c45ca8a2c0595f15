"""`seqgen report`: a model on one page, to look at, to listen to and to send."""

from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli import report_classifier, report_language, report_translator
from seqgen.cli.console import notice
from seqgen.cli.options import Model, file_to_write
from seqgen.cli.reporting import TaskReport
from seqgen.errors import ConfigError
from seqgen.files import unreadable

REPORTS: dict[str, TaskReport[Any]] = {
    "lm": report_language.REPORT,
    "classify": report_classifier.REPORT,
    "translate": report_translator.REPORT,
}
"""What a page shows, by the task of the model."""

_COMPARE = typer.Option(help="What `seqgen compare --json` printed: adds the table of models.")
_OUTPUT = typer.Option("--output", "-o", callback=file_to_write, help="The page to write.")
_COUNT = typer.Option("--count", "-n", min=1, help="How many samples or examples to show.")
_TEMPERATURE = typer.Option(min=0.0, help="Of the samples: sharper below 1, flatter above; 0.8 if not given.")
_SEED = typer.Option(min=0, help="Decides the samples; 1 if not given.")


def report(
    model: Model,
    output: Annotated[Path, _OUTPUT] = Path("report.html"),
    compare: Annotated[Path | None, _COMPARE] = None,
    count: Annotated[int | None, _COUNT] = None,
    temperature: Annotated[float | None, _TEMPERATURE] = None,
    seed: Annotated[int | None, _SEED] = None,
) -> None:
    """Write a page on a model: what it makes, learned and watches.

    The page needs no network. Of a language model it shows samples, cells and gradients, of a classifier the
    confusion matrix and what tokens contribute, of a translation model translations and attention. Tunes come
    with a button that plays them, and as notation where `pip install 'seqgen[score]'` was done.

    Example: seqgen report models/fiddle -o fiddle.html
    """
    from seqgen.artifacts import load_artifact
    from seqgen.files import replacing
    from seqgen.report.page import make_page

    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"-o {output}: choose a name that ends in .html")
    artifact = load_artifact(model)
    shown = REPORTS[artifact.config.task]
    given = {"--compare": compare, "--temperature": temperature, "--seed": seed}
    for option in shown.unused:
        if given[option] is not None:
            raise ConfigError(f"{option} is for language models, and {model} is none; leave it out")
    subject = shown.subject(
        artifact,
        count=count or shown.count,
        temperature=0.8 if temperature is None else temperature,
        seed=1 if seed is None else seed,
        compared=_read_comparison(compare) if compare else [],
    )
    sections = [section for make in shown.sections if (section := make(subject)) is not None]
    page = make_page(artifact.path.resolve().name, shown.subtitle(subject), sections)
    with replacing(output) as aside:
        aside.write_text(page, encoding="utf-8")
    notice(f"{output} is written, {len(page.encode()) / 1e3:,.0f} kB: {', '.join(s.title for s in sections)}")


def _read_comparison(path: Path) -> list[dict[str, Any]]:
    import json

    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        if not models or not all({"name", "bits", "curve", "unit"} <= set(model) for model in models):
            raise ValueError("models are missing")
    except OSError as error:
        raise ConfigError(f"--compare {unreadable(path, error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--compare {path}: not what `seqgen compare --json` prints ({error})") from error
    return list(models)

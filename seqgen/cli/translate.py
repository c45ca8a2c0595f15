"""`seqgen translate`: lines in, translations out, or the score of translations."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqgen.cli.console import notice
from seqgen.cli.options import file_to_write
from seqgen.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from seqgen.evaluation.bleu import TranslationScore
    from seqgen.sampling.translation import Search, Translation, Translator

_READ_BYTES = 1 << 16
_LONGEST_PLOT = 60
"""Most tokens of a side whose attention can still be seen."""

_MODEL = typer.Argument(metavar="MODEL", help="A translation model, made by `seqgen train --task translate`.")
_SCORE = typer.Option(
    "--score", metavar="FILE", help="Compare with the translations in this file, line by line."
)
_PLOT = typer.Option(
    "--attention-plot", metavar="FILE", callback=file_to_write, help="Draw the attention of the first line."
)


def translate(
    model: Annotated[Path, _MODEL],
    beam: Annotated[int, typer.Option(min=1, help="Translations pursued at once; 1 is greedy.")] = 5,
    length_penalty: Annotated[float, typer.Option(min=0.0, help="The larger, the longer; 0 is none.")] = 1.0,
    n_best: Annotated[int, typer.Option("--n-best", min=1, help="Translations of a line, best first.")] = 1,
    copy_unknown: Annotated[
        bool, typer.Option("--copy/--no-copy", help="Copy the source's token where the target's is unknown.")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON line each, with scores and attention.")
    ] = False,
    score: Annotated[Path | None, _SCORE] = None,
    attention_plot: Annotated[Path | None, _PLOT] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Translate lines of standard input, each as it comes.

    With --n-best, the translations of a line stand on lines of their own. With --score the result is BLEU and
    chrF (sacreBLEU) instead of the translations; `seqgen evaluate` scores on the model's own pairs.

    Example: seqgen translate models/enfr --beam 5 < english.txt > french.txt
    """
    from seqgen.artifacts import load_artifact, require_task
    from seqgen.report.plots import check_plot
    from seqgen.sampling.translation import Search, Translator

    if n_best > beam:
        raise ConfigError(f"--n-best {n_best}: a beam of {beam} finds no more than {beam}; raise --beam")
    artifact = require_task(load_artifact(model), "translate")
    if attention_plot:
        check_plot(attention_plot)
        if artifact.config.translate.attention == "none":
            raise ConfigError(f"--attention-plot: {model} has no attention; train with --attention additive")
    search = Search(beam=beam, length_penalty=length_penalty, n_best=n_best, copy_unknown=copy_unknown)
    translator = Translator.of(artifact, device)
    if score:
        _print_score(_score_file(translator, score, search), as_json)
    else:
        _translate_lines(translator, search, as_json, attention_plot)


def _translate_lines(translator: "Translator", search: "Search", as_json: bool, plot: Path | None) -> None:
    drawn = False
    for lines in arriving_lines():
        for line, found in zip(lines, translator.translate(lines, search), strict=True):
            if plot and not drawn and found[0].attention.size:
                _draw(plot, found[0])
                drawn = True
            _print(line, found, as_json)
        sys.stdout.flush()
    if plot and not drawn:
        notice(f"{plot} was not drawn: no line came to a translation")


def arriving_lines() -> Iterator[list[str]]:
    """Yield the lines of standard input that are there, without waiting for more.

    Raises:
        CorpusError: If they are not UTF-8.
    """
    held, count = b"", 0
    stream = sys.stdin.fileno()
    while chunk := os.read(stream, _READ_BYTES):
        *complete, held = (held + chunk).split(b"\n")
        if complete:
            yield [_decoded(line, count + number) for number, line in enumerate(complete, 1)]
            count += len(complete)
    if held:
        yield [_decoded(held, count + 1)]


def _decoded(line: bytes, number: int) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise CorpusError(f"standard input, line {number}: byte {error.start} is not UTF-8") from error
    return (text.removeprefix("\ufeff") if number == 1 else text).removesuffix("\r")


def _print(line: str, found: "list[Translation]", as_json: bool) -> None:
    import json

    if not as_json:
        print("\n".join(translation.text for translation in found))
        return
    record = {"source": line, "translations": [translation.record() for translation in found]}
    print(json.dumps(record, ensure_ascii=False))


def _draw(path: Path, translation: "Translation") -> None:
    from seqgen.report.attention import plot_attention

    if max(translation.attention.shape) > _LONGEST_PLOT:
        raise ConfigError(
            f"--attention-plot: a side has more than {_LONGEST_PLOT} tokens; take a shorter line"
        )
    missing = plot_attention(path, translation.source, translation.target, translation.attention)
    if missing:
        notice(
            f"{path}: no font here has {''.join(missing)}: shown as code points; "
            "a .svg shows them, or install a font such as Noto Sans CJK"
        )


def _score_file(translator: "Translator", path: Path, search: "Search") -> "TranslationScore":
    from seqgen.data.pairs import read_lines
    from seqgen.evaluation.bleu import score_translations

    references = read_lines(path)
    sources = [line for lines in arriving_lines() for line in lines]
    if len(sources) != len(references) or not sources:
        raise CorpusError(
            f"standard input has {len(sources):,} lines and {path} has {len(references):,}; "
            "each line needs its translation"
        )
    translations = [best.text for best, *_ in translator.translate(sources, search)]
    return score_translations(translations, [[reference] for reference in references])


def _print_score(score: "TranslationScore", as_json: bool) -> None:
    import json

    record: dict[str, Any] = score.record()
    if as_json:
        print(json.dumps(record))
        return
    for name, value in score_rows(record).items():
        print(f"{name:<9}  {value}")


def score_rows(record: dict[str, Any]) -> dict[str, str]:
    """Return what to show of the record of a `TranslationScore`."""
    signatures = record["signatures"]
    return {
        "sentences": f"{record['sentences']:,}",
        "BLEU": f"{record['bleu']:.2f}  {signatures['bleu']}",
        "chrF": f"{record['chrf']:.2f}  {signatures['chrf']}",
    }

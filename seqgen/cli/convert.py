"""`seqgen convert`: music files to other kinds of music files."""

import sys
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import counted, notice
from seqgen.cli.options import folder_to_write
from seqgen.errors import ConfigError

if TYPE_CHECKING:
    from seqgen.data.converting import Tune, Written
    from seqgen.data.corpus import Corpus
    from seqgen.music.forms import TuneForm

STDOUT = "-"


class TuneFormName(StrEnum):
    """What a tune can be written as."""

    ABC = "abc"
    MIDI = "midi"
    MUSICXML = "musicxml"
    MXL = "mxl"
    WAV = "wav"
    SVG = "svg"
    PNG = "png"


_NAMES = typer.Argument(metavar="IN", help="Music files, folders, globs, catalogue names, or -.")
_OUTPUT = typer.Argument(metavar="OUT", help="A file, whose suffix says what it is; a folder; or -.")


def convert(
    names: Annotated[list[str], _NAMES],
    output: Annotated[str, _OUTPUT],
    to: Annotated[
        TuneFormName | None, typer.Option(help="What to write; otherwise the suffix of OUT says it.")
    ] = None,
    tune: Annotated[int | None, typer.Option(min=1, help="Only the tune of this number in its book.")] = None,
    soundfont: Annotated[
        Path | None, typer.Option(help="Play WAV with FluidSynth and this file, not on plucked strings.")
    ] = None,
) -> None:
    """Turn tunes into ABC, MIDI, MusicXML, sound or a piano roll.

    ABC, MIDI, MusicXML and kern are read; sound is WAV, a piano roll SVG or PNG. An ABC file takes all tunes
    of a book, another file one (--tune); with a folder as OUT each tune becomes a file of its own. MIDI and
    WAV play repeats out.

    Example: seqgen convert tunes.abc tune.mid --tune 3
    """
    from seqgen.data.converting import convert_tunes, find_tunes
    from seqgen.data.corpus import summarize

    form, folder = _choose(output, to)
    if soundfont is not None and form != "wav":
        raise ConfigError(f"--soundfont: it plays a .wav, and {output} is to be {form}")
    corpus, tunes = find_tunes(names, tune)
    if folder is None and form != "abc" and len(tunes) > 1:
        raise ConfigError(_too_many(output, form, len(tunes), is_book=len(corpus.sources) == 1))
    _keep_sources(corpus, output)
    omitted: Counter[str] = Counter()
    written = _counting(convert_tunes(corpus, tunes, form, soundfont=soundfont), omitted)
    if folder is not None:
        _write_folder(written, folder, form)
    else:
        _write_file(b"\n".join(result.content for _, result in written), output)
    for line in summarize(corpus.skipped):
        notice(line)
    if omitted:
        notice("left out: " + ", ".join(f"{what} ({count:,})" for what, count in omitted.most_common()))


def _choose(output: str, to: TuneFormName | None) -> "tuple[TuneForm, Path | None]":
    """Return what to write, and the folder to write it to where there is to be one."""
    from seqgen.music.forms import TUNE_SUFFIXES

    path = Path(output)
    known = TUNE_SUFFIXES.get(path.suffix.lower())
    is_folder = output != STDOUT and (output.endswith("/") or path.is_dir() or not path.suffix)
    form = to.value if to is not None else None if is_folder else known
    if form is None:
        kinds = ", ".join(TuneFormName)
        if is_folder or output == STDOUT:
            raise ConfigError(f"{output}: say with --to what to write: {kinds}")
        raise ConfigError(f"{output}: {path.suffix} files are not written; use one of {_suffixes()}")
    if output == STDOUT and form in ("midi", "mxl", "wav", "png") and sys.stdout.isatty():
        raise ConfigError(f"{form} is no text for a terminal; name a file, or use a pipe")
    if output != STDOUT:
        folder_to_write(path)
    return form, path if is_folder else None


def _suffixes() -> str:
    from seqgen.music.forms import TUNE_SUFFIXES

    return ", ".join(TUNE_SUFFIXES)


def _too_many(output: str, form: str, count: int, *, is_book: bool) -> str:
    one = "choose one with --tune 1, or " if is_book else ""
    return f"{output}: {count:,} tunes, and this file holds one; {one}name a folder: tunes/ --to {form}"


def _keep_sources(corpus: "Corpus", output: str) -> None:
    """Refuse to write over what is read."""
    target = Path(output)
    if output != STDOUT and target.exists():
        for source in corpus.sources:
            if source.path.samefile(target):
                raise ConfigError(f"{output}: this very file is to be converted; choose another name")


def _counting(
    written: "Iterator[tuple[Tune, Written]]", omitted: Counter[str]
) -> "Iterator[tuple[Tune, Written]]":
    for tune, result in written:
        omitted.update(dict(result.omitted))
        yield tune, result


def _write_file(content: bytes, output: str) -> None:
    from seqgen.files import replacing

    if output == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with replacing(Path(output)) as aside:
        aside.write_bytes(content)


def _write_folder(written: "Iterator[tuple[Tune, Written]]", folder: Path, form: "TuneForm") -> None:
    from seqgen.files import replacing
    from seqgen.music.forms import suffix_of

    taken: Counter[str] = Counter()
    for tune, result in written:
        taken[tune.name] += 1
        again = f"-{taken[tune.name]}" if taken[tune.name] > 1 else ""  # of the same name in another folder
        with replacing(folder / f"{tune.name}{again}{suffix_of(form)}") as aside:
            aside.write_bytes(result.content)
    notice(f"{folder}: {counted(taken.total(), 'file')} written")

"""Options that several commands share, and how their values are read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.errors import ConfigError

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model directory.")]
Names = Annotated[
    list[str],
    typer.Argument(metavar="CORPUS", help="Files, folders, globs, - for standard input, or catalogue names."),
]
Split = Annotated[str | None, typer.Option(help="Shares of train/valid/test, such as 90/5/5.")]
Documents = Annotated[str | None, typer.Option(help="files, lines or paragraphs: what a document is.")]
Column = Annotated[str | None, typer.Option(help="The text column of csv, tsv or jsonl: name or number.")]
Encoding = Annotated[str | None, typer.Option(help="Of text files; utf-8 unless given.")]
OnError = Annotated[
    str | None, typer.Option(help="What cannot be read: fail or skip; unless given, music alone is skipped.")
]
MinCount = Annotated[int | None, typer.Option(help="What is seen less often is <unk>.")]
MaxSize = Annotated[int | None, typer.Option(help="Most tokens; for subwords 8000 unless given.")]
Lowercase = Annotated[bool | None, typer.Option("--lowercase", help="Read all letters as lower case.")]
Normalize = Annotated[str | None, typer.Option(help="nfc or none: Unicode form; nfc unless given.")]
Subword = Annotated[str | None, typer.Option(help="unigram or bpe.")]
Notes = Annotated[
    str | None,
    typer.Option(help="How notes are written: auto, melody, chorale, remi, tsd, midilike, structured."),
]
Grid = Annotated[int | None, typer.Option(help="Times a quarter that remi and chorale tell apart.")]
Keeping = Annotated[
    str | None,
    typer.Option("--with", help="What is kept too: chord (symbols; melody), pedal (remi, tsd, midilike)."),
]
LeavingOut = Annotated[
    str | None,
    typer.Option("--without", help="What remi and its kin leave out: velocity, tempo; or program: one part."),
]
Merges = Annotated[int | None, typer.Option(help="Pairs of note tokens to learn as tokens of their own.")]

Transpose = Annotated[
    str | None,
    typer.Option(help="C: all music in C or A minor. all, or semitones such as -3:3: copies to train on."),
]
Stretch = Annotated[
    str | None, typer.Option(help="Copies with durations times this, such as 1/2,2, to train on.")
]
Parts = Annotated[str | None, typer.Option(help="melody, bass, or names or numbers of parts; else all.")]


def file_to_write(path: Path | None) -> Path | None:
    """Return the value of an option that names a file to write; folders on the way are made later.

    Raises:
        ConfigError: If no file can be there.
    """
    if path is not None and path.is_dir():
        raise ConfigError(f"{path}: a folder; name a file in it")
    return folder_to_write(path)


def folder_to_write(path: Path | None) -> Path | None:
    """Return the value of an option that names a folder to make or to fill.

    Raises:
        ConfigError: If it would lie in a file.
    """
    for parent in path.parents if path is not None else ():
        if parent.exists() and not parent.is_dir():
            raise ConfigError(f"{path}: {parent} is a file, not a folder; choose another place")
    return path


def by_name(models: Sequence[Path]) -> dict[str, Path]:
    """Return models by what a table calls them: their folder, or the whole path where two are called alike.

    Raises:
        ConfigError: If one is given twice.
    """
    places = [model.resolve() for model in models]
    for place, model in zip(places, models, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{model}: given twice; name each model once")
    names = [place.name for place in places]
    return {
        name if names.count(name) == 1 else str(model): model
        for name, model in zip(names, models, strict=True)
    }


def parse_shares(text: str | None) -> list[float] | None:
    """Read shares such as 90/5/5.

    Raises:
        ConfigError: If they are not three numbers, the first above 0.
    """
    if text is None:
        return None
    try:
        shares = [float(part) for part in text.split("/")]
    except ValueError:
        shares = []
    if len(shares) != 3 or not min(shares) >= 0 or not 0 < shares[0] < float("inf"):
        raise ConfigError(f"--split {text}: expected three shares train/valid/test, such as 90/5/5")
    return shares


_KEPT = {
    "velocity": "velocities",
    "program": "programs",
    "tempo": "tempos",
    "pedal": "pedals",
    "chord": "chords",
}


def parse_kept(kept: str | None, left_out: str | None) -> dict[str, Any]:
    """Read what an encoding is to keep and to leave out, such as velocity,tempo, as configuration values.

    Raises:
        ConfigError: If a name is unknown, or given in both.
    """
    found: dict[str, Any] = {}
    for option, text, value in (("--with", kept, True), ("--without", left_out, False)):
        for name in (text or "").split(",") if text is not None else ():
            key = _KEPT.get(name.strip())
            if key is None or key in found:
                reason = "is given twice" if key else f"is none of {', '.join(_KEPT)}"
                raise ConfigError(f"{option} {text}: {name.strip()!r} {reason}")
            found[key] = value
    if "velocities" in found:
        found["velocities"] = None if found["velocities"] else 0
    return {f"vocab__{key}": value for key, value in found.items()}


def parse_cells(text: str, *, more: tuple[str, ...] = ()) -> list[str]:
    """Read names of cells such as rnn,gru, each once.

    Args:
        text: The names, separated by commas.
        more: What may be named beside the cells.

    Raises:
        ConfigError: If one is unknown.
    """
    from typing import get_args

    from seqgen.config import Cell

    known = (*get_args(Cell), *more)
    cells = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for cell in cells:
        if cell not in known:
            raise ConfigError(f"--cells {text}: {cell!r} is none of {', '.join(known)}")
    return cells


MUSIC_KEYS = {
    "corpus": ("parts", "transpose", "stretch"),
    "vocab": ("notes", "grid", "velocities", "programs", "tempos", "pedals", "chords", "merges"),
}
"""Configuration keys of how music is read, by section."""
_TEXT_KEYS = {"corpus": ("documents",)}


def refuse_foreign_options(chosen: Mapping[str, Any], modality: str) -> None:
    """Refuse options of music where a corpus is text, or the reverse, though they might change nothing.

    Raises:
        ConfigError: Naming the key.
    """
    foreign, of, read = (
        (_TEXT_KEYS, "text", "music") if modality == "music" else (MUSIC_KEYS, "music", "text")
    )
    for section, keys in foreign.items():
        for key in keys:
            if key in chosen.get(section, {}):
                name = "--with or --without" if key in _KEPT.values() else f"{section}.{key}"
                raise ConfigError(f"{name} is for corpora of {of}, and this one is read as {read}")


def given_values(**dotted: Any) -> dict[str, Any]:
    """Return the options that were given as nested configuration values.

    Args:
        dotted: Values by dotted key with `__` for the dot; None where an option was not given.
    """
    from seqgen.config import nest

    return nest({key.replace("__", "."): value for key, value in dotted.items() if value is not None})

"""Files written whole or not at all, known by their content, and told of alike where they cannot be read."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ALIKE = 0.75
"""From which likeness of two names, 0 to 1, one is taken for the other misspelt."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes its place only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say where it is full
        raise
    finally:
        aside.unlink(missing_ok=True)


def missing(path: Path, *, what: str = "file", otherwise: str | None = None) -> str:
    """Say in one line that nothing is at a path.

    Args:
        path: Where something was looked for.
        what: It was to be.
        otherwise: What to do if nothing beside it has a name much like it.
    """
    near = _nearest(path)
    if near is not None:
        advice = f"did you mean {near}?"
    elif otherwise is not None:
        advice = otherwise
    else:
        folder = path.parent
        advice = "check its name and folder" if folder.is_dir() else f"there is no folder {folder}"
    return f"{path}: no such {what}; {advice}"


def _nearest(path: Path) -> Path | None:
    """Return what lies beside a path under nearly its name."""
    from difflib import get_close_matches

    if not path.parent.is_dir():
        return None
    beside = [other for other in sorted(path.parent.iterdir()) if not other.name.startswith(".")]
    by_stem = {other.stem.casefold(): other for other in beside}
    found = get_close_matches(path.stem.casefold(), by_stem, n=1, cutoff=_ALIKE)
    return by_stem[found[0]] if found else None


def unreadable(path: Path, error: OSError, *, otherwise: str | None = None) -> str:
    """Say in one line why a file cannot be read; for `otherwise` see `missing`."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return missing(path, otherwise=otherwise)
    if isinstance(error, IsADirectoryError):
        return f"{path}: a folder; name a file in it"
    return f"{path}: cannot be read ({error.strerror or error})"


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What a piece can be written as, and the suffixes of the files."""

from typing import Literal, get_args

TuneForm = Literal["abc", "midi", "musicxml", "mxl", "wav", "svg", "png"]
TUNE_FORMS: tuple[TuneForm, ...] = get_args(TuneForm)
TUNE_SUFFIXES: dict[str, TuneForm] = {
    ".abc": "abc",
    ".mid": "midi",
    ".midi": "midi",
    ".musicxml": "musicxml",
    ".xml": "musicxml",
    ".mxl": "mxl",
    ".wav": "wav",
    ".svg": "svg",
    ".png": "png",
}
"""What a file is by its suffix."""


def suffix_of(form: TuneForm) -> str:
    """Return the usual suffix of files of a form."""
    return next(suffix for suffix, found in TUNE_SUFFIXES.items() if found == form)

"""Music files to other music files: which tunes a name stands for, and each as the content of a new file."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from seqgen.config import CorpusConfig
from seqgen.data.corpus import Corpus, open_corpus
from seqgen.data.pool import map_tunes
from seqgen.data.tunes import music_units, skipped_unit
from seqgen.errors import ConfigError, CorpusError
from seqgen.music.forms import TuneForm
from seqgen.music.read import MusicUnit, parse_unit
from seqgen.music.sound import play_soundfont
from seqgen.music.write import write_abc, write_tune


class Tune(NamedTuple):
    """A tune to convert: where it is, and its number in its file, from 1, or 0 if it is alone there."""

    unit: MusicUnit
    number: int

    @property
    def name(self) -> str:
        """A name for a file of its own: that of its file, and of a book also number and title."""
        stem = self.unit.path.name.removesuffix(self.unit.path.suffix)
        if not self.number:
            return stem
        plain = unicodedata.normalize("NFC", self.unit.title).casefold()
        title = re.sub(r"[\W_]+", "-", plain).strip("-")[:40].rstrip("-")
        return f"{stem}-{self.number:03d}" + (f"-{title}" if title else "")


class Written(NamedTuple):
    """What became of one tune: the content of a file and what a piece leaves out, or why there is none."""

    content: bytes
    omitted: tuple[tuple[str, int], ...] = ()
    error: str = ""


def find_tunes(names: Sequence[str], number: int | None) -> tuple[Corpus, list[Tune]]:
    """Find the tunes of files, folders, globs or corpora known by name.

    Args:
        names: As the user gave them.
        number: Of the tune that alone is wanted of a book, from 1; None for all.

    Raises:
        CorpusError: If a name stands for nothing, or for no music.
        ConfigError: If there is no tune of that number.
    """
    corpus = open_corpus(names, CorpusConfig(), level="note")
    tunes = []
    for source, units in music_units(corpus):
        numbers = range(1, len(units) + 1) if len(units) > 1 else [0]
        found = [Tune(unit, n) for unit, n in zip(units, numbers, strict=True)]
        if number is not None:
            if not 1 <= number <= len(found):
                held = "holds one tune" if len(found) == 1 else f"holds {len(found)} tunes"
                raise ConfigError(f"--tune {number}: {source.name} {held}")
            found = found[number - 1 : number]
        tunes += found
    corpus.require_content(len(tunes))
    return corpus, tunes


def convert_tunes(
    corpus: Corpus, tunes: Sequence[Tune], form: TuneForm, *, soundfont: Path | None = None
) -> Iterator[tuple[Tune, Written]]:
    """Yield the tunes that can be read, in order; the others are noted in the corpus.

    Args:
        corpus: What `find_tunes` returned.
        tunes: Of it; the X: field of an ABC tune is its place among them.
        form: What to write.
        soundfont: What to play a WAV with in place of plucked strings.

    Raises:
        CorpusError: If no tune can be read.
    """
    work = partial(_convert, form=form, soundfont=soundfont)
    written = map_tunes(list(enumerate(tunes, start=1)), work, _crashed)
    count = 0
    for tune, result in zip(tunes, written, strict=True):
        if result.error:
            corpus.skip(skipped_unit(tune.unit, result.error))
        else:
            count += 1
            yield tune, result
    corpus.require_content(count)


def _convert(item: tuple[int, Tune], *, form: TuneForm, soundfont: Path | None) -> Written:
    number, tune = item
    try:
        piece = parse_unit(tune.unit)
        if form == "abc":
            return Written(write_abc([piece], first=number).encode(), piece.omitted)
        if soundfont is not None:
            return Written(play_soundfont(write_tune(piece, "midi"), soundfont), piece.omitted)
        return Written(write_tune(piece, form), piece.omitted)
    except CorpusError as error:
        return Written(b"", (), str(error))


def _crashed(item: tuple[int, Tune]) -> Written:
    return Written(b"", (), f"{item[1].unit.place}: the reader crashed on it")

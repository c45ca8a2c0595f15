"""Music files to token strings: parsed in parallel, and kept in the cache by the content of each file."""

import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from seqgen.data.corpus import Corpus
from seqgen.data.index import PARTS
from seqgen.data.pool import WORTH_A_POOL, map_tunes
from seqgen.data.provenance import code_hash
from seqgen.data.readers import UnreadableError
from seqgen.data.sources import Skipped, Source
from seqgen.data.split import assign_parts, cut_edges
from seqgen.data.vocab import canonical_hash
from seqgen.errors import CorpusError, TokenError
from seqgen.files import file_hash, replacing
from seqgen.music.encodings import NoteEncoding, count_notes, note_encoding, suits_melody
from seqgen.music.preparing import AS_IT_IS, Preparation
from seqgen.music.read import MIDI_SUFFIXES, MusicUnit, parse_unit, split_music
from seqgen.music.transposing import mark_in_any_key, pitch_of
from seqgen.runtime import cache_dir

_SAMPLED = 24
_SUITED_SHARE = 0.9


class Reading(NamedTuple):
    """What became of one tune: its tokens, parted by spaces, or why there are none."""

    tokens: str
    error: str = ""


@dataclass
class Tunes:
    """All tunes of a corpus as tokens of one encoding.

    Attributes:
        symbols: The distinct tokens, in order of appearance.
        documents: For each tune the numbers of its tokens in `symbols`.
        parts: For each tune the part it belongs to, where the corpus says so.
        titles: For each tune its title, or the name of its file where it has none.
    """

    encoding: NoteEncoding
    symbols: dict[str, int] = field(default_factory=dict)
    documents: list["array[int]"] = field(default_factory=list)
    parts: list[str | None] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    def add(self, part: str | None, title: str, tokens: str) -> None:
        """Add a tune."""
        self.documents.append(array("I", self.numbers(tokens.split(" "))))
        self.parts.append(part)
        self.titles.append(title)

    def numbers(self, tokens: Iterable[str]) -> list[int]:
        """Return the numbers of tokens in `symbols`; those that are new are added."""
        symbols = self.symbols
        return [symbols.setdefault(token, len(symbols)) for token in tokens]

    def note_marks(self) -> NDArray[np.int64]:
        """Return 1 for each symbol that is a note, 0 for the others."""
        return np.array([count_notes([name]) for name in self.symbols], dtype=np.int64)

    def digests(self) -> list[int]:
        """Return a 32-bit hash of each tune: equal music, equal hash, whatever its key and title."""
        heights = np.array([pitch_of(name) for name in self.symbols], dtype=np.int64)
        marks = np.array([crc32(mark_in_any_key(name).encode()) for name in self.symbols], dtype=np.int64)
        found = []
        for document in self.documents:
            symbols = numbers_of(document)
            pitches = heights[symbols]
            sounding = pitches >= 0
            first = pitches[sounding][:1].sum()
            found.append(crc32(np.where(sounding, pitches - first, marks[symbols]).astype("<i8").tobytes()))
        return found


def read_tunes(
    corpus: Corpus,
    encoding: NoteEncoding,
    *,
    preparation: Preparation = AS_IT_IS,
    notify: Callable[[str], None] = lambda message: None,
) -> Tunes:
    """Read every tune of a corpus; what cannot be read is noted there.

    Args:
        corpus: A corpus of music.
        encoding: How its notes are written as tokens.
        preparation: What is done to every piece before.
        notify: Called with one line if this will take a while.

    Raises:
        CorpusError: If something cannot be read and may not be skipped, or no tune is left.
    """
    tunes = Tunes(encoding)
    plan = []
    for source, units in music_units(corpus):
        place = _place(source, encoding, preparation)
        plan.append((source, units, place, _load(place)))
    missing = [unit for _, units, _, known in plan if known is None for unit in units]
    if len(missing) >= WORTH_A_POOL:
        notify(f"reading the notes of {len(missing):,} pieces, which are kept for the next time")
    read = partial(_read_unit, name=encoding.name, parameters=encoding.parameters(), preparation=preparation)
    fresh = map_tunes(missing, read, lambda unit: Reading("", f"{unit.place}: the reader crashed on it"))
    for source, units, place, known in plan:
        readings = [next(fresh) for _ in units] if known is None else known
        if known is None:
            _keep(place, readings)
        for unit, (tokens, error) in zip(units, readings, strict=True):
            if tokens:
                tunes.add(unit.part or source.part, unit.title or source.path.stem, tokens)
            else:
                corpus.skip(skipped_unit(unit, error))
    corpus.require_content(len(tunes.documents))
    return tunes


def skipped_unit(unit: MusicUnit, error: str) -> Skipped:
    """Note a tune that was not read, the place taken out of a message `path:line: reason` that has one."""
    found = re.fullmatch(rf"{re.escape(str(unit.path))}:(?:(\d+):)? (.*)", error, re.DOTALL)
    line, reason = found.groups() if found else (None, error)
    return Skipped(str(unit.path), reason, f"line {line or unit.line}" if line or unit.text else "")


def music_units(corpus: Corpus) -> Iterator[tuple[Source, list[MusicUnit]]]:
    """Yield the files of a corpus with their tunes, not parsed yet; those that hold none are dropped."""
    for source in list(corpus.sources):
        try:
            yield source, split_music(source.path)
        except CorpusError as error:
            corpus.drop(source, UnreadableError(str(error).removeprefix(f"{source.name}: ")))


def choose_encoding(
    corpus: Corpus,
    wanted: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    preparation: Preparation = AS_IT_IS,
) -> NoteEncoding:
    """Return the encoding asked for; for `auto`, melody if nearly all of a sample of tunes suit it.

    Args:
        corpus: A corpus of music.
        wanted: The name of an encoding, or `auto`.
        parameters: Of the encoding, such as the positions a quarter; the defaults for what is absent.
        preparation: What is done to every piece before.

    Raises:
        TokenError: If the encoding does not have a parameter.
    """
    if wanted != "auto":
        return note_encoding(wanted, parameters)
    units = [(source, unit) for source in corpus.sources for unit in _split_quietly(source)]
    sample = units[:: max(1, len(units) // _SAMPLED)]
    suited = [_suits(unit, preparation) for source, unit in sample if source.kind != "midi"]
    enough = sum(suited) >= _SUITED_SHARE * max(len(sample), 1) and any(suited)
    return note_encoding("melody" if enough else "remi", parameters)


def _split_quietly(source: Source) -> list[MusicUnit]:
    try:
        return split_music(source.path)
    except CorpusError:
        return []  # read_tunes will say why


def _suits(unit: MusicUnit, preparation: Preparation) -> bool:
    try:
        return suits_melody(preparation.apply(parse_unit(unit)))
    except CorpusError:
        return False


def _read_unit(
    unit: MusicUnit, *, name: str, parameters: Mapping[str, Any], preparation: Preparation
) -> Reading:
    try:
        encoding = note_encoding(name, parameters)
        tokens = None
        if preparation == AS_IT_IS and unit.path.suffix.lower() in MIDI_SUFFIXES:
            tokens = encoding.encode_midi(unit.path)
        if tokens is None:
            tokens = encoding.encode(preparation.apply(parse_unit(unit)))
        return Reading(" ".join(tokens), "it holds no notes")
    except (CorpusError, TokenError) as error:
        return Reading("", str(error))


def _place(source: Source, encoding: NoteEncoding, preparation: Preparation) -> Path:
    content = [file_hash(source.path), source.path.suffix]
    key = [*content, encoding.name, encoding.parameters(), asdict(preparation)]
    return cache_dir("notes", code_hash("music")[:16]) / f"{canonical_hash(key)[:32]}.json"


def _load(place: Path) -> list[Reading] | None:
    try:
        return [Reading(*pair) for pair in json.loads(place.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None  # never read, or damaged: read now


def _keep(place: Path, readings: Sequence[Reading]) -> None:
    with replacing(place) as aside:
        aside.write_text(json.dumps(readings, ensure_ascii=False), encoding="utf-8")


class SplitTune(NamedTuple):
    """A tune, or a stretch of one, that belongs to one part."""

    symbols: NDArray[np.uint32]
    part: int
    notes: int
    opens: bool
    closes: bool
    title: str


def split_tunes(tunes: Tunes, shares: Sequence[float]) -> tuple[str, list[SplitTune]]:
    """Divide tunes among the parts as documents of text are: by content, or else each at a bar.

    Returns:
        How (`given`, `hash` or `position`), and the tunes in order.
    """
    given = any(tunes.parts)
    parts = assign_parts(tunes.digests(), shares) if not given else b""
    if given:
        parts = bytes(PARTS.index(part or PARTS[0]) for part in tunes.parts)
    is_note = tunes.note_marks()
    if given or all(part in parts for part, share in enumerate(shares) if share > 0):
        stretches = []
        for document, part, title in zip(tunes.documents, parts, tunes.titles, strict=True):
            symbols = numbers_of(document)
            stretches.append(SplitTune(symbols, part, int(is_note[symbols].sum()), True, True, title))
        return "given" if given else "hash", stretches
    is_bar = np.array([name.startswith("Bar") for name in tunes.symbols])
    return "position", [
        stretch
        for document, title in zip(tunes.documents, tunes.titles, strict=True)
        for stretch in _cut_tune(numbers_of(document), title, shares, is_bar, is_note)
    ]


def numbers_of(document: "array[int]") -> NDArray[np.uint32]:
    """Return the symbols of a document as an array that shares its memory."""
    return np.frombuffer(document, dtype=np.uint32)


def _cut_tune(
    symbols: NDArray[np.uint32],
    title: str,
    shares: Sequence[float],
    is_bar: NDArray[np.bool_],
    is_note: NDArray[np.int64],
) -> Iterator[SplitTune]:
    bars = np.flatnonzero(is_bar[symbols])
    edges = [0]
    for edge in cut_edges(len(symbols), shares)[1:-1]:
        later = bars[np.searchsorted(bars, edge) :]
        edges.append(int(later[0]) if len(later) and 0 < edge < len(symbols) else edge)
    for part, (start, end) in enumerate(pairwise([*edges, len(symbols)])):
        if start < end:
            notes = int(is_note[symbols[start:end]].sum())
            yield SplitTune(symbols[start:end], part, notes, True, end == len(symbols), title)

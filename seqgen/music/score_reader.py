"""MusicXML and kern files to pieces, through music21. Transposing instruments are read as they sound."""

import contextlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from seqgen.errors import CorpusError
from seqgen.files import missing
from seqgen.music.chords import ChordSymbol, tidy_symbols
from seqgen.music.pieces import (
    EMPTY_TRACKS,
    MAX_BEATS,
    METER_UNITS,
    MODES,
    Bar,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    Pitch,
    key_of_signature,
    spelling,
    tidy_bars,
    tidy_changes,
    tidy_ties,
)
from seqgen.music.score_chords import symbol_of
from seqgen.music.tuplets import mark_tuplets

_FORMATS = {".krn": "humdrum"}
_BAR_KINDS = {"final": "|]", "double": "||", "light-light": "||", "light-heavy": "|]", "heavy-light": "||"}
_MODES = {"ionian": "major", "aeolian": "minor"}
_ZERO = Fraction(0)


def read_score(path: Path) -> Piece:
    """Read a MusicXML file, compressed or not, or a kern file.

    Raises:
        CorpusError: If music21 cannot read it, with the line where it is not even XML, or if it holds no
        notes.
    """
    if not path.is_file():
        raise CorpusError(missing(path))
    try:
        with quiet():
            piece = _Reader().read(_parse(path), path.stem)
    except Exception as error:  # music21 meets odd files with errors of nearly every type
        raise CorpusError(f"{path}: {_find_fault(path) or _describe(error)}") from error
    if not piece.note_count:
        raise CorpusError(f"{path}: a score with no notes")
    return piece


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what music21 prints and warns of from the terminal."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _parse(path: Path) -> Any:
    from music21 import converter

    parser = converter.Converter()
    # This way of parsing neither looks for nor leaves pickled copies.
    parser.parseFileNoPickle(path, format=_FORMATS.get(path.suffix.lower(), "musicxml"))
    return parser.stream


def _find_fault(path: Path) -> str | None:
    """Say where a file is not the XML, or the archive of XML, that its name promises."""
    from xml.etree import ElementTree
    from zipfile import is_zipfile

    if not path.stat().st_size:
        return "the file is empty"
    if path.suffix.lower() == ".mxl":
        return None if is_zipfile(path) else "not a compressed MusicXML file: it is no zip archive"
    if path.suffix.lower() in _FORMATS:
        return None
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314  (expat limits the growth of entities)
    except ElementTree.ParseError as error:
        line, column = error.position
        return f"line {line}, column {column + 1}: broken XML: {str(error).split(':')[0]}"
    return (
        None
        if root.tag.startswith("score-")
        else f"XML, but not MusicXML: its root element is <{root.tag[:40]}>"
    )


def _describe(error: Exception) -> str:
    reason = " ".join(str(error).split())[:160]
    return f"music21 cannot read it: {type(error).__name__}{': ' if reason else ''}{reason}"


class _Reader:
    """Walks a music21 score; `omitted` counts what it passes by."""

    def __init__(self) -> None:
        self.omitted: Counter[str] = Counter()
        self.keys: list[tuple[Fraction, Key | None]] = []
        self.meters: list[tuple[Fraction, Meter | None]] = []
        self.tempos: list[tuple[Fraction, float]] = []
        self.bars: list[Bar] = []
        self.chords: list[tuple[Fraction, ChordSymbol]] = []

    def read(self, found: Any, fallback_title: str) -> Piece:
        """Turn a music21 score into a piece; of several scores in a file the first."""
        from music21 import stream

        if isinstance(found, stream.Opus):
            self.omitted["further scores in the file"] = len(found.scores) - 1
            found = found.scores[0]
        if any(inst.transposition is not None for inst in found.recurse().getElementsByClass("Instrument")):
            found = found.toSoundingPitch()
        parts = [self._read_part(part, index == 0) for index, part in enumerate(found.parts)]
        self._count_spanners(found)
        bars = tidy_bars(self.bars)
        kept = [part for part in parts if part.notes]
        chords = tidy_symbols(self.chords)
        self.omitted["further chord symbols above a note"] = len(self.chords) - len(chords)
        self.omitted[EMPTY_TRACKS] = len(parts) - sum(any(n.pitch for n in part.notes) for part in parts)
        metadata = found.metadata
        return Piece(
            parts=tuple(_with_tuplets(part, bars) for part in kept),
            title=(metadata.bestTitle if metadata is not None else None) or fallback_title,
            keys=tidy_changes(self.keys),
            meters=tidy_changes(self.meters),
            tempos=tidy_changes(self.tempos),
            bars=bars,
            chords=chords,
            omitted=tuple(sorted((what, count) for what, count in self.omitted.items() if count)),
        )

    def _read_part(self, part: Any, leads: bool) -> Part:
        from music21 import stream

        notes: list[Note] = []
        measures = list(part.getElementsByClass(stream.Measure))
        for number, measure in enumerate(measures):
            onset = _exact(measure.offset)
            self._read_elements(measure, onset, notes, leads)
            if leads:
                self._read_bars(measure, onset, is_first=number == 0, is_last=number == len(measures) - 1)
        if not measures:
            self._read_elements(part, _ZERO, notes, leads)
        if leads:
            self._read_endings(part)
        instrument = part.getInstrument(returnDefault=True)
        is_drum = "UnpitchedPercussion" in instrument.classes or instrument.midiChannel == 9
        ordered = sorted(notes, key=lambda note: (note.onset, note.pitch.midi if note.pitch else -1))
        tied, loose = tidy_ties(_fill_holes(ordered, [bar.onset for bar in self.bars]))
        self.omitted["ties into nothing"] += loose
        return Part(tied, str(part.partName or "").strip(), int(instrument.midiProgram or 0) % 128, is_drum)

    def _read_elements(self, container: Any, start: Fraction, notes: list[Note], leads: bool) -> None:
        from music21 import stream

        for element in container:
            onset = start + _exact(element.offset)
            if isinstance(element, stream.Voice):
                self._read_elements(element, onset, notes, leads)
            elif "GeneralNote" in element.classes:
                self._read_note(element, onset, notes)
            elif leads or element.classes[0] not in _SHARED:
                self._read_mark(element, onset)

    def _read_mark(self, element: Any, onset: Fraction) -> None:
        kinds = element.classes
        if "KeySignature" in kinds:
            self.keys.append((onset, self._key(element)))
        elif "TimeSignature" in kinds or "SenzaMisuraTimeSignature" in kinds:
            self.meters.append((onset, self._meter(element)))
        elif "MetronomeMark" in kinds:
            tempo = element.getQuarterBPM()
            if tempo:
                self.tempos.append((onset, round(float(tempo), 3)))
        elif "Dynamic" in kinds or "TextExpression" in kinds or "Expression" in kinds:
            self.omitted["directions"] += 1

    def _read_note(self, element: Any, onset: Fraction, notes: list[Note]) -> None:
        kinds = element.classes
        if "Harmony" in kinds or "ChordSymbol" in kinds or "NoChord" in kinds:
            self._read_symbol(element, onset)
            return
        members = list(element.notes) if "ChordBase" in kinds else [element]
        if element.duration.isGrace:
            self.omitted["grace notes"] += len(members)
            return
        self.omitted["syllables of lyrics"] += len(element.lyrics)
        self.omitted["ornaments and articulations"] += len(element.expressions) + len(element.articulations)
        duration = _exact(element.quarterLength)
        if duration <= 0:
            return
        if element.isRest:
            notes.append(Note(onset, duration, None))
            return
        for member in members:
            tie = member.tie is not None and member.tie.type in ("start", "continue")
            notes.append(Note(onset, duration, self._pitch(member), tie))

    def _read_symbol(self, element: Any, onset: Fraction) -> None:
        symbol = symbol_of(element)
        if symbol is None:
            self.omitted["chord symbols of other kinds"] += 1
        else:
            self.chords.append((onset, symbol))

    def _pitch(self, member: Any) -> Pitch:
        if "Unpitched" in member.classes:
            stored = getattr(member.storedInstrument, "percMapPitch", None)
            midi = member.displayPitch().midi if stored is None else stored
            return spelling(0)[max(0, min(127, int(midi)))]
        found = member.pitch
        alter = int(found.alter)
        if alter != found.alter:
            self.omitted["microtones"] += 1
        octave = found.octave if found.octave is not None else found.implicitOctave
        if abs(alter) <= 2:
            pitch = Pitch(found.step, alter, octave)
            if 0 <= pitch.midi <= 127:
                return pitch
        return spelling(0)[max(0, min(127, int(found.midi)))]

    def _key(self, element: Any) -> Key | None:
        if element.isNonTraditional or element.sharps is None or abs(element.sharps) > 7:
            self.omitted["unusual key signatures"] += 1
            return None
        mode = getattr(element, "mode", None) or "major"
        mode = _MODES.get(mode, mode)
        return key_of_signature(element.sharps, mode if mode in MODES else "major")

    def _meter(self, element: Any) -> Meter | None:
        if "SenzaMisuraTimeSignature" in element.classes:
            return None
        beats, unit = element.numerator, element.denominator
        if not 1 <= beats <= MAX_BEATS or unit not in METER_UNITS:
            self.omitted["unusual meters"] += 1
            return None
        return Meter(beats, unit)

    def _read_bars(self, measure: Any, onset: Fraction, *, is_first: bool, is_last: bool) -> None:
        left, right = measure.leftBarline, measure.rightBarline
        if not is_first:
            self.bars.append(Bar(onset))
        if left is not None:
            opens = "Repeat" in left.classes and left.direction == "start"
            self.bars.append(Bar(onset, "|:" if opens else _BAR_KINDS.get(left.type, "|")))
        end = onset + _exact(measure.highestTime)
        if right is not None:
            closes = "Repeat" in right.classes and right.direction == "end"
            kind = ":|" if closes else _BAR_KINDS.get(right.type, "|")
            self.bars.append(Bar(end if is_last else self._end_of(measure, end), kind))
        elif is_last:
            self.bars.append(Bar(end))

    def _end_of(self, measure: Any, fallback: Fraction) -> Fraction:
        following = measure.next("Measure")
        return fallback if following is None else _exact(following.offset)

    def _read_endings(self, part: Any) -> None:
        from music21 import spanner

        for bracket in part.recurse().getElementsByClass(spanner.RepeatBracket):
            first = bracket.getFirst()
            if first is not None and first.activeSite is not None:
                numbers = ",".join(str(number) for number in bracket.numberRange)
                self.bars.append(Bar(_exact(first.offset), "|", numbers))

    def _count_spanners(self, score: Any) -> None:
        from music21 import spanner

        for element in score.recurse().getElementsByClass(spanner.Spanner):
            if "RepeatBracket" not in element.classes:
                self.omitted["slurs, wedges and other lines"] += 1


_SHARED = frozenset({"KeySignature", "Key", "TimeSignature", "SenzaMisuraTimeSignature", "MetronomeMark"})


def _exact(time: Any) -> Fraction:
    """Turn a music21 offset, a float or a Fraction, into the fraction that is meant."""
    return Fraction(time).limit_denominator(1 << 16)


def _fill_holes(notes: list[Note], bars: list[Fraction]) -> list[Note]:
    """Put rests where nothing is written, as where a voice enters late; none is longer than its bar."""
    filled: list[Note] = []
    covered = _ZERO
    for note in notes:
        while covered < note.onset:
            bar = next((bar for bar in bars if bar > covered), note.onset)
            end = min(note.onset, bar)
            filled.append(Note(covered, end - covered, None))
            covered = end
        filled.append(note)
        covered = max(covered, note.end)
    return filled


def _with_tuplets(part: Part, bars: tuple[Bar, ...]) -> Part:
    return Part(mark_tuplets(part.notes, [bar.onset for bar in bars]), part.name, part.program, part.is_drum)

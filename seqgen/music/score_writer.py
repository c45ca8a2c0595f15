"""Pieces to MusicXML, through music21: measures, voices, keys, meters, repeats, endings and pick-ups.

music21's `makeNotation` is not used as a whole, for it fills short measures with hidden rests.
"""

import contextlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from seqgen.music.notation import VOICE_CLEFS, ZERO, Chord, layers
from seqgen.music.pieces import Key, Part, Piece, value_at
from seqgen.music.score_chords import music21_symbol
from seqgen.music.score_reader import quiet
from seqgen.music.score_symbols import Symbol, UnwritableError, music21_note, symbols_of
from seqgen.music.transcribe import snap

_NOT_OURS = re.compile(r"\s*<(encoding-date|creator)[^>]*>[^<]*</\1>")
"""The day, and music21 itself as the composer."""


def score_text(piece: Piece, *, beams: bool = False) -> str:
    """Return MusicXML of a written piece. The same piece gives the same text.

    Where a time cannot be written, as sampled tokens may have it, all are rounded to 1/48 of a quarter.

    Args:
        piece: The piece.
        beams: Whether to write beams, which programs that edit scores set themselves.
    """
    try:
        return _export(piece, beams)
    except UnwritableError:
        return _export(snap(piece, Fraction(1, 48)), beams)


def _export(piece: Piece, beams: bool) -> str:
    from music21 import metadata, stream
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    with quiet():
        score = stream.Score()
        score.metadata = metadata.Metadata(title=piece.title or "Untitled")
        for number, part in enumerate(piece.parts, start=1):
            built = _Measures(piece, leads=number == 1).build(part, number)
            if beams:
                _beam(built)
            score.insert(0, built)
        exporter = GeneralObjectExporter(score)
        exporter.makeNotation = False
        text: str = exporter.parse().decode("utf-8")
    return _NOT_OURS.sub("", text)


class _Measures:
    """Builds the music21 part of one part of a piece."""

    def __init__(self, piece: Piece, *, leads: bool) -> None:
        self._piece, self._leads = piece, leads
        inner = [bar for bar in piece.bars if ZERO < bar.onset < piece.duration]
        self._starts = [ZERO, *(bar.onset for bar in inner)]
        self._ends = [*self._starts[1:], piece.duration]
        self._lines = {bar.onset: bar for bar in piece.bars}

    def build(self, part: Part, number: int) -> Any:
        """Return the music21 part with all of its measures."""
        from music21 import stream

        built = stream.Part(id=f"P{number}")
        built.partName = part.name or self._name(number)
        built.style.printPartName = len(self._piece.parts) > 1  # one staff needs no name before it
        built.insert(0, _instrument(part, number, built.partName))
        lines = [symbols_of(line, self._boundaries()) for line in layers(part)]
        measures = []
        for index, (start, end) in enumerate(zip(self._starts, self._ends, strict=True)):
            measure = stream.Measure(number=index + (0 if self._piece.pickup else 1))
            self._mark(measure, start, end)
            self._fill(measure, lines, start, end)
            built.insert(_time(start), measure)
            measures.append(measure)
        self._add_endings(built, measures)
        measures[0].clef = _clef(part, built)
        built.makeAccidentals(inPlace=True)
        if self._leads:
            self._add_chords(measures)
        return built

    def _name(self, number: int) -> str:
        """Call a part without a name: a lone one as the piece, others by their number."""
        return f"Part {number}" if len(self._piece.parts) > 1 else self._piece.title or "Untitled"

    def _boundaries(self) -> list[Fraction]:
        changes = [onset for onset, _ in (*self._piece.keys, *self._piece.meters)]
        return sorted({*self._starts, self._piece.duration, *changes})

    def _mark(self, measure: Any, start: Fraction, end: Fraction) -> None:
        """Put in what is in force from some place in the measure, and its bar lines."""
        from music21 import bar, meter, tempo
        from music21.stream.enums import ShowNumber

        for onset, key in self._piece.keys:
            if start <= onset < end:
                measure.insert(_time(onset - start), _signature(key))
        for onset, signature in self._piece.meters:
            if start <= onset < end and signature is not None:
                measure.insert(_time(onset - start), meter.TimeSignature(signature.name))
        if start == 0 and value_at(self._piece.meters, ZERO) is None:
            measure.insert(0, meter.SenzaMisuraTimeSignature())
        if self._leads:
            for onset, bpm in self._piece.tempos:
                if start <= onset < end:
                    mark = tempo.MetronomeMark(number=round(bpm), referent=1.0)
                    measure.insert(_time(onset - start), mark)
        left, right = self._lines.get(start), self._lines.get(end)
        if left is not None and left.kind.endswith(":"):
            measure.leftBarline = bar.Repeat(direction="start")
        if right is not None and right.kind.startswith(":"):
            measure.rightBarline = bar.Repeat(direction="end")
        elif right is not None and right.kind in ("||", "|]"):
            measure.rightBarline = bar.Barline("final" if right.kind == "|]" else "double")
        full = value_at(self._piece.meters, start)
        if full is None:
            return
        missing = full.bar_quarters - (end - start)
        if missing > 0:
            measure.showNumber = ShowNumber.NEVER
            if start == 0:
                measure.paddingLeft = _time(missing)
            else:
                measure.paddingRight = _time(missing)

    def _fill(self, measure: Any, lines: Sequence[Sequence[Symbol]], start: Fraction, end: Fraction) -> None:
        from music21 import stream

        found = [_between(line, start, end) for line in lines]
        silent = [symbols_of([Chord(start, end - start)], ())] if end > start else []
        used = [line for line in found if line] or silent
        for line in used:
            target = measure if len(used) == 1 else stream.Voice()
            for symbol in line:
                target.insert(_time(symbol.onset - start), music21_note(symbol))
            if target is not measure:
                measure.insert(0, target)

    def _add_chords(self, measures: Sequence[Any]) -> None:
        """Put in chord symbols, after clef and accidentals are chosen, for music21 takes them for notes."""
        for onset, symbol in self._piece.chords:
            number = bisect_right(self._starts, onset) - 1
            measures[number].insert(_time(onset - self._starts[number]), music21_symbol(symbol))

    def _add_endings(self, built: Any, measures: Sequence[Any]) -> None:
        """Bracket each ending: to the next repeat sign, a single measure if it is the last of its group."""
        from music21 import spanner

        for index, start in enumerate(self._starts):
            line = self._lines.get(start)
            if line is None or not line.ending:
                continue
            last = index
            while last + 1 < len(measures) and not self._ends_bracket(self._ends[last]):
                last += 1
            if not any(self._closes(end) for end in self._ends[index : last + 1]):
                last = index
            bracket = spanner.RepeatBracket(measures[index : last + 1], number=line.ending)
            built.insert(0, bracket)

    def _ends_bracket(self, onset: Fraction) -> bool:
        line = self._lines.get(onset)
        return line is not None and (line.kind != "|" or bool(line.ending))

    def _closes(self, onset: Fraction) -> bool:
        line = self._lines.get(onset)
        return line is not None and line.kind.startswith(":")


def _between(line: Sequence[Symbol], start: Fraction, end: Fraction) -> Sequence[Symbol]:
    first = bisect_left(line, start, key=_onset)
    return line[first : bisect_left(line, end, lo=first, key=_onset)]


def _onset(symbol: Symbol) -> Fraction:
    return symbol.onset


def _clef(part: Part, built: Any) -> Any:
    from music21 import clef

    if part.is_drum:
        return clef.PercussionClef()
    of_voice = {"treble-8": clef.Treble8vbClef, "bass": clef.BassClef}
    named = VOICE_CLEFS.get(part.name)
    return of_voice[named]() if named else clef.bestClef(built, recurse=True)


def _beam(built: Any) -> None:
    from music21 import exceptions21

    with contextlib.suppress(exceptions21.StreamException):  # there are no beams without a meter
        built.makeBeams(inPlace=True, setStemDirections=False)


def _time(time: Fraction) -> Any:
    from music21.common.numberTools import opFrac

    return opFrac(time)


def _signature(key: Key | None) -> Any:
    from music21 import key as keys

    if key is None:
        return keys.KeySignature(0)
    return keys.Key(key.tonic.replace("b", "-"), key.mode)


def _instrument(part: Part, number: int, name: str) -> Any:
    from music21 import instrument

    found = instrument.UnpitchedPercussion() if part.is_drum else instrument.Instrument()
    if not part.is_drum:
        found.midiProgram = part.program
    found.partId, found.instrumentId = f"P{number}", f"I{number}"
    found.partName = found.instrumentName = name
    return found

"""The ABC writer: pieces to tunes that read well and that other programs read alike.

Programs differ on how far an accidental holds: for its note alone, its octave or every octave of the bar.
Here one is written at each note that the key does not give, and at each later note of its letter in the
bar. Chord symbols stand above notes of the first voice, which are cut and tied where a chord changes.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from seqgen.music.chords import ChordSymbol, symbol_places
from seqgen.music.notation import VOICE_CLEFS, ZERO, Chord, layers, split_chords, symbol_lengths
from seqgen.music.pieces import Bar, Key, Meter, Part, Piece, Pitch, Tuplet, bar_origins, value_at

_UNITS = (Fraction(1, 2), Fraction(1, 4), Fraction(1))
_MODES = {
    "major": "",
    "minor": "m",
    "dorian": "dor",
    "phrygian": "phr",
    "lydian": "lyd",
    "mixolydian": "mix",
    "locrian": "loc",
}
_SIGNS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
_BARS_A_LINE = 4


def write_tune(piece: Piece, number: int = 1) -> str:
    """Write a piece as one tune, numbered by its X: field; it ends with a line break."""
    voices = [(part, line) for part in piece.parts for line in layers(part)]
    boundaries = sorted({bar.onset for bar in piece.bars} | {onset for onset, _ in _changes(piece)})
    lines = [split_chords(line, boundaries) for _, line in voices]
    symbols: dict[Fraction, ChordSymbol] = {}
    if piece.chords and lines:
        symbols = symbol_places(lines[0], piece.chords)
        lines[0] = split_chords(lines[0], sorted(symbols))
    unit = _choose_unit(lines)
    text = [
        f"X:{number}",
        f"T:{_words(piece.title) or 'Untitled'}",
        f"M:{_meter(value_at(piece.meters, ZERO))}",
    ]
    text.append(f"L:{unit / 4}")
    text += [f"Q:1/4={round(tempo)}" for onset, tempo in piece.tempos if not onset]
    text.append(f"K:{_key(value_at(piece.keys, ZERO))}")
    for index, ((part, _), line) in enumerate(zip(voices, lines, strict=True), start=1):
        if len(voices) > 1:
            text.append(f"V:{index}{_voice(part)}")
        if part.program:
            text.append(f"%%MIDI program {part.program}")
        if part.is_drum:
            text.append("%%MIDI channel 10")
        # By the standard treble-8 moves notes down an octave, so they are written as many higher.
        raised = int(len(voices) > 1 and VOICE_CLEFS.get(part.name) == "treble-8")
        shown = symbols if index == 1 else {}
        text += _Line(piece, unit, with_tempos=index == 1, symbols=shown, raised=raised).write(line)
    return "\n".join(text) + "\n"


def _voice(part: Part) -> str:
    """Return name and clef of a voice."""
    name = f' name="{_words(part.name)}"' if part.name else ""
    clef = VOICE_CLEFS.get(part.name)
    return f"{name} clef={clef}" if clef else name


def _words(text: str) -> str:
    """Fit text into a field: on one line, without a quote that ends it or a % that begins a comment."""
    return " ".join(text.split()).replace('"', "'").replace("%", "\\%")


def _meter(meter: Meter | None) -> str:
    return meter.name if meter else "none"


def _key(key: Key | None) -> str:
    return key.tonic + _MODES[key.mode] if key else "none"


def _changes(piece: Piece) -> list[tuple[Fraction, str]]:
    """List the fields written between notes: changes of key, meter and tempo after the start."""
    fields = [(onset, f"M:{_meter(meter)}") for onset, meter in piece.meters if onset]
    fields += [(onset, f"K:{_key(key)}") for onset, key in piece.keys if onset]
    fields += [(onset, f"Q:1/4={round(tempo)}") for onset, tempo in piece.tempos if onset]
    return sorted(fields, key=lambda field: field[0])


def _choose_unit(lines: Sequence[Sequence[Chord]]) -> Fraction:
    """Choose the unit note length that makes the shortest text, an eighth if it is no worse than others."""
    durations: dict[Fraction, int] = {}
    for line in lines:
        for chord in line:
            durations[chord.duration] = durations.get(chord.duration, 0) + 1
    return min(_UNITS, key=lambda unit: sum(n * len(_length(d / unit)) for d, n in durations.items()))


def _length(units: Fraction) -> str:
    if units.denominator == 1:
        return "" if units == 1 else str(units.numerator)
    above = "" if units.numerator == 1 else str(units.numerator)
    return f"{above}/" if units.denominator == 2 else f"{above}/{units.denominator}"


def _open_tuplet(tuplet: Tuplet, group: Sequence[Chord], meter: Meter | None) -> str:
    ratio = Fraction(tuplet.actual, tuplet.normal)
    count = sum(len(symbol_lengths(chord.duration * ratio)) for chord in group)
    compound = meter is not None and meter.is_compound
    usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(tuplet.actual, 3 if compound else 2)
    if count == tuplet.actual and tuplet.normal == usual:
        return f"({tuplet.actual}"
    return f"({tuplet.actual}:{tuplet.normal}:{count}"


class _Line:
    """Writes one voice, bar by bar."""

    def __init__(
        self,
        piece: Piece,
        unit: Fraction,
        *,
        with_tempos: bool,
        symbols: Mapping[Fraction, ChordSymbol],
        raised: int = 0,
    ) -> None:
        self._piece, self._unit, self._symbols, self._raised = piece, unit, symbols, raised
        self._changes = [
            (onset, field) for onset, field in _changes(piece) if with_tempos or not field.startswith("Q")
        ]
        self._origins = {start: origin for start, _, origin in bar_origins(piece)}
        self._altered: set[str] = set()  # steps with an accidental in this bar
        self._text: list[str] = []
        self._current = ""
        self._bars_in_line = 0
        self._set_key(ZERO)

    def write(self, line: Sequence[Chord]) -> list[str]:
        """Return the lines of music, with fields on lines of their own between them."""
        bars = list(self._piece.bars)
        bar_start = ZERO
        place = 0
        while place < len(line) or bars or self._changes:
            onset = line[place].onset if place < len(line) else None
            if bars and (onset is None or bars[0].onset <= onset):
                bar = bars.pop(0)
                self._write_bar(bar, bar_start)
                bar_start = bar.onset
                self._write_changes(bar.onset)
                continue
            if self._changes and (onset is None or self._changes[0][0] <= onset):
                self._write_changes(self._changes[0][0])
                continue
            end = min([bar.onset for bar in bars[:1]] + [at for at, _ in self._changes[:1]], default=None)
            stop = place
            while stop < len(line) and (end is None or line[stop].onset < end):
                stop += 1
            self._write_notes(line[place:stop], bar_start)
            place = stop
        self._break_line()
        return self._text

    def _write_bar(self, bar: Bar, start: Fraction) -> None:
        meter = value_at(self._piece.meters, start)
        if meter is None or 2 * (bar.onset - start) > meter.bar_quarters:
            self._bars_in_line += 1
        opens = bar.kind.endswith(":")
        full = self._bars_in_line >= _BARS_A_LINE
        if opens and full:
            if bar.kind == ":|:":
                self._current += " :|"
            self._break_line()
            self._current = "|:"
        elif bar.onset or opens:
            self._current += f" {bar.kind}" if self._current else bar.kind
        if bar.ending:
            self._current += bar.ending if bar.kind in ("|", ":|") and bar.onset else f"[{bar.ending}"
        elif full and not opens:
            self._break_line()
        self._altered.clear()

    def _break_line(self) -> None:
        if self._current:
            self._text.append(self._current)
        self._current, self._bars_in_line = "", 0

    def _write_changes(self, onset: Fraction) -> None:
        while self._changes and self._changes[0][0] <= onset:
            self._break_line()
            self._text.append(self._changes.pop(0)[1])
            self._set_key(onset)

    def _set_key(self, onset: Fraction) -> None:
        self._key = value_at(self._piece.keys, onset)

    def _write_notes(self, chords: Sequence[Chord], bar_start: Fraction) -> None:
        meter = value_at(self._piece.meters, bar_start)
        group = meter.group_quarters if meter else Fraction(1)
        origin = self._origins[bar_start]
        words: list[str] = []
        left, last_beat = 0, None
        for index, chord in enumerate(chords):
            beat_number = (chord.onset - origin) // group
            if left <= 0 and beat_number != last_beat:
                words.append("")
                last_beat = beat_number
            if chord.onset in self._symbols:
                words[-1] += f'"{self._symbols[chord.onset].name}"'
            if chord.tuplet is not None:
                left = chord.tuplet.count
                words[-1] += _open_tuplet(chord.tuplet, chords[index : index + left], meter)
                ratio = Fraction(chord.tuplet.actual, chord.tuplet.normal)
            words[-1] += self._write_chord(chord, ratio if left > 0 else Fraction(1))
            left -= 1
        if words:
            self._current += (" " if self._current else "") + " ".join(words)

    def _write_chord(self, chord: Chord, ratio: Fraction) -> str:
        lengths = symbol_lengths(chord.duration * ratio)
        text = ""
        for index, length in enumerate(lengths):
            last = index == len(lengths) - 1
            suffix = _length(length / self._unit)
            ties = chord.ties if last else (True,) * len(chord.pitches)
            if not chord.pitches:
                text += "z" + suffix
            elif len(chord.pitches) == 1:
                text += self._pitch(chord.pitches[0]) + suffix + ("-" if ties[0] else "")
            elif all(ties) or not any(ties):
                text += f"[{''.join(map(self._pitch, chord.pitches))}]{suffix}" + ("-" if ties[0] else "")
            else:
                inside = (
                    self._pitch(p) + ("-" if tie else "") for p, tie in zip(chord.pitches, ties, strict=True)
                )
                text += f"[{''.join(inside)}]{suffix}"
        return text

    def _pitch(self, pitch: Pitch) -> str:
        usual = self._key.alter(pitch.step) if self._key else 0
        sign = ""
        if pitch.alter != usual or pitch.step in self._altered:
            sign = _SIGNS[pitch.alter]
            self._altered.add(pitch.step)
        octave = pitch.octave + self._raised
        if octave >= 5:
            return sign + pitch.step.lower() + "'" * (octave - 5)
        return sign + pitch.step + "," * (4 - octave)

"""A piece as a piano roll: a drawing laid out once, then written as SVG or PNG.

Time runs to the right in rows, as on a page of music; a note is a bar at the height of its pitch, coloured by
part and paler the softer it was played. White and dark stripes are the keys of a piano. The white ones are
named at the left of each row, and notes where there is room.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from xml.sax.saxutils import escape

from seqgen.music.measures import Measure, measures
from seqgen.music.midi import VELOCITY
from seqgen.music.pieces import Note, Piece, value_at
from seqgen.music.playback import join_ties
from seqgen.music.transcribe import rule_bars

WIDTH = 1200
_LEFT, _RIGHT, _TOP = 44, 16, 64
_SEMITONE = 9
_LETTER_WIDTH = 6  # of the names of notes
_GAP = 34  # between rows, where the numbers of bars stand
_ROW_QUARTERS, _MOST_ROWS = 32, 40
_WHITE_KEYS = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")
"""Told apart by the colour-blind (Okabe and Ito 2008), and two more."""
_INK, _FAINT, _PAPER, _STRIPE, _OCTAVE = "#222222", "#777777", "#ffffff", "#f1f1f4", "#c9c9d0"


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, in pixels from the left and the top; `label` shows up under the mouse."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """Text whose baseline begins at a point, or ends there."""

    x: float
    y: float
    text: str
    size: int = 11
    fill: str = _INK
    ends: bool = False


@dataclass
class Drawing:
    """Boxes and words in the order in which they are painted."""

    width: int
    height: int
    boxes: list[Box] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


def draw_roll(piece: Piece) -> Drawing:
    """Lay a piece out; repeats stand once, as they are written."""
    if not piece.bars:
        piece = Piece(
            parts=piece.parts,
            title=piece.title,
            keys=piece.keys,
            meters=piece.meters,
            bars=rule_bars(piece.meters, piece.duration),
        )
    bars = measures(piece)
    notes = [[note for note in join_ties(part.notes) if note.pitch is not None] for part in piece.parts]
    rows = _rows(bars, piece.duration)
    low, high = _range(notes)
    row_height = (high - low + 1) * _SEMITONE
    drawing = Drawing(WIDTH, _TOP + len(rows) * (row_height + _GAP) + 8)
    drawing.words.append(Words(_LEFT, 26, piece.title or "Untitled", 17))
    _draw_legend(drawing, piece)
    if signature := _signature(piece):
        drawing.words.append(Words(WIDTH - _RIGHT, 26, signature, 12, _FAINT, ends=True))
    longest = max((row[-1].end - row[0].start for row in rows), default=Fraction(1))
    scale = (WIDTH - _LEFT - _RIGHT) / float(longest)
    for number, row in enumerate(rows):
        top = _TOP + number * (row_height + _GAP) + 14
        _Row(row, low, high, top, scale).draw(drawing, notes)
    return drawing


def _signature(piece: Piece) -> str:
    """Return the key and the meter in which a piece begins, such as `D major, 6/8`."""
    key, meter = (value_at(changes, Fraction(0)) for changes in (piece.keys, piece.meters))
    return ", ".join(found.name.replace("-", " ") for found in (key, meter) if found is not None)


def _range(parts: Sequence[Sequence[Note]]) -> tuple[int, int]:
    """Return the lowest and highest MIDI note to show, an octave apart at least."""
    pitches = [note.pitch.midi for notes in parts for note in notes if note.pitch is not None]
    low, high = min(pitches, default=60) - 1, max(pitches, default=60) + 1
    while high - low < 12:
        low, high = low - 1, high + 1
    return max(0, low), min(127, high)


def _rows(bars: Sequence[Measure], duration: Fraction) -> list[list[Measure]]:
    """Divide bars among rows of about the same length; a long piece gets longer rows, not endless pages."""
    room = max(Fraction(_ROW_QUARTERS), duration / _MOST_ROWS)
    rows: list[list[Measure]] = []
    for bar in bars:
        if not rows or bar.end - rows[-1][0].start > room:
            rows.append([])
        rows[-1].append(bar)
    return rows


def _draw_legend(drawing: Drawing, piece: Piece) -> None:
    if len(piece.parts) < 2:
        return
    x = float(_LEFT)
    names = [part.name for part in piece.parts]
    for number, part in enumerate(piece.parts):
        name = part.name or "part"
        if names.count(part.name) > 1 or not part.name:
            name += f" {number + 1}"
        if x + 7 * len(name) > WIDTH - 80:
            drawing.words.append(Words(x, 48, f"and {len(piece.parts) - number} more", fill=_FAINT))
            return
        drawing.boxes.append(Box(x, 39, 10, 10, _COLOURS[number % len(_COLOURS)]))
        drawing.words.append(Words(x + 15, 48, name))
        x += 36 + 6.5 * len(name)


class _Row:
    """One row: some bars, with all notes that sound in them."""

    def __init__(self, bars: Sequence[Measure], low: int, high: int, top: float, scale: float) -> None:
        self._bars, self._low, self._high, self._top, self._scale = bars, low, high, top, scale
        self._start, self._end = bars[0].start, bars[-1].end

    def draw(self, drawing: Drawing, parts: Sequence[Sequence[Note]]) -> None:
        right, height = self._x(self._end), (self._high - self._low + 1) * _SEMITONE
        for midi in range(self._low, self._high + 1):
            y = self._y(midi)
            name = _WHITE_KEYS.get(midi % 12, "")
            drawing.boxes.append(Box(_LEFT, y, right - _LEFT, _SEMITONE, _PAPER if name else _STRIPE))
            if name == "C":
                drawing.boxes.append(Box(_LEFT, y + _SEMITONE - 0.5, right - _LEFT, 1, _OCTAVE))
                name += str(midi // 12 - 1)
            if name:
                size, colour = (10, _INK) if len(name) > 1 else (8, _FAINT)
                drawing.words.append(Words(_LEFT - 6, y + _SEMITONE - 1, name, size, colour, ends=True))
        for x, width, colour in self._lines():
            drawing.boxes.append(Box(x - width / 2, self._top, width, height, colour))
        for bar, before in zip(self._bars, [None, *self._bars], strict=False):
            if before is None or bar.number != before.number:
                x = self._x(bar.start) + 2
                drawing.words.append(Words(x, self._top - 4, str(bar.number), 10, _FAINT))
        for number, notes in enumerate(parts):
            for note in notes:
                if note.onset < self._end and note.end > self._start:
                    box = self._note(note, _COLOURS[number % len(_COLOURS)])
                    drawing.boxes.append(box)
                    drawing.words += self._name(box)

    def _lines(self) -> Iterator[tuple[float, float, str]]:
        """Yield place, width and colour of the lines: beats, bars, and heavier ones at sections."""
        for bar in self._bars:
            beat = bar.meter.group_quarters if bar.meter is not None else Fraction(1)
            place = bar.start + beat
            while place < bar.end:
                yield self._x(place), 0.6, "#dcdce2"
                place += beat
        for bar in self._bars:
            yield self._x(bar.start), 1.8 if bar.opens else 0.9, _FAINT
        yield self._x(self._end), 1.8 if self._bars[-1].closes else 0.9, _FAINT

    def _note(self, note: Note, colour: str) -> Box:
        if note.pitch is None:
            raise ValueError("a rest is not drawn")
        x, end = self._x(max(note.onset, self._start)), self._x(min(note.end, self._end))
        loudness = min(1.0, 0.3 + 0.7 * (note.velocity or VELOCITY) / VELOCITY)
        width = max(1.5, end - x - 1)
        y = self._y(note.pitch.midi) + 0.5
        return Box(x + 0.5, y, width, _SEMITONE - 1, _tint(colour, loudness), note.pitch.name)

    def _name(self, box: Box) -> Iterator[Words]:
        """Yield the name of a note, its octave left out, where it fits into its bar."""
        name = box.label.rstrip("-0123456789")
        if box.width >= _LETTER_WIDTH * len(name) + 3:
            ink = _INK if _brightness(box.fill) > 0.5 else _PAPER
            yield Words(box.x + 2, box.y + box.height - 1, name, 8, ink)

    def _x(self, quarters: Fraction) -> float:
        return _LEFT + float(quarters - self._start) * self._scale

    def _y(self, midi: int) -> float:
        return self._top + (self._high - midi) * _SEMITONE


def _tint(colour: str, strength: float) -> str:
    """Mix a colour with white."""
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * strength):02x}" for part in parts)


def _brightness(colour: str) -> float:
    """Return how bright a colour looks, 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.3 * red + 0.6 * green + 0.1 * blue


def svg_text(drawing: Drawing) -> str:
    """Write a drawing as SVG."""
    size = f'width="{drawing.width}" height="{drawing.height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {drawing.width} {drawing.height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="100%" height="100%" fill="{_PAPER}"/>',
    ]
    for box in drawing.boxes:
        place = f'x="{box.x:.2f}" y="{box.y:.2f}" width="{box.width:.2f}" height="{box.height:.2f}"'
        end = f"><title>{escape(box.label)}</title></rect>" if box.label else "/>"
        lines.append(f'<rect {place} fill="{box.fill}"{end}')
    for words in drawing.words:
        anchor = ' text-anchor="end"' if words.ends else ""
        place = f'x="{words.x:.2f}" y="{words.y:.2f}" font-size="{words.size}" fill="{words.fill}"'
        lines.append(f"<text {place}{anchor}>{escape(words.text)}</text>")
    return "\n".join([*lines, "</svg>", ""])


def png_bytes(drawing: Drawing, *, scale: int = 2) -> bytes:
    """Paint a drawing as PNG, `scale` pixels for one."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (drawing.width * scale, drawing.height * scale), _PAPER)
    pen = ImageDraw.Draw(image)
    for box in drawing.boxes:
        x, y = round(box.x * scale), round(box.y * scale)
        width, height = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        pen.rectangle((x, y, x + width - 1, y + height - 1), fill=box.fill)
    for words in drawing.words:
        font = ImageFont.load_default(words.size * scale)
        place = (words.x * scale, words.y * scale)
        pen.text(place, words.text, fill=words.fill, font=font, anchor="rs" if words.ends else "ls")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

"""The ABC reader: the text of a tune to a `Piece`, after standard 2.1 and the older habits of collections.

music21's tokenizer was measured first and not used: it gives no line numbers, takes what stands between two
old `!` line breaks for a decoration and drops it, drops `Z` and `x` rests, strings `&` overlays one after
the other and computes `A>B>c` wrongly.
"""

import re
from collections.abc import Callable
from fractions import Fraction

from seqgen.errors import CorpusError
from seqgen.music import abc_fields
from seqgen.music.abc_tokens import GRACE_NOTE, IN_CHORD, TOKEN
from seqgen.music.abc_voice import Event, Group, Voice, build_piece, note_length, written_pitch
from seqgen.music.chords import read_chord_symbol
from seqgen.music.pieces import Piece, Pitch, parse_ending

_FIELD = re.compile(r"([A-Za-z+]):(.*)", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)%")
_MUSIC_IN_MARK = re.compile(r"[A-Ga-gxz0-9/,'^_=()<>-]+")
_SHORT_MARKS = re.compile(r"f{1,4}|[0-5]|[dD]|<?\(|>?\)|<|>")
_PROGRAM = re.compile(r"MIDI\s*=?\s*program\s+(?:\d+\s+)?(\d{1,3})")
_DRUMS = re.compile(r"MIDI\s*=?\s*channel\s+10\b")
_PROPAGATE = re.compile(r"propagate-accidentals\s+(not|octave|pitch)")
_VOICE_NAME = re.compile(r'\b(?:name|nm)="([^"]*)"')
_BLOCK = re.compile(r"begin(\w+)")
_NOT_A_FIELD = re.compile(r"[A-Ga-gxz]:[|:\]]")
_MUSIC_LINE = re.compile(r"[\sA-Ga-gxzZ0-9/,'^_=()<>|:\[\]{}\"~.!\\&-]+")


def read_tune(text: str, *, source: str, line: int = 1, header: str = "") -> Piece:
    """Read one tune.

    Args:
        text: The tune, from its X: line to the next.
        source: Named in errors, such as the path.
        line: The line at which `text` begins in the source.
        header: Fields and directives at the head of the file, which hold for all of its tunes.

    Raises:
        CorpusError: With the line, if it cannot be read or holds no notes.
    """
    tune = _Tune()
    number = line
    try:
        for content in header.split("\n"):
            tune.read_line(content)
        for number, content in enumerate(text.split("\n"), start=line):  # noqa: B007  (used in the error)
            tune.read_line(content)
        voices = tune.finish()
    except ValueError as error:
        raise CorpusError(f"{source}:{number}: {error}") from error
    try:
        return build_piece(tune.title, voices, tune.tempos, tune.omitted)
    except ValueError as error:
        raise CorpusError(f"{source}:{line}: {error}") from error


class _Tune:
    """Everything known of a tune while its lines are read one by one. Its methods raise ValueError."""

    def __init__(self) -> None:
        self.title = ""
        self.in_header = True
        self.has_ended = False
        self.header = Voice()
        self.voices: dict[str, Voice] = {}
        self.voice = self.header
        self.tempos: list[tuple[Fraction, float]] = []
        self.omitted: dict[str, int] = {}
        self._propagate = "pitch"  # the default of standard 2.1, section 11.3
        self._explicit_unit = False
        self._block = ""
        self._properties: dict[str, str] = {}
        self._tokens: dict[str, Callable[[re.Match[str]], None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }

    def omit(self, what: str, count: int = 1) -> None:
        """Count something that a piece does not hold."""
        self.omitted[what] = self.omitted.get(what, 0) + count

    def finish(self) -> list[Voice]:
        """End every voice and return those that were used."""
        voices = list(self.voices.values())
        for voice in voices:
            if voice.scale is not None:
                raise ValueError("the tune ends after < or >; add the note that is missing")
            voice.bar_line()
            if voice.symbol is not None:
                self.omit("chord symbols without a note")
        return voices

    def read_line(self, content: str) -> None:
        """Read a line, which may go on with the tune or come after it."""
        if self._block:
            self._block = "" if content.startswith(f"%%end{self._block}") else self._block
            return
        if content.startswith("%%"):
            self._directive(content[2:])
            return
        if "=3D" in content:  # quoted-printable mail writes = so
            content = content.replace("=3D", "=")
            self.omit("marks of quoted-printable mail")
        if "%" in content:
            content = _COMMENT.split(content, maxsplit=1)[0]
            if not content.strip():
                return
        if not content.strip():
            self.has_ended = not self.in_header
            return
        if self.has_ended:
            # Standard 2.1 ends a tune at an empty line, but collections have tunes with one in their midst.
            self.has_ended = not (_MUSIC_LINE.fullmatch(content) and "|" in content)
            if self.has_ended:
                self.omit("lines of text after the tune")
                return
        self._read_content(content)

    def _read_content(self, content: str) -> None:
        named = _FIELD.match(content)
        if named and (self.in_header or not _NOT_A_FIELD.match(content)):
            self._field(named[1], named[2])
        else:
            self._music(content)

    def _directive(self, text: str) -> None:
        block = _BLOCK.match(text)
        if block:
            self._block = block[1]
        propagate = _PROPAGATE.search(text)
        program = _PROGRAM.search(text)
        if propagate:
            self._propagate = propagate[1]
        elif program and int(program[1]) < 128:
            self.voice.program = int(program[1])
        elif _DRUMS.search(text):
            self.voice.is_drum = True

    # Fields

    def _field(self, letter: str, text: str) -> None:
        if letter == "K":
            self._key(text)
        elif letter == "M":
            self._meter(text)
        elif letter == "L":
            self._explicit_unit = True
            self.voice.flush()
            self.voice.unit = abc_fields.read_unit(text)
        elif letter == "Q":
            self._tempo(text)
        elif letter == "V":
            self._switch_voice(text)
        elif letter == "T" and self.in_header and not self.title:
            self.title = " ".join(text.replace("\\%", "%").split())
        elif letter == "I":
            self._directive(text)
        elif letter in "wW":
            self.omit("lines of lyrics")
        elif letter == "m":
            self.omit("macros")
        elif letter == "P":
            self.omit("part labels")
        elif letter == "s":
            self.omit("symbol lines")
        elif letter not in "XUr+":
            self.omit("lines of description")

    def _key(self, text: str) -> None:
        found = abc_fields.read_key(text)
        if abc_fields.transposes(text):
            self.omit("transpositions")
        shift = abc_fields.octave_shift(text)
        if shift is not None:
            self.voice.octave = shift
        if found.accidentals:
            self.omit("accidentals in keys", len(found.accidentals))
        if found.sets_key or self.in_header:
            self.voice.change_key(found)
        self.in_header = False

    def _meter(self, text: str) -> None:
        meter = abc_fields.read_meter(text)
        self.voice.change_meter(meter)
        if not self._explicit_unit:
            self.voice.unit = abc_fields.default_unit(meter)

    def _tempo(self, text: str) -> None:
        self.voice.flush()
        tempo = abc_fields.read_tempo(text, self.voice.unit)
        if tempo is None:
            self.omit("tempo words")
        else:
            self.tempos.append((self.voice.time, tempo))

    def _switch_voice(self, text: str) -> None:
        name, _, properties = text.strip().partition(" ")
        if abc_fields.transposes(properties):
            self.omit("transpositions")
        if self.in_header:
            self._properties[name] = properties
            return
        self.voice.flush()
        if name != "*":
            self.voice = self._open_voice(name)
            self._set_properties(self.voice, properties)

    def _open_voice(self, name: str) -> Voice:
        if name not in self.voices:
            self.voices[name] = self.header.copy()
            self._set_properties(self.voices[name], self._properties.get(name, ""))
        return self.voices[name]

    def _set_properties(self, voice: Voice, properties: str) -> None:
        label = _VOICE_NAME.search(properties)
        if label:
            voice.name = label[1].replace("\\%", "%")
        shift = abc_fields.octave_shift(properties)
        if shift is not None:
            voice.octave = shift

    # Music

    def _music(self, content: str) -> None:
        if self.in_header:
            if not TOKEN.match(content.strip()):
                raise ValueError(f"neither a field nor music: {content.strip()[:30]!r}")
            self.in_header = False  # a tune without K:, as old files have them
        if self.voice is self.header:
            self.voice = self._open_voice(next(iter(self._properties), "1"))
        place, match, handlers = 0, TOKEN.match, self._tokens
        while place < len(content):
            token = match(content, place)
            if token is None:
                raise ValueError(f"cannot read {content[place : place + 12]!r} at column {place + 1}")
            kind = token.lastgroup
            if kind != "skip":
                handlers[str(kind)](token)
            place = token.end()

    def _pitch(self, token: re.Match[str]) -> Pitch:
        if token["micro"]:
            self.omit("microtones")
        return self.voice.sounding(
            *written_pitch(token["letter"], token["marks"]), token["sign"], self._propagate
        )

    def _on_note(self, token: re.Match[str]) -> None:
        voice = self.voice
        pitch = self._pitch(token)
        voice.add(Event([pitch], note_length(token["length"]) * voice.unit, voice.group))

    def _on_rest(self, token: re.Match[str]) -> None:
        voice = self.voice
        voice.add(Event([], note_length(token["rest_length"]) * voice.unit, voice.group))

    def _on_chord(self, token: re.Match[str]) -> None:
        pitches: list[Pitch] = []
        ties: list[bool] = []
        ratios: list[Fraction] = []
        inside, place = token["inside"], 0
        while place < len(inside):
            part = IN_CHORD.match(inside, place)
            if part is None:
                raise ValueError(f"cannot read the chord [{inside[:20]}]")
            place = part.end()
            if part["note"] is not None:
                pitches.append(self._pitch(part))
                ties.append(part["tie"] is not None)
                ratios.append(note_length(part["length"]))
            elif inside[part.start()] == '"':
                self._symbol(part[0].strip('"'))
            elif part["skip"] is not None and part["skip"].strip(" `()"):
                self.omit("decorations")
        if not pitches:
            raise ValueError(f"the chord [{inside[:20]}] has no notes")
        length = note_length(token["chord_length"]) * ratios[0] * self.voice.unit
        event = Event(pitches, length, self.voice.group)
        event.ties = ties
        if any(ratio != ratios[0] for ratio in ratios):
            event.ratios = [ratio / ratios[0] for ratio in ratios]
        self.voice.add(event)

    def _on_bars(self, token: re.Match[str]) -> None:
        meter = self.voice.meter
        length = meter.bar_quarters if meter else 8 * self.voice.unit
        count = int(token["count"] or 1)
        if not 1 <= count <= 999:
            raise ValueError(f"a rest of {count} bars")
        for bar in range(count):
            if bar:
                self.voice.bar_line("|")
            self.voice.add(Event([], length, None))

    def _on_bar(self, token: re.Match[str]) -> None:
        sign = token["bar"].removesuffix(token["volta"] or "")
        closes = sign.lstrip(".").startswith(":")
        opens = sign.endswith(":")
        plain = "|]" if sign.endswith("]") else "||" if "||" in sign or "[|" in sign else "|"
        kind = ":|:" if closes and opens else ":|" if closes else "|:" if opens else plain
        self.voice.bar_line(kind, _read_ending(token["volta"] or ""))

    def _on_ending(self, token: re.Match[str]) -> None:
        self.voice.bar_line("|", _read_ending(token[0]))

    def _on_late_ending(self, token: re.Match[str]) -> None:
        if not self.voice.is_at_bar or token.string[: token.start()].strip():
            raise ValueError(f"the number {token[0]} belongs to no note")
        self._on_ending(token)

    def _on_named_ending(self, token: re.Match[str]) -> None:
        self.omit("annotations")

    def _on_colon(self, token: re.Match[str]) -> None:
        """Read a colon that a blank or a line break parts from its bar line."""
        if token["closes"]:
            self.voice.bar_line(":|")
        elif self.voice.is_at_bar:
            self.voice.bar_line("|:")
        else:
            raise ValueError("a colon without a bar line")

    def _on_mail(self, token: re.Match[str]) -> None:
        self.omit("marks of quoted-printable mail")

    def _on_tuplet(self, token: re.Match[str]) -> None:
        actual = int(token["p"])
        compound = self.voice.meter is not None and self.voice.meter.is_compound
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(actual, 3 if compound else 2)
        normal, count = int(token["q"] or usual), int(token["r"] or actual)
        if not 1 <= normal <= 99 or not 1 <= count <= 99:
            raise ValueError(f"cannot read the tuplet {token[0]}")
        self.voice.flush()
        self.voice.group = Group(actual, normal, count)

    def _on_broken(self, token: re.Match[str]) -> None:
        sign = token["broken"]
        short = Fraction(1, 2 ** len(sign))
        self.voice.break_rhythm(2 - short if sign[0] == ">" else short)

    def _on_tie(self, token: re.Match[str]) -> None:
        self.voice.tie()

    def _on_overlay(self, token: re.Match[str]) -> None:
        self.voice.overlay()

    def _on_overlay_open(self, token: re.Match[str]) -> None:
        self.voice.open_overlay()

    def _on_overlay_close(self, token: re.Match[str]) -> None:
        self.voice.close_overlay()

    def _on_grace(self, token: re.Match[str]) -> None:
        self.omit("grace notes", len(GRACE_NOTE.findall(token["graces"])))

    def _on_text(self, token: re.Match[str]) -> None:
        self._symbol(token["words"])

    def _symbol(self, words: str) -> None:
        symbol = read_chord_symbol(words)
        if symbol is None:
            self.omit("annotations")
        elif self.voice.symbol is not None:
            self.omit("further chord symbols above a note")
        else:
            self.voice.symbol = symbol

    def _on_mark(self, token: re.Match[str]) -> None:
        name = token["name"]
        if name and _MUSIC_IN_MARK.fullmatch(name) and not _SHORT_MARKS.fullmatch(name):
            self._music(name)  # notes between two of the old `!` line breaks
        else:
            self.omit("decorations")

    def _on_ornament(self, token: re.Match[str]) -> None:
        self.omit("decorations")

    def _on_newline(self, token: re.Match[str]) -> None:
        pass

    def _on_inline(self, token: re.Match[str]) -> None:
        letter, text = token["field"][0], token["field"][2:]
        self._field(letter, text)


def _read_ending(text: str) -> str:
    digits = text.strip("[,.-")
    return parse_ending(digits) if digits else ""

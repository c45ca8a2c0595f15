"""Pieces to files: ABC text, MIDI, MusicXML, WAV, and piano rolls as SVG or PNG.

ABC, MusicXML and piano rolls keep repeats as they are written; MIDI and WAV play them out. A piece that was
played, not written (with velocities and without bar lines), is first put into bars.
"""

import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace

from seqgen.music.forms import TuneForm
from seqgen.music.pieces import Piece
from seqgen.music.transcribe import transcribe


def write_tune(piece: Piece, form: TuneForm) -> bytes:
    """Return a piece as the content of a file that holds it alone.

    Raises:
        CorpusError: If it cannot be written so, as an hour of sound.
    """
    return _WRITERS[form](piece)


def write_abc(pieces: Iterable[Piece], *, first: int = 1) -> str:
    """Write pieces as the tunes of one ABC file, numbered from `first`."""
    from seqgen.music.abc_writer import write_tune

    return "\n".join(
        write_tune(transcribe(piece), number) for number, piece in enumerate(pieces, start=first)
    )


def write_midi(piece: Piece) -> bytes:
    """Write a piece as a Standard MIDI File, repeats played out; a lone part has the title."""
    from seqgen.music.midi import score_of_piece
    from seqgen.music.playback import played

    parts = piece.parts
    if len(parts) == 1 and not parts[0].name:  # the name of the first track is that of the sequence
        parts = (replace(parts[0], name=piece.title),)
    return bytes(score_of_piece(played(replace(piece, parts=parts))).dumps_midi())


def write_musicxml(piece: Piece, *, beams: bool = False) -> str:
    """Write a piece as MusicXML, which score editors open; they set beams themselves."""
    from seqgen.music.score_writer import score_text

    return score_text(transcribe(piece), beams=beams)


def write_mxl(piece: Piece) -> bytes:
    """Write a piece as compressed MusicXML."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("META-INF/container.xml", _CONTAINER), ("score.musicxml", write_musicxml(piece))):
            info = zipfile.ZipInfo(name)  # dated 1980, so that the same piece gives the same bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text)
    return file.getvalue()


_CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container><rootfiles><rootfile full-path="score.musicxml"/></rootfiles></container>
"""


def write_wav(piece: Piece) -> bytes:
    """Write a piece as sound, played on plucked strings."""
    from seqgen.music.sound import render, wav_bytes

    return wav_bytes(render(piece))


def write_svg(piece: Piece) -> str:
    """Write a piece as a piano roll in SVG."""
    from seqgen.music.roll import draw_roll, svg_text

    return svg_text(draw_roll(piece))


def write_png(piece: Piece) -> bytes:
    """Write a piece as a piano roll in PNG."""
    from seqgen.music.roll import draw_roll, png_bytes

    return png_bytes(draw_roll(piece))


_WRITERS: dict[TuneForm, Callable[[Piece], bytes]] = {
    "abc": lambda piece: write_abc([piece]).encode(),
    "midi": write_midi,
    "musicxml": lambda piece: write_musicxml(piece).encode(),
    "mxl": write_mxl,
    "wav": write_wav,
    "svg": lambda piece: write_svg(piece).encode(),
    "png": write_png,
}

"""Pieces to files: ABC text, MIDI bytes, MusicXML text.

ABC and MusicXML keep repeats as they are written; MIDI plays them out. A piece that was played, not written
(with velocities and without bar lines), is first put into bars.
"""

from collections.abc import Iterable

from seqgen.music.pieces import Piece
from seqgen.music.transcribe import transcribe


def write_abc(pieces: Iterable[Piece]) -> str:
    """Write pieces as the tunes of one ABC file, numbered from 1."""
    from seqgen.music.abc_writer import write_tune

    return "\n".join(write_tune(transcribe(piece), number) for number, piece in enumerate(pieces, start=1))


def write_midi(piece: Piece) -> bytes:
    """Write a piece as a Standard MIDI File, repeats played out and ties joined."""
    from seqgen.music.midi import score_of_piece
    from seqgen.music.playback import unfold

    return bytes(score_of_piece(unfold(piece)).dumps_midi())


def write_musicxml(piece: Piece) -> str:
    """Write a piece as MusicXML, which score editors open."""
    from seqgen.music.score_writer import score_text

    return score_text(transcribe(piece))

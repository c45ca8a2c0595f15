"""Parts of a piece: what of a tune is gone on from."""

from dataclasses import replace

from seqgen.music.measures import measures
from seqgen.music.pieces import Piece

FINAL_BAR = "|]"


def open_end(piece: Piece) -> Piece:
    """Return a piece that goes on: without rests at its end and the bar lines after them.

    A final bar line becomes a plain one; where its bar is not full it is left out, for the bar to be filled.
    """
    sounding = [note.end for part in piece.parts for note in part.notes if note.pitch is not None]
    if not sounding:
        return piece
    end = max(sounding)
    parts = tuple(
        replace(part, notes=tuple(note for note in part.notes if note.pitch is not None or note.end <= end))
        for part in piece.parts
    )
    bars = tuple(bar for bar in piece.bars if bar.onset <= end)
    if bars and bars[-1].onset == end and bars[-1].kind == FINAL_BAR:
        full = not measures(replace(piece, parts=parts, bars=bars))[-1].missing
        bars = (*bars[:-1], *([replace(bars[-1], kind="|")] if full else []))
    chords = tuple((at, symbol) for at, symbol in piece.chords if at < end)
    return replace(piece, parts=parts, bars=bars, chords=chords)

"""Chord symbols as music21 objects, and back."""

from typing import Any

from seqgen.music.chords import ChordSymbol

_KINDS: dict[str, tuple[str, tuple[tuple[str, int, int], ...]]] = {
    "": ("major", ()),
    "m": ("minor", ()),
    "aug": ("augmented", ()),
    "dim": ("diminished", ()),
    "5": ("power", ()),
    "sus2": ("suspended-second", ()),
    "sus4": ("suspended-fourth", ()),
    "add9": ("major", (("add", 9, 0),)),
    "6": ("major-sixth", ()),
    "m6": ("minor-sixth", ()),
    "69": ("major-sixth", (("add", 9, 0),)),
    "7": ("dominant-seventh", ()),
    "maj7": ("major-seventh", ()),
    "m7": ("minor-seventh", ()),
    "mmaj7": ("minor-major-seventh", ()),
    "aug7": ("augmented-seventh", ()),
    "dim7": ("diminished-seventh", ()),
    "m7b5": ("half-diminished-seventh", ()),
    "7b5": ("dominant-seventh", (("alter", 5, -1),)),
    "7b9": ("dominant-seventh", (("add", 9, -1),)),
    "7#9": ("dominant-seventh", (("add", 9, 1),)),
    "7sus4": ("suspended-fourth", (("add", 7, 0),)),
    "9": ("dominant-ninth", ()),
    "maj9": ("major-ninth", ()),
    "m9": ("minor-ninth", ()),
    "11": ("dominant-11th", ()),
    "maj11": ("major-11th", ()),
    "m11": ("minor-11th", ()),
    "13": ("dominant-13th", ()),
    "maj13": ("major-13th", ()),
    "m13": ("minor-13th", ()),
}
"""The kind of MusicXML, as music21 names it, and degrees: what is done, to which, by how many semitones."""
_NAMES = {found: name for name, found in _KINDS.items()}


def symbol_of(element: Any) -> ChordSymbol | None:
    """Read a music21 chord symbol; None if it is none, or of a kind that is not in KINDS."""
    if "ChordSymbol" not in element.classes or "NoChord" in element.classes:
        return None
    degrees = tuple(
        (change.modType, change.degree, int(change.interval.semitones if change.interval else 0))
        for change in element.chordStepModifications
    )
    kind = _NAMES.get((element.chordKind, degrees))
    root, bass = _name(element.root()), _name(element.bass())
    if kind is None or root is None or bass is None:
        return None
    return ChordSymbol(root, kind, "" if bass == root else bass)


def _name(pitch: Any) -> str | None:
    """Return the name of a pitch without octave, F# or Bb; None if it has more than one sign."""
    sign = {-1: "b", 0: "", 1: "#"}.get(pitch.alter)
    return None if sign is None else f"{pitch.step}{sign}"


def music21_symbol(symbol: ChordSymbol) -> Any:
    """Return a chord symbol as music21 writes it."""
    from music21 import harmony

    kind, degrees = _KINDS[symbol.kind]
    written = harmony.ChordSymbol(
        root=symbol.root.replace("b", "-"),
        bass=symbol.bass.replace("b", "-") or None,
        kind=kind,
        kindStr=symbol.kind,
    )
    for what, degree, semitones in degrees:
        change = harmony.ChordStepModification(what, degree, semitones)
        written.addChordStepModification(change, updatePitches=False)
    return written

"""Look at what seqgen writes through other programs: verovio, sox, an image reader, music21.

A tune, and with `--score` a piece for several voices, is converted by the command line to every form. The
MusicXML is engraved by verovio (and painted by resvg_py: open the PNG), the piano roll is opened, sox tells
the length and level of the sound and the pitch of single notes, and music21 reads the ABC, MIDI and MusicXML
again. Checks whose program is missing say so. The last line is JSON.

    python -m benchmarks.music.check_files [--tune FILE] [--score FILE] [--keep FOLDER]
"""

import argparse
import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from seqgen.music.pieces import Piece, parse_pitch
from seqgen.music.playback import unfold
from seqgen.music.read import parse_unit, split_music

SHARED = Path(__file__).parents[3] / "shared" / "data"
TUNE = SHARED / "nottingham_abc" / "ABC_cleaned" / "jigs.abc"
FORMS = ("abc", "mid", "musicxml", "mxl", "wav", "svg", "png")
NOTES = {"C,,": "C2", "G,": "G3", "A": "A4", "^c": "C#5", "b'": "B6"}


def convert(source: Path, folder: Path, *more: str) -> dict[str, Path]:
    written = {}
    for form in FORMS:
        written[form] = folder / f"{source.stem}.{form}"
        command = [sys.executable, "-m", "seqgen", "convert", str(source), str(written[form]), *more]
        subprocess.run(command, check=True, capture_output=True)
    return written


def note_heads(piece: Piece) -> int:
    return sum(note.pitch is not None for part in piece.parts for note in part.notes)


def check_engraving(path: Path, png: Path) -> dict[str, object]:
    import matplotlib

    try:
        import resvg_py
        import verovio
    except ImportError as error:
        return {"skipped": str(error)}
    toolkit = verovio.toolkit()
    toolkit.setOptions({"pageWidth": 1800, "adjustPageHeight": True, "scale": 50, "footer": "none"})
    if not toolkit.loadFile(str(path)):
        return {"read": False}
    page = toolkit.renderToSVG(1)
    text = {"font_dirs": [f"{matplotlib.get_data_path()}/fonts/ttf"], "serif_family": "DejaVu Serif"}
    png.write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=page, background="white", **text)))
    pages = [toolkit.renderToSVG(number + 1) for number in range(toolkit.getPageCount())]
    heads = sum(len(re.findall(r'class="note\b', page)) for page in pages)
    bars = sum(len(re.findall(r'class="measure\b', page)) for page in pages)
    symbols = sum(len(re.findall(r'class="harm\b', page)) for page in pages)
    return {"read": True, "notes": heads, "measures": bars, "chord_symbols": symbols, "png": str(png)}


def check_picture(path: Path) -> dict[str, object]:
    from PIL import Image

    image = Image.open(path)
    return {"pixels": list(image.size), "colours": len(image.getcolors(1 << 24))}


def sox(path: Path, *effects: str) -> dict[str, float]:
    done = subprocess.run(["sox", str(path), "-n", *effects, "stat"], capture_output=True, text=True)
    found = re.findall(r"^(.+?):\s+(-?[\d.]+)$", done.stderr, re.MULTILINE)
    return {re.sub(r"\s+", " ", name).strip(): float(value) for name, value in found}


def check_sound(path: Path, piece: Piece, folder: Path) -> dict[str, object]:
    if shutil.which("sox") is None:
        return {"skipped": "sox is not installed"}
    whole = sox(path)
    played = unfold(piece)
    bpm = played.tempos[0][1] if len(played.tempos) == 1 else 120.0
    single = len(played.tempos) < 2
    return {
        "length_s": whole["Length (seconds)"],
        "score_s": round(float(played.duration) * 60 / bpm, 3) if single else None,
        "peak": whole["Maximum amplitude"],
        "rms": whole["RMS amplitude"],
        "dc": whole["Mean amplitude"],
        "notes_hz": {name: check_pitch(written, name, folder) for written, name in NOTES.items()},
    }


def check_pitch(written: str, name: str, folder: Path) -> dict[str, float]:
    """Let sox count the oscillations of a single note below its second mode."""
    source, target = folder / "note.abc", folder / "note.wav"
    source.write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{written}4 |]\n")
    command = [sys.executable, "-m", "seqgen", "convert", str(source), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    wanted = 440 * 2 ** ((parse_pitch(name).midi - 69) / 12)
    heard = sox(target, "trim", "0.1", "1", "sinc", "-n", "8191", f"-{wanted * 1.5:.1f}")
    return {"wanted": round(wanted, 1), "sox": heard["Rough frequency"]}


def check_music21(path: Path) -> dict[str, object]:
    from music21 import converter

    with contextlib.redirect_stderr(io.StringIO()):
        score = converter.parse(path, forceSource=True)
    notes = [element for element in score.recurse().notes if "Harmony" not in element.classes]
    symbols = len(score.recurse().getElementsByClass("Harmony"))
    return {"notes": sum(len(element.pitches) for element in notes), "chord_symbols": symbols}


def check(source: Path, folder: Path, *more: str) -> dict[str, object]:
    number = int(more[1]) if more else 1
    piece = parse_unit(split_music(source)[number - 1])
    written = convert(source, folder, *more)
    return {
        "tune": piece.title,
        "parts": len(piece.parts),
        "notes": note_heads(piece),
        "chord_symbols": len(piece.chords),
        "notes_played": note_heads(unfold(piece)),
        "verovio": check_engraving(written["musicxml"], folder / f"{source.stem}-page.png"),
        "piano_roll": check_picture(written["png"]),
        "sox": check_sound(written["wav"], piece, folder),
        **{f"music21 {form}": check_music21(written[form]) for form in ("abc", "mid", "musicxml", "mxl")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tune", type=Path, default=TUNE)
    parser.add_argument("--number", default="12", help="of the tune in its book")
    parser.add_argument("--score", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder to leave the files in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        folder = options.keep or Path(aside)
        folder.mkdir(parents=True, exist_ok=True)
        results = {"tune": check(options.tune, folder, "--tune", options.number)}
        if options.score is not None:
            results["score"] = check(options.score, folder)
    for name, result in results.items():
        print(name)
        for what, found in result.items():
            print(f"  {what:18} {found}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()

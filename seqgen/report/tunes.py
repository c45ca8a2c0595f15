"""A tune on a page: a piano roll that follows the sound, a button that plays it, and its notation."""

import base64
import html
from dataclasses import dataclass

from seqgen.music.timeline import Sounding, Timeline

ROW = 10.0
_DARK_KEYS = frozenset({1, 3, 6, 8, 10})
_MOST_PARTS = 4
_PIXELS_A_SECOND = 24


@dataclass(frozen=True)
class ShownTune:
    """What is shown of a tune.

    Attributes:
        title: Of the tune.
        about: A line on it, such as key, meter and length.
        timeline: When its notes sound.
        sound: An audio file.
        sound_type: Its media type, such as audio/mpeg.
        score: Its notation as SVG, or empty.
        narrow_score: The same for a phone.
    """

    title: str
    about: str
    timeline: Timeline
    sound: bytes
    sound_type: str
    score: str = ""
    narrow_score: str = ""


def tune_html(tune: ShownTune) -> str:
    """Return a tune with its button, roll and score."""
    source = f"data:{tune.sound_type};base64,{base64.b64encode(tune.sound).decode('ascii')}"
    scores = {"wide": tune.score, "narrow": tune.narrow_score}
    sheets = "".join(f'<div class="sheet {name}">{svg}</div>' for name, svg in scores.items() if svg)
    return (
        f'<figure class="card tune"><div class="bar">{_BUTTON}<div><h3>{html.escape(tune.title)}</h3>'
        f"<small>{html.escape(tune.about)}</small></div></div>"
        f'<div class="roll" tabindex="0" aria-label="Piano roll; click to play from there">'
        f"{roll_svg(tune.timeline)}</div>{sheets}"
        f'<audio preload="none" src="{source}"></audio></figure>'
    )


def roll_svg(timeline: Timeline) -> str:
    """Return a piano roll, 100 units a second wide; each note knows when it sounds."""
    pitches = [note.midi for note in timeline.notes] or [60]
    low, high = min(pitches) - 2, max(pitches) + 2
    width, height = max(timeline.duration_s, 0.1) * 100, (high - low + 1) * ROW
    keys = "".join(
        f'<rect class="key" x="0" y="{(high - midi) * ROW:.0f}" width="{width:.1f}" height="{ROW:.0f}"/>'
        for midi in range(low, high + 1)
        if midi % 12 in _DARK_KEYS
    )
    bars = "".join(
        f'<line x1="{100 * start:.1f}" x2="{100 * start:.1f}" y1="0" y2="{height:.0f}"/>'
        for start in timeline.bars_s
    )
    notes = "".join(_note(note, high) for note in timeline.notes)
    smallest = round(_PIXELS_A_SECOND * timeline.duration_s)
    return (
        f'<svg viewBox="0 0 {width:.1f} {height:.0f}" preserveAspectRatio="none" '
        f'style="min-width:{smallest}px" data-seconds="{timeline.duration_s:.3f}">{keys}{bars}{notes}'
        f'<line class="head" x1="0" x2="0" y1="0" y2="{height:.0f}"/></svg>'
    )


def _note(note: Sounding, high: int) -> str:
    length = max(3.0, 100 * (note.end_s - note.start_s) - 2)
    place = f'x="{100 * note.start_s + 1:.1f}" y="{(high - note.midi) * ROW + 1:.0f}"'
    return (
        f'<rect class="p{note.part % _MOST_PARTS}" {place} width="{length:.1f}" height="{ROW - 2:.0f}" '
        f'data-start="{note.start_s:.3f}" data-end="{note.end_s:.3f}">'
        f"<title>{html.escape(note.name)}</title></rect>"
    )


_BUTTON = (
    '<button class="play" type="button" aria-label="Play">'
    '<svg class="start" viewBox="0 0 24 24"><path d="M7 4.5v15l12.5-7.5z"/></svg>'
    '<svg class="pause" viewBox="0 0 24 24"><path d="M6 5h4.2v14H6zM13.8 5H18v14h-4.2z"/></svg></button>'
)

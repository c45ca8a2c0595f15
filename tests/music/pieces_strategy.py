"""Written pieces for property tests: single lines, with all that the melody encoding must keep."""

from fractions import Fraction

from hypothesis import strategies as st

from seqgen.music.pieces import (
    BAR_KINDS,
    MODES,
    Bar,
    Key,
    Meter,
    Note,
    Part,
    Piece,
    Pitch,
    Tuplet,
    tidy_bars,
    tidy_changes,
    tidy_ties,
)

LENGTHS = [
    Fraction(n, d) for n, d in ((1, 4), (1, 2), (3, 4), (1, 1), (3, 2), (2, 1), (3, 1), (7, 4), (1, 8))
]

pitches = st.builds(Pitch, st.sampled_from("CDEFGAB"), st.integers(-2, 2), st.integers(1, 7))
keys = st.none() | st.builds(
    Key, st.sampled_from(["C", "G", "D", "F#", "Bb", "Eb", "A"]), st.sampled_from(sorted(MODES))
)
meters = st.none() | st.sampled_from([Meter(4, 4), Meter(6, 8), Meter(2, 2), Meter(9, 8), Meter(5, 4)])
triplets = st.sampled_from([(3, 2), (2, 3), (5, 4), (6, 4), (7, 8)])


@st.composite
def bars_of_notes(draw: st.DrawFn) -> list[tuple[Fraction, Pitch | None, bool, Tuplet | None]]:
    """One bar: a list of duration, pitch, tie and tuplet."""
    notes: list[tuple[Fraction, Pitch | None, bool, Tuplet | None]] = []
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.integers(0, 4)):
            notes.append(
                (draw(st.sampled_from(LENGTHS)), draw(st.none() | pitches), draw(st.booleans()), None)
            )
            continue
        actual, normal = draw(triplets)
        count = draw(st.integers(1, actual))
        length = draw(st.sampled_from(LENGTHS[:4])) * normal / actual
        for index in range(count):
            group = Tuplet(actual, normal, count) if index == 0 else None
            notes.append((length, draw(st.none() | pitches), draw(st.booleans()), group))
    return notes


@st.composite
def melodies(draw: st.DrawFn) -> Piece:
    """A single-line piece in the form in which readers give it."""
    time = Fraction(0)
    notes: list[Note] = []
    bars: list[Bar] = []
    changes_of_key, changes_of_meter = [(time, draw(keys))], [(time, draw(meters))]
    for bar in draw(st.lists(bars_of_notes(), min_size=1, max_size=6)):
        for duration, pitch, tie, tuplet in bar:
            notes.append(Note(time, duration, pitch, tie and pitch is not None, tuplet))
            time += duration
        bars.append(
            Bar(time, draw(st.sampled_from(BAR_KINDS)), draw(st.sampled_from(["", "", "", "1", "2", "1,3"])))
        )
        if not draw(st.integers(0, 5)):
            changes_of_key.append((time, draw(keys)))
            changes_of_meter.append((time, draw(meters)))
    tied, _ = tidy_ties(notes)
    return Piece(
        parts=(Part(tied),),
        title="Property",
        keys=tidy_changes((at, key) for at, key in changes_of_key if key is not None or at),
        meters=tidy_changes((at, meter) for at, meter in changes_of_meter if meter is not None or at),
        bars=tidy_bars(bars),
    )

"""A music corpus looked over before any training: what is wrong in it, what comes twice, what it is like."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple
from zlib import crc32

from seqgen.data.corpus import Corpus
from seqgen.data.pool import WORTH_A_POOL, map_tunes
from seqgen.data.tunes import music_units, skipped_unit
from seqgen.errors import CorpusError
from seqgen.music.encodings import suits_melody
from seqgen.music.measures import describe_wrong, measures, wrong_measures
from seqgen.music.pieces import EMPTY_TRACKS, Piece
from seqgen.music.playback import join_ties
from seqgen.music.read import MusicUnit, parse_unit

_LENGTHS = (50, 100, 200, 500, 1000, 2000, 5000)
"""Where the classes of the histogram of lengths, in notes, end."""
_RUN = 6
"""Notes in a row whose intervals and durations make a figure; tunes that share figures are alike."""
_COMMON = 50
"""Tunes in which a figure may be without being taken for a commonplace."""
_ALIKE = 0.5
_FAULTS = ("notes without length", "ties into nothing", EMPTY_TRACKS)


class Checked(NamedTuple):
    """What one tune is like, or why it was not read."""

    error: str = ""
    notes: int = 0
    bars: int = 0
    key: str = "none"
    meter: str = "none"
    low: int = 0
    high: int = 0
    is_melody: bool = False
    wrong: tuple[str, ...] = ()
    omitted: tuple[tuple[str, int], ...] = ()
    digest: int = 0
    shape: int = 0
    figures: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Survey:
    """All tunes of a corpus, each with its place and title, and what is alike among them.

    Attributes:
        same: Groups of tunes with the same notes, as positions in `tunes`.
        transposed: Groups with the same notes in different keys.
        alike: Groups in which each shares most of its figures with another, and the least such share.
    """

    corpus: Corpus
    units: Sequence[MusicUnit]
    tunes: Sequence[Checked]
    same: list[list[int]]
    transposed: list[list[int]]
    alike: list[tuple[list[int], float]]

    def label(self, index: int) -> str:
        """Return place and title of a tune."""
        unit = self.units[index]
        return f"{unit.place} {unit.title}" if unit.text and unit.title else unit.place

    def faults(self) -> list[tuple[str, list[str]]]:
        """Return the tunes in which something is wrong, and what."""
        found = []
        for index, tune in enumerate(self.tunes):
            told = [f"{count} {what}" for what, count in tune.omitted if what in _FAULTS]
            if tune.wrong or told:
                found.append((self.label(index), [*tune.wrong, *told]))
        return found

    def histograms(self) -> dict[str, dict[str, int]]:
        """Return how many tunes there are of each key, meter, length in notes and range in semitones."""
        tunes = self.tunes
        return {
            "key": _ranked(tune.key for tune in tunes),
            "meter": _ranked(tune.meter for tune in tunes),
            "notes": _ordered((tune.notes for tune in tunes), _LENGTHS),
            "range in semitones": _ordered((tune.high - tune.low for tune in tunes), (12, 17, 24, 36, 48)),
        }

    def record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        omitted: Counter[str] = Counter()
        for tune in self.tunes:
            omitted.update(dict(tune.omitted))
        return {
            **self.corpus.report(),
            "tunes": len(self.tunes),
            "notes": sum(tune.notes for tune in self.tunes),
            "bars": sum(tune.bars for tune in self.tunes),
            "wrong_bars": sum(len(tune.wrong) for tune in self.tunes),
            "single_lines": sum(tune.is_melody for tune in self.tunes),
            "lowest_midi": min((tune.low for tune in self.tunes), default=None),
            "highest_midi": max((tune.high for tune in self.tunes), default=None),
            "left_out": dict(omitted.most_common()),
            "faults": [{"tune": tune, "faults": told} for tune, told in self.faults()],
            "same": [[self.label(i) for i in group] for group in self.same],
            "transposed": [[self.label(i) for i in group] for group in self.transposed],
            "alike": [
                {"tunes": [self.label(i) for i in group], "share": round(share, 3)}
                for group, share in self.alike
            ],
            "histograms": self.histograms(),
        }


def survey_tunes(corpus: Corpus, *, notify: Callable[[str], None] = lambda message: None) -> Survey:
    """Read every tune of a corpus and look it over; what cannot be read is noted in the corpus.

    Raises:
        CorpusError: If no tune is left.
    """
    units = [unit for _, units in music_units(corpus) for unit in units]
    if len(units) >= WORTH_A_POOL:
        notify(f"reading {len(units):,} tunes")
    kept, tunes = [], []
    for unit, found in zip(units, map_tunes(units, check_tune, _crashed), strict=True):
        if found.error:
            corpus.skip(skipped_unit(unit, found.error))
        else:
            kept.append(unit)
            tunes.append(found)
    corpus.require_content(len(tunes))
    same = _groups({i: tune.digest for i, tune in enumerate(tunes)})
    first = {i: tune.shape for i, tune in enumerate(tunes) if not any(i in group[1:] for group in same)}
    return Survey(corpus, kept, tunes, same, _groups(first), _alike(tunes))


def _crashed(unit: MusicUnit) -> Checked:
    return Checked(f"{unit.place}: the reader crashed on it")


def check_tune(unit: MusicUnit) -> Checked:
    """Read a tune and say what it is like."""
    try:
        piece = parse_unit(unit)
    except CorpusError as error:
        return Checked(str(error))
    pitches = [note.pitch.midi for part in piece.parts for note in part.notes if note.pitch is not None]
    shapes, digest = _shapes(piece)
    return Checked(
        notes=len(pitches),
        bars=len(measures(piece)) if piece.bars else 0,
        key=piece.keys[0][1].name if piece.keys and piece.keys[0][1] else "none",
        meter=piece.meters[0][1].name if piece.meters and piece.meters[0][1] else "none",
        low=min(pitches),
        high=max(pitches),
        is_melody=suits_melody(piece),
        wrong=(*describe_wrong(wrong_measures(piece)), *_short_voices(piece)),
        omitted=piece.omitted,
        digest=digest,
        shape=crc32(repr(shapes).encode()),
        figures=frozenset(
            crc32(repr(part[start : start + _RUN]).encode())
            for part in shapes
            for start in range(max(1, len(part) - _RUN + 1))
        ),
    )


def _short_voices(piece: Piece) -> list[str]:
    """Name the voices of a score that end before its last bar begins."""
    bars = measures(piece) if piece.bars else []
    if not bars:
        return []
    ends = [max((note.end for note in part.notes), default=Fraction(0)) for part in piece.parts]
    return [
        f"voice {part.name or number} ends in bar {next(bar.number for bar in bars if end <= bar.end)} "
        f"of {bars[-1].number}"
        for number, (part, end) in enumerate(zip(piece.parts, ends, strict=True), start=1)
        if end <= bars[-1].start
    ]


def _shapes(piece: Piece) -> tuple[list[list[tuple[int, str]]], int]:
    """Return intervals and durations of each part, and a hash of its very notes."""
    shapes, digest = [], 0
    for part in piece.parts:
        notes = [(note.pitch.midi, note) for note in join_ties(part.notes) if note.pitch is not None]
        before = [notes[0][0] if notes else 0, *(midi for midi, _ in notes)]
        steps = [midi - last for (midi, _), last in zip(notes, before, strict=False)]
        shapes.append([(step, str(note.duration)) for step, (_, note) in zip(steps, notes, strict=True)])
        digest = crc32(repr([(midi, str(n.onset), str(n.duration)) for midi, n in notes]).encode(), digest)
    return shapes, digest


def _groups(marks: Mapping[int, int]) -> list[list[int]]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index, mark in marks.items():
        groups[mark].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _alike(tunes: Sequence[Checked]) -> list[tuple[list[int], float]]:
    """Join tunes that share at least half of all figures that either has (Jaccard); the likest first."""
    group_of: dict[int, list[int]] = {}
    least: dict[int, float] = {}
    for a, b, share in _alike_pairs(tunes):
        one, other = group_of.get(a, [a]), group_of.get(b, [b])
        if one is not other:
            one = sorted(one + other)
            group_of.update(dict.fromkeys(one, one))
        least[one[0]] = share
    groups = {group[0]: group for group in group_of.values()}
    ranked = [(group, least[first]) for first, group in groups.items()]
    return sorted(ranked, key=lambda found: (-found[1], found[0]))


def _alike_pairs(tunes: Sequence[Checked]) -> list[tuple[int, int, float]]:
    """Find pairs, likest first."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for index, tune in enumerate(tunes):
        for figure in tune.figures:
            places[figure].append(index)
    shared: Counter[tuple[int, int]] = Counter()
    for found in places.values():
        if 1 < len(found) <= _COMMON:
            shared.update((a, b) for k, a in enumerate(found) for b in found[k + 1 :])
    pairs = []
    for (a, b), count in shared.items():
        one, other = tunes[a].figures, tunes[b].figures
        if tunes[a].shape != tunes[b].shape and 4 * count >= min(len(one), len(other)):
            share = len(one & other) / len(one | other)
            if share >= _ALIKE:
                pairs.append((a, b, share))
    return sorted(pairs, key=lambda pair: (-pair[2], pair))


def _ranked(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _ordered(values: Iterable[int], ends: Sequence[int]) -> dict[str, int]:
    """Count values by class; each class ends at one of `ends`, the last is open."""
    counts = [0] * (len(ends) + 1)
    for value in values:
        counts[sum(value > end for end in ends)] += 1
    starts = [0, *(end + 1 for end in ends)]
    names = [*(f"{a}-{b}" for a, b in zip(starts, ends, strict=False)), f"{starts[-1]}-"]
    return dict(zip(names, counts, strict=True))

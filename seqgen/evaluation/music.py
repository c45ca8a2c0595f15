"""How like a corpus sampled tunes are: pieces to histograms, rates and the distances between them.

Histograms of pitch classes and durations are those of Yang and Lerch 2020 ("On the evaluation of generative
models in music"), compared as whole distributions by their Jensen-Shannon divergence in bits (Lin 1991): 0
for equal ones, 1 for those that share nothing. A distance means something beside that of another part of the
same corpus.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from seqgen.music.measures import measures, wrong_measures
from seqgen.music.pieces import STEPS, Key, Piece, Pitch, value_at
from seqgen.music.playback import join_ties

RUN_LENGTHS = 4, 8


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is counted of some pieces.

    Attributes:
        pieces: How many there are.
        pitch_classes: Notes by semitones above C; drums do not count here.
        durations: Notes by their length in quarters, ties joined.
        in_key: Notes that belong to the scale of the signature in force.
        keyed: Notes where a key is in force.
        bars: Bars with a meter.
        wrong_bars: Those that do not add up, as `seqgen.music.measures` judges.
    """

    pieces: int
    pitch_classes: Counter[int]
    durations: Counter[Fraction]
    in_key: int
    keyed: int
    bars: int
    wrong_bars: int

    @property
    def in_key_rate(self) -> float | None:
        """The share of notes in key; None where no piece has a key."""
        return self.in_key / self.keyed if self.keyed else None

    @property
    def bar_validity(self) -> float | None:
        """The share of bars that add up; None where there are no bars."""
        return 1 - self.wrong_bars / self.bars if self.bars else None


def profile(pieces: Iterable[Piece]) -> Profile:
    """Count pitch classes, durations, notes in key and bars."""
    count, in_key, keyed, bars, wrong = 0, 0, 0, 0, 0
    pitch_classes: Counter[int] = Counter()
    durations: Counter[Fraction] = Counter()
    for piece in pieces:
        count += 1
        scales = [(onset, scale_of(key)) for onset, key in piece.keys]
        for part in piece.parts:
            for note in join_ties(part.notes):
                if note.pitch is None:
                    continue
                durations[note.duration] += 1
                if part.is_drum:
                    continue
                pitch_classes[note.pitch.midi % 12] += 1
                if scale := value_at(scales, note.onset):
                    keyed += 1
                    in_key += note.pitch.midi % 12 in scale
        if piece.bars:
            bars += sum(bar.meter is not None for bar in measures(piece))
            wrong += len(wrong_measures(piece))
    return Profile(
        pieces=count,
        pitch_classes=pitch_classes,
        durations=durations,
        in_key=in_key,
        keyed=keyed,
        bars=bars,
        wrong_bars=wrong,
    )


def scale_of(key: Key | None) -> frozenset[int]:
    """Return the pitch classes of a signature's seven notes; none without a key."""
    if key is None:
        return frozenset()
    return frozenset(Pitch(step, key.alter(step), 4).midi % 12 for step in STEPS)


def jensen_shannon_bits(first: Mapping[Any, int], second: Mapping[Any, int]) -> float:
    """Return the Jensen-Shannon divergence of two histograms, in bits, from 0 to 1.

    Raises:
        ValueError: If one of them is empty.
    """
    totals = sum(first.values()), sum(second.values())
    if not all(totals):
        raise ValueError("the divergence of an empty histogram")
    divergence = 0.0
    for name in {**first, **second}:
        shares = first.get(name, 0) / totals[0], second.get(name, 0) / totals[1]
        middle = sum(shares) / 2
        divergence += sum(share * math.log2(share / middle) for share in shares if share) / 2
    return max(divergence, 0.0)


def runs_of_notes(piece: Piece, length: int) -> Iterator[tuple[float, ...]]:
    """Yield each run of notes of each part as its intervals in semitones and its durations, in any key alike.

    Args:
        piece: The piece; ties are joined, and rests passed over.
        length: Of a run, in notes.
    """
    for part in piece.parts:
        notes = [(note.pitch.midi, float(note.duration)) for note in join_ties(part.notes) if note.pitch]
        for start in range(len(notes) - length + 1):
            pitches, durations = zip(*notes[start : start + length], strict=True)
            yield (*(pitch - pitches[0] for pitch in pitches[1:]), *durations)


def new_share(sampled: Iterable[Piece], known: Iterable[Piece], length: int) -> float | None:
    """Return the share of runs of `length` notes that begin nowhere in what is known, in any key.

    Returns:
        None if no sample has so many notes.
    """
    seen = {run for piece in known for run in runs_of_notes(piece, length)}
    runs = [run for piece in sampled for run in runs_of_notes(piece, length)]
    return sum(run not in seen for run in runs) / len(runs) if runs else None


def compare(pieces: Sequence[Piece], known: Sequence[Piece], known_profile: Profile) -> dict[str, Any]:
    """Return the figures of some pieces beside those that they were learned from, rounded, as plain values.

    Args:
        pieces: Samples, or another part of the corpus.
        known: The training part.
        known_profile: Of it.
    """
    found = profile(pieces)
    figures = {
        "pitch_classes_js_bits": _divergence(found.pitch_classes, known_profile.pitch_classes),
        "durations_js_bits": _divergence(found.durations, known_profile.durations),
        "in_key_rate": found.in_key_rate,
        "bar_validity": found.bar_validity,
        **{f"new_runs_of_{length}": new_share(pieces, known, length) for length in RUN_LENGTHS},
    }
    rounded = {name: None if value is None else round(value, 5) for name, value in figures.items()}
    return {"pieces": found.pieces, "notes": found.durations.total(), **rounded}


def _divergence(first: Counter[Any], second: Counter[Any]) -> float | None:
    return jensen_shannon_bits(first, second) if first and second else None

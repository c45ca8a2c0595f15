"""A tune drawn anew in part: its rhythm or its pitches kept, or chosen bars filled to fit what follows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from seqgen.data.tokenizers import EOS_ID, Tokenizer
from seqgen.errors import ConfigError, CorpusError
from seqgen.sampling.automata import Automaton, Limits, explore
from seqgen.sampling.engine import SampleConfig, Sampler
from seqgen.sampling.events import Ended, Event, Sample, collect
from seqgen.sampling.filling import Filler, stretches
from seqgen.sampling.filling_chorale import ChoraleFiller, is_cell
from seqgen.sampling.prompts import MERGED, Prompt, encode_tune, note_tokenizer
from seqgen.sampling.stops import Drawn

if TYPE_CHECKING:
    from seqgen.music.pieces import Piece

Kept = Literal["rhythm", "pitch"]
_NO_PITCH = -1


@dataclass(frozen=True)
class Variation:
    """What is drawn of a tune.

    Attributes:
        prompt: What is before and after it.
        constraint: On what is drawn.
    """

    prompt: Prompt
    constraint: Limits


def keep(tokenizer: Tokenizer, piece: "Piece", kept: Kept, *, banned: Iterable[int] = ()) -> Variation:
    """Return a variation of a whole tune that keeps its rhythm, or bar by bar its pitches.

    Args:
        tokenizer: Of the model.
        piece: The tune.
        kept: Which of the two.
        banned: Tokens that are never drawn.

    Raises:
        CorpusError: If what is kept has tokens that the model has never seen.
        TokenError: If the tune does not suit the model's encoding.
        ConfigError: If the encoding is not one in which this can be kept.
    """
    _require_single(tokenizer, f"--fix {kept}")
    whole = encode_tune(tokenizer, piece)
    names, known = whole.names, tokenizer.tokens
    if kept == "rhythm":
        if not any(name.startswith("Pitch_") for name in names):
            raise ConfigError(
                "--fix rhythm: the tokens of this model's encoding, or of the tune, name no pitches"
            )
        _require_known(tokenizer, whole, [name for name in names if not name.startswith("Pitch_")])
        empty = replace(whole, ids=whole.ids[:0], names=(), remarks=())
        return Variation(empty, rhythm_of(known, names).without(banned))
    _require_melody(tokenizer, "--fix pitch")
    found = stretches(names)
    if not found:
        raise CorpusError(f"{piece.title or 'the tune'}: it has no notes to vary")
    start = found[0].start
    durations = ("Duration_", "Tuplet_", "Tie", "Beat_")
    _require_known(tokenizer, whole, [name for name in names[start:] if not name.startswith(durations)])
    filler = Filler(known, names, found, end=len(names), keeps_pitches=True)
    return Variation(_part(whole, start), filler.automaton().without(banned))


def infill(
    tokenizer: Tokenizer, piece: "Piece", bars: tuple[int, int], *, banned: Iterable[int] = ()
) -> Variation:
    """Return a variation of a tune that draws some bars anew and keeps the others.

    Args:
        tokenizer: Of a model of melodies or chorales.
        piece: The tune.
        bars: The first and the last one; a pick-up is bar 0.
        banned: Tokens that are never drawn.

    Raises:
        ConfigError: If the tune has no such bars, or the encoding is neither melody nor chorale.
        CorpusError: If bar lines between them are unknown to the model.
        TokenError: If the tune does not suit the encoding.
    """
    name = note_tokenizer(tokenizer).encoding.name
    if name not in _INFILLING:
        known = " or ".join(_INFILLING)
        raise ConfigError(f"--infill: it needs a model of the {known} encoding; this one is of {name}")
    _require_single(tokenizer, "--infill")
    start, end, automaton, whole = _INFILLING[name](tokenizer, piece, bars)
    return Variation(replace(_part(whole, start), rest=whole.names[end:]), automaton.without(banned))


def _infill_melody(
    tokenizer: Tokenizer, piece: "Piece", bars: tuple[int, int]
) -> tuple[int, int, Automaton, Prompt]:
    whole = encode_tune(tokenizer, piece)
    found = stretches(whole.names)
    chosen = [stretch for stretch in found if bars[0] <= stretch.bar <= bars[1]]
    _require_bars(bars, {stretch.bar for stretch in found})
    start, end = chosen[0].start, chosen[-1].stop
    pairs = pairwise(chosen)
    _require_known(tokenizer, whole, [n for one, two in pairs for n in whole.names[one.stop : two.start]])
    return start, end, Filler(tokenizer.tokens, whole.names, chosen, end=end).automaton(), whole


def _infill_chorale(
    tokenizer: Tokenizer, piece: "Piece", bars: tuple[int, int]
) -> tuple[int, int, Automaton, Prompt]:
    encoding, whole = note_tokenizer(tokenizer).encoding, encode_tune(tokenizer, piece)
    numbers = encoding.bar_numbers(whole.names)
    cells = [(place, numbers[place]) for place, name in enumerate(whole.names) if is_cell(name)]
    _require_bars(bars, {number for _, number in cells})
    chosen = [place for place, number in cells if bars[0] <= number <= bars[1]]
    start, end = chosen[0], chosen[-1] + 1
    marks = [name for name in whole.names[start:end] if not is_cell(name)]
    _require_known(tokenizer, whole, marks)
    filler = ChoraleFiller(tokenizer.tokens, whole.names, start, end, encoding.voices)
    return start, end, filler.automaton(), whole


_INFILLING = {"melody": _infill_melody, "chorale": _infill_chorale}


def _require_bars(bars: tuple[int, int], numbers: set[int]) -> None:
    if not set(range(bars[0], bars[1] + 1)) <= numbers:
        held = f"bars {min(numbers)} to {max(numbers)}" if numbers else "no notes"
        asked = f"{bars[0]}" if bars[0] == bars[1] else f"{bars[0]}-{bars[1]}"
        raise ConfigError(f"--infill {asked}: the tune has {held}")


def rhythm_of(names: Sequence[str], tune: Sequence[str]) -> Automaton:
    """Return the automaton of all pitches in the rhythm of a tune: everything but its pitches is as it is.

    Args:
        names: The tokens of the vocabulary.
        tune: Those of the tune; two tied notes get the same pitch.
    """
    ids = {name: number for number, name in enumerate(names)}
    pitches = [number for number, name in enumerate(names) if name.startswith("Pitch_")]

    def follow(state: tuple[int, int]) -> Iterator[tuple[int, tuple[int, int]]]:
        place, held = state
        if place == len(tune):
            return
        if not tune[place].startswith("Pitch_"):
            yield ids[tune[place]], (place + 1, held)
            return
        is_tied = place + 1 < len(tune) and tune[place + 1] == "Tie"
        for pitch in pitches if held == _NO_PITCH else [held]:
            yield pitch, (place + 1, pitch if is_tied else _NO_PITCH)

    return explore(np.arange(len(names)), (0, _NO_PITCH), follow, lambda state: state[0] == len(tune))


def fill(sampler: Sampler, config: SampleConfig, variation: Variation, *, candidates: int) -> Iterator[Event]:
    """Draw what varies several times for each sample, and yield of each the one that what follows fits best.

    The fit is the log-probability that the model gives to the rest of the tune and its end after a candidate:
    with candidates from the model itself, taking one by that weight is sampling-importance-resampling (Rubin
    1988) from what the model would play between the two; here the best one is taken.

    Args:
        sampler: The model.
        config: What to sample.
        variation: From `infill`.
        candidates: How many to draw for each sample.
    """
    rest = [*note_tokenizer(sampler.tokenizer).encode_tokens(variation.prompt.rest).tolist(), EOS_ID]
    count = config.count or 1
    many = replace(config, count=count * candidates)
    prompt = variation.prompt.ids
    drawn = collect(sampler.generate(many, prompt=prompt, constraint=variation.constraint))
    for number in range(count):
        chosen = list(islice(drawn, candidates))
        logprobs = sampler.logprobs(prompt, [[*candidate.tokens, *rest] for candidate in chosen])
        fits = [values[-len(rest) :].sum() for values in logprobs]
        yield from _events(chosen[int(np.argmax(fits))], number)


def _events(sample: Sample, number: int) -> Iterator[Event]:
    for token in sample.tokens:
        yield Drawn(number, token, 0.0, "")
    yield Ended(number, sample.reason, sample.logprob, "")


def _part(whole: Prompt, stop: int) -> Prompt:
    return replace(whole, ids=whole.ids[:stop], names=whole.names[:stop])


def _require_single(tokenizer: Tokenizer, option: str) -> None:
    if note_tokenizer(tokenizer).merges:
        raise ConfigError(f"{option}: {MERGED}")


def _require_melody(tokenizer: Tokenizer, option: str) -> None:
    if note_tokenizer(tokenizer).encoding.name != "melody":
        raise ConfigError(f"{option}: it needs a model of the melody encoding, which knows where bars end")


def _require_known(tokenizer: Tokenizer, whole: Prompt, names: Sequence[str]) -> None:
    if strange := sorted(set(names) - set(tokenizer.tokens)):
        told = f"the model has never seen {', '.join(strange)}, which would have to stay"
        raise CorpusError(f"{whole.title or 'the tune'}: {told}")

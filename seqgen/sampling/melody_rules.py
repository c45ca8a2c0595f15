"""Constraints on tunes in the melody encoding: bars that add up, with the pitches that are asked for."""

from collections.abc import Callable

import numpy as np

from seqgen.data.tokenizers import Tokenizer
from seqgen.music.pieces import Key, Pitch
from seqgen.music.scales import pitch_class, scale_of
from seqgen.sampling.counting import CountingAutomaton, Graph, count_over, explore
from seqgen.sampling.rhythm import OPENING, Rhythm, State
from seqgen.sampling.tune_reader import FAR, Melodies, count_hops, make_reader
from seqgen.sampling.tune_tokens import TuneTokens, read_tune_tokens
from seqgen.sampling.tune_wishes import ImpossibleError, TuneRules, joined, values_asked


def constrain_melody(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    """Return the tunes of a melody vocabulary that obey the rules.

    Raises:
        ImpossibleError: If none of the vocabulary's tokens can.
        TooLargeError: If there would be too much to count.
    """
    tokens = read_tune_tokens(tokenizer.tokens, banned)
    meters = values_asked(rules, "meter", tokens.meters, "meters")
    melodies = _melodies(rules, tokens)
    if not tokens.units:
        raise ImpossibleError("the vocabulary has no unit")
    rhythm = Rhythm(tokens, meters, bars=rules.bars, hops=melodies.most_hops)
    follow = rhythm.follow if rules.valid is not False else rhythm.follow_freely
    return _measured(rhythm, explore(State("start", section=OPENING), follow), melodies)


def _measured(rhythm: Rhythm, graph: Graph, melodies: Melodies) -> CountingAutomaton:
    only = np.full(len(rhythm.kinds) + 1, -1)
    sure = np.ones(len(rhythm.kinds) + 1, np.bool_)
    for what, number in rhythm.kinds.items():
        if what[0] in ("note", "rest"):
            only[number] = what[1]
        sure[number] = what[0] != "note" or what[2] in (-1, 0)
    return count_over(
        make_reader(rhythm.tokens, melodies, rhythm.units, rhythm.kinds),
        graph,
        rhythm.nodes(graph.states),
        only=only[graph.labels],
        share=rhythm.unit_step,
        sure=sure[graph.labels],
        layer=rhythm.first_layer,
    )


def _melodies(rules: TuneRules, tokens: TuneTokens) -> Melodies:
    """Return the pitches there may be, in each key that has some."""
    keys = values_asked(rules, "key", tokens.keys, "keys")
    pitches = sorted(tokens.pitches, key=lambda pitch: (pitch.midi, pitch.name))
    low, high = rules.parsed("range") or (0, 127)
    inside = [pitch for pitch in pitches if low <= pitch.midi <= high]
    if not pitches:
        raise ImpossibleError("the vocabulary has no pitches")
    if not inside:
        raise ImpossibleError(
            f"--range {rules.range}: the model's pitches go from {pitches[0].name} to {pitches[-1].name}"
        )
    hops = [count_hops(inside, rules.max_leap, *_allowed(rules, key)) for key in keys]
    possible = [number for number in range(len(keys)) if (hops[number] != FAR).any()]
    if not possible:
        asked = [name for name in ("scale", "range", "max_leap", "end_on") if name in rules.given]
        raise ImpossibleError(f"{joined(rules, asked)}: none of the model's pitches are so")
    by_key = rules.scale not in (None, "chromatic") or rules.end_on == "tonic"
    return Melodies(
        keys=[keys[number] for number in possible],
        pitches=inside,
        hops=np.array([hops[number] for number in possible if by_key or number == possible[0]]),
        leap=rules.max_leap,
        by_key=by_key,
        changes_key=not by_key and rules.key is None,
    )


def _allowed(rules: TuneRules, key: Key) -> tuple[Callable[[Pitch], bool], Callable[[Pitch], bool]]:
    """Return what tells which pitches a tune in a key may have, and which ones it may end on."""
    may_be = scale_of(rules.scale or "chromatic", key)
    if rules.end_on is None:
        return may_be, lambda pitch: True
    end = pitch_class(key.tonic if rules.end_on == "tonic" else rules.end_on)
    return may_be, lambda pitch: pitch.midi % 12 == end
